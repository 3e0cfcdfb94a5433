//! The client against the scripted server: what Samba does not do, or not on demand.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use keepwell_smb::{
    Basic, Credentials, Disposition, FileTime, NtStatus, Open, OpenKind, Options, Share, SmbError, Store, Want, WidePath, part, wtf8,
};
use keepwell_smb_server::{Command, Content, Fault, Faults, Node, PASSWORD, Quirks, Rule, Server, Status, Tree, USER};

const WANT: Want = Want { descriptor: true, sacl: false, streams: true, attributes: true, maximal_access: true, reparse: false };

fn share(server: &Server) -> Share {
    Share::connect("127.0.0.1", server.port(), "share", Credentials::new(None, USER, PASSWORD), Options::default()).unwrap()
}

fn serve(tree: Tree) -> (Server, Share) {
    let server = Server::start(tree, Faults::none()).unwrap();
    let share = share(&server);
    (server, share)
}

fn path(name: &str) -> WidePath {
    WidePath::root().join(&units(name)).unwrap()
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn put(tree: &mut Tree, name: &str, node: Node) {
    let root = tree.root();
    tree.put(root, name, node);
}

/// Nothing is left open, and nothing was asked that must not be. What was sent before is served before.
fn is_clean(server: &Server, share: &Share) {
    share.volume().unwrap();
    let counts = server.counts();
    assert_eq!((counts.open_handles, counts.breaches), (0, vec![]));
}

/// A file with one of everything.
fn rich(text: &str) -> Node {
    let mut node = Node::file(text.as_bytes()).with_stream("Zone", &b"1234"[..]);
    node.extended = vec![(b"NAME".to_vec(), b"value".to_vec())];
    node
}

#[test]
fn servers_that_stop_a_chain_are_asked_for_the_rest() {
    let mut tree = Tree::new();
    put(&mut tree, "f", rich("data"));
    let (server, share) = serve(tree);
    let denied = || Fault::Status(Status::ACCESS_DENIED);
    // The descriptor is refused, and with it all that follows it in the chain.
    for rule in [
        Rule::on(Command::QueryInfo, denied()).path("f").skip(1).times(3),
        Rule::on(Command::Read, denied()).times(1),
        Rule::on(Command::Close, denied()).times(1),
    ] {
        server.faults().push(rule);
    }
    let fetched = share.begin_fetch(&path("f"), 100, WANT, None).unwrap().wait().unwrap();
    assert_eq!(fetched.stat.descriptor, Some(Err(NtStatus::ACCESS_DENIED)));
    assert_eq!(fetched.stat.streams.unwrap().len(), 1);
    assert_eq!(fetched.stat.attributes.unwrap(), [(b"NAME".to_vec(), b"value".to_vec())]);
    assert!(fetched.whole && fetched.data == "data" && fetched.after.is_some());

    server.faults().clear();
    server.faults().push(Rule::on(Command::SetInfo, denied()).times(2));
    server.faults().push(Rule::on(Command::Close, denied()).times(1));
    let written = FileTime::from_unix(1_000_000_000, 0);
    let store = Store {
        data: b"new",
        basic: Basic { written, ..Basic::default() },
        descriptor: Some((&[1, 0, 0, 0x80], part::DACL)),
        disposition: Disposition::OverwriteIf,
        takes: None,
    };
    let stored = share.begin_store(&path("f"), &store).unwrap().wait().unwrap();
    assert_eq!((stored.written, stored.descriptor, stored.basic), (Ok(3), Err(NtStatus::ACCESS_DENIED), Ok(())));
    assert_eq!(Some(stored.after.unwrap().written), written);
    is_clean(&server, &share);
}

#[test]
fn rights_that_are_refused_cost_only_their_part() {
    let mut tree = Tree::new();
    put(&mut tree, "f", rich("data"));
    let read_only = 0x0010_0081;
    let options = keepwell_smb_server::Options { security_privilege: false, access: read_only, ..keepwell_smb_server::Options::default() };
    let server = Server::start_with(options, tree, Faults::none()).unwrap();
    let share = share(&server);
    let want = Want { sacl: true, ..WANT };
    for visits in [3, 5] {
        let fetched = share.begin_fetch(&path("f"), 100, want, None).unwrap().wait().unwrap();
        assert_eq!(fetched.data, "data");
        assert_eq!(fetched.stat.descriptor, Some(Err(NtStatus::ACCESS_DENIED)));
        assert_eq!(fetched.stat.attributes, Err(NtStatus::ACCESS_DENIED));
        assert!(!fetched.stat.has_sacl && share.sacl_refused());
        // The privilege is not asked for again, as no file gives it.
        assert_eq!(server.counts().requests[&Command::Create], visits);
    }
    is_clean(&server, &share);
}

#[test]
fn ranges_that_are_many_or_unknown_lose_nothing() {
    let mut tree = Tree::new();
    // Every other page of 64 KiB is there, and two and a half answers are needed to say so.
    const PAGE: u64 = 65_536;
    let pages: Vec<_> = (0..10_000).map(|n| (n * 2 * PAGE, PAGE)).collect();
    let touched: Vec<_> = pages.iter().map(|(at, _)| (*at, 1)).collect();
    put(&mut tree, "f", Node::file(Content::sparse(20_000 * PAGE, &touched, 1)));
    let (server, share) = serve(tree);
    let open = share.begin_open(&path("f"), &Open::reading(WANT, None)).unwrap().wait().unwrap();
    assert!(open.allocated_ranges(0, 20_000 * PAGE).unwrap() == pages);
    assert_eq!(open.allocated_ranges(PAGE, PAGE).unwrap(), []);
    assert_eq!(open.allocated_ranges(PAGE - 96, PAGE + 104).unwrap(), [(PAGE - 96, 96), (2 * PAGE, 8)]);
    server.faults().push(Rule::on(Command::Ioctl, Fault::Status(Status::INVALID_DEVICE_REQUEST)));
    assert_eq!(open.allocated_ranges(5, 10).unwrap(), [(5, 10)]);
    server.faults().clear();
    drop(open);
    is_clean(&server, &share);
}

#[test]
fn what_does_not_fit_is_asked_for_again() {
    let mut tree = Tree::new();
    let mut node = Node::file(&b"data"[..]);
    for n in 0..600 {
        node = node.with_stream(&format!("{n:060}"), &b"x"[..]);
    }
    node.extended = (0..300).map(|n| (format!("N{n}").into_bytes(), vec![b'v'; 250])).collect();
    put(&mut tree, "f", node);
    let (server, share) = serve(tree);
    let fetched = share.begin_fetch(&path("f"), 100, WANT, None).unwrap().wait().unwrap();
    assert_eq!((fetched.stat.streams.unwrap().len(), fetched.stat.attributes.unwrap().len()), (600, 300));
    let open = share.begin_open(&path("f"), &Open::reading(WANT, None)).unwrap().wait().unwrap();
    let stat = open.stat().clone();
    assert_eq!((stat.streams.unwrap().len(), stat.attributes.unwrap().len()), (600, 300));
    drop(open);
    is_clean(&server, &share);
}

#[test]
fn listings_can_neither_lead_astray_nor_go_in_circles() {
    let mut tree = Tree::new();
    let bad = ["..\\x", "a/b", "", "n\0", "a:b", "/etc"].map(units);
    let quirks = Quirks { also_lists: bad.into_iter().chain([vec![0xD800, 0x61]]).collect(), ..Quirks::default() };
    put(&mut tree, "bad", Node::folder().with_quirks(quirks));
    put(&mut tree, "bad\\good", Node::file(&b""[..]));
    put(&mut tree, "endless", Node::folder().with_quirks(Quirks { endless: true, ..Quirks::default() }));
    put(&mut tree, "circle", Node::folder().with_quirks(Quirks { repeats: true, ..Quirks::default() }));
    put(&mut tree, "circle\\a", Node::file(&b""[..]));
    put(&mut tree, "cut", Node::folder());
    let (server, share) = serve(tree);

    let mut listing = share.list(&path("bad"), None).unwrap();
    let mut names = Vec::new();
    while let Some(batch) = listing.next_batch().unwrap() {
        names.extend(batch.iter().map(|entry| wtf8(&entry.name)));
    }
    names.sort_unstable();
    assert_eq!(names, [&b"good"[..], b"\xED\xA0\x80a"]);
    assert_eq!(listing.refused(), 6);

    let mut listing = share.list(&path("endless"), None).unwrap();
    for _ in 0..5 {
        assert!(!listing.next_batch().unwrap().unwrap().is_empty());
    }
    drop(listing);

    let mut listing = share.list(&path("circle"), None).unwrap();
    let error = loop {
        match listing.next_batch() {
            Ok(batch) => assert!(batch.is_some()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SmbError::Malformed { .. }), "{error:?}");
    assert!(listing.next_batch().unwrap().is_none());

    for status in [Status::ACCESS_DENIED, Status::SUCCESS] {
        server.faults().push(Rule::on(Command::QueryDirectory, Fault::Status(status)).path("cut"));
        assert!(share.list(&path("cut"), None).unwrap().next_batch().is_err());
    }
    drop(share.list(&path("endless"), None).unwrap());
    is_clean(&server, &share);
}

#[test]
fn data_is_not_believed_blindly() {
    let mut tree = Tree::new();
    let file = |quirks| Node::file(&b"0123456789"[..]).with_quirks(quirks);
    put(&mut tree, "extra", file(Quirks { read_extra: 1, ..Quirks::default() }));
    put(&mut tree, "short", file(Quirks { read_at_most: Some(4), ..Quirks::default() }));
    put(&mut tree, "liar", file(Quirks { claimed_size: Some(u64::MAX), ..Quirks::default() }));
    put(&mut tree, "restless", file(Quirks { changes_at_close: true, ..Quirks::default() }));
    put(&mut tree, "grows", file(Quirks { grows: 5, ..Quirks::default() }));
    let (server, share) = serve(tree);
    let fetch = |name: &str, limit| share.begin_fetch(&path(name), limit, WANT, None).unwrap().wait();
    assert!(matches!(fetch("extra", 4), Err(SmbError::Malformed { .. })));
    let short = fetch("short", 100).unwrap();
    assert!(!short.whole && short.data == "0123");
    let liar = fetch("liar", 100).unwrap();
    assert!(!liar.whole && liar.stat.info.size == u64::MAX);
    assert_eq!(fetch("restless", 100).unwrap().held_still(), Some(false));
    assert_eq!(fetch("grows", 100).unwrap().held_still(), Some(false));

    let open = share.begin_open(&path("extra"), &Open::reading(WANT, None)).unwrap().wait().unwrap();
    assert!(matches!(open.begin_read(0, 4).unwrap().wait(), Err(SmbError::Malformed { .. })));
    drop(open);
    server.faults().push(Rule::on(Command::Read, Fault::Status(Status::FILE_LOCK_CONFLICT)).path("short"));
    assert_eq!(fetch("short", 100).unwrap_err().status(), Some(NtStatus::FILE_LOCK_CONFLICT));
    is_clean(&server, &share);
}

#[test]
fn reparse_points_and_odd_names_are_read_as_they_are() {
    let mut tree = Tree::new();
    let buffer = [&0xA000_000C_u32.to_le_bytes()[..], &[4, 0, 0, 0, 1, 2, 3, 4]].concat();
    put(&mut tree, "link", Node::file(&b""[..]).with_reparse(buffer.clone()));
    let root = tree.root();
    let lone = vec![0xDC00, 0x61, 0xD800];
    tree.put(root, vec![lone.clone()], rich("lone"));
    let (server, share) = serve(tree);
    let want = Want { reparse: true, ..WANT };
    let stat = share.begin_stat(&path("link"), want, None).unwrap().wait().unwrap();
    assert_eq!(stat.reparse, Some(Ok(buffer)));
    let lone = WidePath::root().join(&lone).unwrap();
    let stat = share.begin_fetch(&lone, 10, want, None).unwrap().wait().unwrap();
    assert_eq!((&stat.data[..], stat.stat.reparse), (&b"lone"[..], None));
    let stream = lone.stream(&units("Zone")).unwrap();
    assert_eq!(share.begin_fetch(&stream, 10, WANT, None).unwrap().wait().unwrap().data, "1234");

    let open = share.begin_open(&path("new"), &Open::writing(OpenKind::File, Disposition::Create)).unwrap().wait().unwrap();
    open.set_reparse(&[0x0C, 0, 0, 0xA0, 0, 0, 0, 0]).unwrap();
    drop(open);
    is_clean(&server, &share);
    assert!(server.tree().at("new").unwrap().reparse.is_some());
}

#[test]
fn answers_cut_anywhere_are_errors() {
    let mut tree = Tree::new();
    put(&mut tree, "f", rich("data"));
    let (server, mut client) = serve(tree);
    for command in [Command::Create, Command::QueryInfo, Command::Read, Command::Close] {
        for length in (64..130).step_by(3) {
            server.faults().clear();
            server.faults().push(Rule::on(command, Fault::Truncate(length)).times(1));
            // What is cut behind its end is whole.
            let _ = client.begin_fetch(&path("f"), 100, WANT, None).unwrap().wait();
            server.faults().clear();
            if client.begin_fetch(&path("f"), 100, WANT, None).and_then(keepwell_smb::Pending::wait).is_err() {
                client = share(&server);
            }
        }
    }
    let fetched = client.begin_fetch(&path("f"), 100, WANT, None).unwrap().wait().unwrap();
    assert!(fetched.whole && fetched.data == "data");
    assert_eq!(server.counts().breaches, Vec::<String>::new());
}
