//! What no Samba shows, on a scripted server: names that are no Unicode, reparse points, audit lists, lost connections, lies.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod contract;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use contract::walk;
use keepwell_format::port::{Piece, Placing, Source, Steady, Target as _, Walked};
use keepwell_format::{GapReason, Key, Kind};
use keepwell_smb_server::{Command, Content, DIRECTORY, Fault, Faults, Node, PASSWORD, REPARSE, Rule, Server, Tree, USER};
use keepwell_source::{AsOf, Opening, RestoreTarget as _, SmbOptions, SmbSource, SmbTarget, SmbUrl};

fn url(server: &Server, folder: &str) -> SmbUrl {
    SmbUrl::parse(&format!("smb://{USER}@127.0.0.1:{}/share/{folder}", server.port())).unwrap()
}

fn options() -> SmbOptions {
    SmbOptions { pauses: vec![Duration::from_millis(10); 4], ..SmbOptions::default() }
}

fn source(server: &Server, folder: &str) -> SmbSource {
    SmbSource::connect_with(&url(server, folder), PASSWORD, AsOf::Live, &options()).unwrap()
}

fn start(tree: Tree) -> Server {
    Server::start(tree, Faults::none()).unwrap()
}

fn find(source: &dyn Source, path: &str) -> Walked {
    walk(source).into_iter().find(|entry| entry.key.to_string() == path).unwrap()
}

/// REPARSE_DATA_BUFFER (MS-FSCC 2.1.2) with a payload that need not make sense.
fn reparse(tag: u32, payload: &[u8]) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &(payload.len() as u16).to_le_bytes(), &[0, 0], payload].concat()
}

const SYMLINK: u32 = 0xA000_000C;
const JUNCTION: u32 = 0xA000_0003;
const DEDUPLICATED: u32 = 0x8000_0013;

#[test]
fn what_only_windows_has_comes_back() {
    let mut tree = Tree::new();
    let root = tree.root();
    let wide = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
    tree.put(root, vec![wide("from"), vec![0xD800, 0x41, 0xDC00]], Node::file(&b"half a pair"[..]));
    for name in ["trailing.", "trailing ", "CON", "a*?\"<>|", "\u{1}"] {
        tree.put(root, format!("from\\odd\\{name}").as_str(), Node::file(name.as_bytes()));
    }
    let mut rich = Node::file(&b"rich"[..]);
    rich.extended = vec![(b"EA".to_vec(), b"value".to_vec())];
    rich.streams.insert(wide("s\u{e4}"), Content::patterned(200_000, 3));
    rich.streams.insert(vec![0xDFFF], Content::from(&b"stream"[..]));
    let first = tree.put(root, "from\\rich", rich);
    tree.link(root, "from\\z-again", first);
    tree.put(root, "from\\sparse", Node::file(Content::sparse(50 << 20, &[(1 << 20, 1 << 20), (40 << 20, 5)], 7)));
    tree.put(root, "from\\link", Node::file(&b""[..]).with_reparse(reparse(SYMLINK, b"to somewhere")));
    let mut junction = Node::folder().with_reparse(reparse(JUNCTION, b"to another folder"));
    junction.attributes |= DIRECTORY | REPARSE;
    tree.put(root, "from\\junction", junction);
    tree.put(root, "other\\deduplicated", Node::file(Content::patterned(3 << 20, 5)).with_reparse(reparse(DEDUPLICATED, b"chunks")));
    let server = start(tree);

    let from = source(&server, "from");
    let all = walk(&from);
    let kind = |path: &str| all.iter().find(|entry| entry.key.to_string() == path).map(|entry| entry.node.kind);
    assert_eq!([kind("link"), kind("junction")], [Some(Kind::Reparse); 2]);
    // Without the server's help its bytes can't be had.
    let other = source(&server, "other");
    let deduplicated = find(&other, "deduplicated");
    assert_eq!((deduplicated.node.kind, deduplicated.size), (Kind::File, 3 << 20));
    assert_eq!(other.open(&deduplicated).err().map(|gap| gap.reason), Some(GapReason::Unsupported));
    assert_eq!(find(&from, "junction").node.target, Some(reparse(JUNCTION, b"to another folder")));
    let seen = contract::look(&from, &find(&from, "sparse")).unwrap();
    assert_eq!(seen.runs.iter().map(|(at, run)| (*at, run.len())).collect::<Vec<_>>(), [(1 << 20, 1 << 20), (40 << 20, 64 << 10)]);
    assert!(from.reads_audit_lists());

    let target = SmbTarget::connect_with(&url(&server, "to"), PASSWORD, Opening::Empty, &options()).unwrap();
    contract::copy(&from, &target);
    let warned: Vec<_> = target.warnings().first.iter().map(|(key, text)| format!("{key}: {text}")).collect();
    assert_eq!(warned, Vec::<String>::new());
    let to = source(&server, "to");
    contract::windows::compare(&from, &to);
    for path in ["link", "junction"] {
        assert_eq!(find(&from, path).node.target, find(&to, path).node.target, "{path}");
    }
    let paths = |path: &str| contract::look(&to, &find(&to, path)).unwrap().node;
    assert_eq!((paths("rich").links, paths("rich").file_id), (2, paths("z-again").file_id));
    for entry in walk(&from) {
        let node = if entry.node.kind == Kind::File { contract::look(&from, &entry).unwrap().node } else { entry.node.clone() };
        assert_eq!(target.differences(&entry.key, &node).unwrap(), Vec::<&str>::new(), "{}", entry.key);
    }
    assert_eq!(server.counts().breaches, Vec::<String>::new());
}

#[test]
fn a_restore_is_not_led_through_a_junction() {
    let mut tree = Tree::new();
    let root = tree.root();
    tree.put(root, "outside", Node::folder());
    let mut junction = Node::folder().with_reparse(reparse(JUNCTION, b"outside"));
    junction.attributes |= DIRECTORY | REPARSE;
    tree.put(root, "t\\a", junction);
    let server = start(tree);
    let target = SmbTarget::connect_with(&url(&server, "t"), PASSWORD, Opening::Merge, &options()).unwrap();
    let key = |path: &str| Key::from_path(path.as_bytes()).unwrap();
    let folder = keepwell_format::Node::new(Kind::Folder);
    let file = keepwell_format::Node::new(Kind::File);
    assert_eq!(target.look(&key("a")).unwrap().map(|present| present.kind), Some(Kind::Reparse));
    assert!(target.folder(&key("a"), &folder).is_err());
    assert!(target.folder(&key("a/b"), &folder).is_err());
    assert!(target.finish_folder(&key("a"), &folder).is_err());
    assert!(target.file(&key("a/c"), &file, &contract::content(1), Placing::New).is_err());
    assert_eq!(server.tree().paths().len(), 3, "outside, t and the junction");
}

#[test]
fn what_is_not_whole_has_no_name() {
    let mut tree = Tree::new();
    tree.put(tree.root(), "t", Node::folder());
    tree.volume.free = 8 << 20;
    let server = start(tree);
    let target = SmbTarget::connect_with(&url(&server, "t"), PASSWORD, Opening::Empty, &options()).unwrap();
    let node = keepwell_format::Node::new(Kind::File);
    let write = |size: usize| {
        let mut file = target.file(&Key::from_path(b"new").unwrap(), &node, &contract::content(size as u64), Placing::New).unwrap();
        match file.write_at(0, &vec![7; size]) {
            Ok(()) => file.finish(&node),
            Err(error) => {
                file.abandon();
                Err(error)
            }
        }
    };
    // A full disk, and writes that come short.
    assert!(write(9 << 20).is_err_and(|error| error.fatal));
    server.tree().volume.free = 100;
    assert!(write(1000).is_err_and(|error| error.fatal));
    server.tree().volume.free = 1 << 30;
    for size in [1000, 3 << 20] {
        server.faults().push(Rule::on(Command::Write, Fault::Patch(68, 10_u32.to_le_bytes().to_vec())));
        assert!(write(size).is_err_and(|error| !error.fatal));
        server.faults().clear();
    }
    assert_eq!(server.tree().paths().len(), 1, "{:?}", server.tree().paths());
    assert_eq!(target.warnings().count, 0);

    // A small one costs one round trip, and comes to its name at its end.
    let before = server.counts();
    write(1000).unwrap();
    let after = server.counts();
    assert_eq!((after.frames - before.frames, after.requests[&Command::Create] - before.requests[&Command::Create]), (1, 1));
    let names: Vec<_> = server.tree().paths();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(server.counts().breaches, Vec::<String>::new());
}

#[test]
fn a_lost_connection_is_brought_back_and_reading_goes_on() {
    let mut tree = Tree::new();
    let root = tree.root();
    for n in 0..40 {
        tree.file(format!("f\\{n}\\{n}").as_str(), format!("file {n}").as_bytes());
    }
    tree.put(root, "f\\large", Node::file(Content::patterned(30 << 20, 9)));
    let server = start(tree);
    let whole = source(&server, "f");
    let expected: Vec<_> = walk(&whole).into_iter().map(|entry| entry.key).collect();
    let bytes = contract::read(&whole, &find(&whole, "large")).unwrap();

    let cut = source(&server, "f");
    for command in [Command::QueryDirectory, Command::Create, Command::QueryInfo] {
        server.faults().push(Rule::on(command, Fault::CutBefore).skip(7).times(1));
        assert_eq!(walk(&cut).into_iter().map(|entry| entry.key).collect::<Vec<_>>(), expected);
    }
    let entry = find(&cut, "large");
    server.faults().push(Rule::on(Command::Read, Fault::CutBefore).skip(5).times(1));
    server.faults().push(Rule::on(Command::Read, Fault::CutWithin(1000)).skip(17).times(1));
    let before = server.counts().connections;
    assert!(contract::read(&cut, &entry).unwrap() == bytes);
    assert_eq!(server.counts().connections, before + 2);

    // It is another file when the connection is back.
    server.faults().clear();
    let mut file = cut.open(&entry).unwrap();
    let mut buffer = vec![0; 1 << 20];
    assert!(matches!(file.next(&mut buffer).unwrap(), Piece::Data(_)));
    server.tree().at_mut("f\\large").unwrap().written += 10_000_000;
    server.cut();
    while !matches!(file.next(&mut buffer).unwrap(), Piece::End) {}
    assert_eq!(file.finish(&mut entry.node.clone()).unwrap(), Steady::Changed);
}

#[test]
fn a_server_that_reads_nothing_is_left_after_some_files() {
    let mut tree = Tree::new();
    let root = tree.root();
    for n in 0..40 {
        tree.file(format!("f\\small{n:02}").as_str(), b"x");
        tree.put(root, format!("f\\large{n:02}").as_str(), Node::file(Content::patterned(2 << 20, n)));
    }
    let server = start(tree);
    let client = keepwell_smb::Options { timeout: Duration::from_millis(300), ..Default::default() };
    let options = SmbOptions { client, pauses: vec![Duration::from_millis(1); 4], ..SmbOptions::default() };
    let read = |source: &SmbSource, entry: &Walked| {
        let mut buffer = vec![0; 1 << 20];
        let mut file = source.open(entry)?;
        while !matches!(file.next(&mut buffer)?, Piece::End) {}
        Ok::<_, keepwell_format::Gap>(())
    };
    let files = |source: &SmbSource| walk(source).into_iter().filter(|entry| entry.node.kind == Kind::File).collect::<Vec<_>>();

    // Two files that are never answered are two gaps.
    let source = SmbSource::connect_with(&url(&server, "f"), PASSWORD, AsOf::Live, &options).unwrap();
    let all = files(&source);
    for name in ["f\\large03", "f\\small04"] {
        server.faults().push(Rule::on(Command::Read, Fault::Silence).path(name));
    }
    let gaps: Vec<_> = all.iter().filter(|entry| read(&source, entry).is_err()).map(|entry| entry.key.to_string()).collect();
    assert_eq!((gaps, source.gone()), (vec!["large03".to_owned(), "small04".to_owned()], None));

    // When nothing is answered, it is the server: not each file is waited for.
    server.faults().push(Rule::on(Command::Read, Fault::Silence));
    let before = server.counts().connections;
    assert!(all.iter().all(|entry| read(&source, entry).is_err()));
    assert!(source.gone().is_some_and(|gap| gap.text.contains("stopped answering")), "{:?}", source.gone());
    let connections = server.counts().connections - before;
    assert!(connections < 25, "{connections} for {} files", all.len());
}

#[test]
fn a_server_of_smb1_is_called_that() {
    let smb1 = keepwell_smb_server::Options { dialects: Vec::new(), ..Default::default() };
    let server = Server::start_with(smb1, Tree::new(), Faults::none()).unwrap();
    let error = SmbSource::connect_with(&url(&server, ""), PASSWORD, AsOf::Live, &options()).unwrap_err();
    assert!(error.to_string().contains("only speaks SMB 1") && error.to_string().contains("Switch SMB 2 or 3 on"), "{error}");
}

#[test]
fn a_restore_goes_on_when_the_connection_is_lost() {
    let mut tree = Tree::new();
    tree.put(tree.root(), "t", Node::folder());
    let server = start(tree);
    let target = SmbTarget::connect_with(&url(&server, "t"), PASSWORD, Opening::Empty, &options()).unwrap();
    let key = |path: &str| Key::from_path(path.as_bytes()).unwrap();
    let (file, folder) = (keepwell_format::Node::new(Kind::File), keepwell_format::Node::new(Kind::Folder));
    let write = |path: &str, size: usize, placing| {
        let mut writer = target.file(&key(path), &file, &contract::content(size as u64), placing)?;
        match writer.write_at(0, &vec![7; size]) {
            Ok(()) => writer.finish(&file),
            Err(error) => {
                writer.abandon();
                Err(error)
            }
        }
    };
    let cut = |command, fault| server.faults().push(Rule::on(command, fault).times(1));

    // What can be sent again is: before it was carried out, in the middle, and after.
    let mut paths = BTreeSet::from(["t".to_owned()]);
    for (n, fault) in [Fault::CutBefore, Fault::CutUnanswered].into_iter().enumerate() {
        let below = format!("folder{n}");
        cut(Command::Create, fault.clone());
        target.folder(&key(&below), &folder).unwrap();
        paths.insert(format!("t\\{below}"));
        for (at, command) in [Command::Create, Command::Write, Command::SetInfo, Command::Close].into_iter().enumerate() {
            cut(command, fault.clone());
            write(&format!("{below}/{at}"), 1000, Placing::New).unwrap_or_else(|error| panic!("{command:?}, {fault:?}: {error}"));
            paths.insert(format!("t\\{below}\\{at}"));
        }
        cut(Command::SetInfo, fault);
        target.finish_folder(&key(&below), &folder).unwrap();
    }
    let there = || server.tree().paths().into_iter().map(|(path, _)| path.lossy()).collect::<BTreeSet<_>>();
    assert_eq!(there(), paths);

    // A large file has gone with its connection: it alone is missing, and nothing is left of it.
    write("old", 3 << 20, Placing::New).unwrap();
    paths.insert("t\\old".into());
    for (path, command, skip) in
        [("new", Command::Write, 2), ("old", Command::Write, 1), ("old", Command::SetInfo, 0), ("new", Command::Flush, 0)]
    {
        let placing = if path == "old" || command == Command::Flush { Placing::Replace } else { Placing::New };
        server.faults().push(Rule::on(command, Fault::CutBefore).skip(skip).times(1));
        let error = write(path, 5 << 20, placing).unwrap_err();
        assert!(!error.fatal && error.text.contains("came back"), "{error}");
        assert_eq!(there(), paths, "{command:?}");
        server.faults().clear();
    }
    assert_eq!(server.tree().at("t\\old").unwrap().content.size(), 3 << 20);
    write("old", 5 << 20, Placing::Replace).unwrap();
    assert_eq!(server.tree().at("t\\old").unwrap().content.size(), 5 << 20);
    assert_eq!(target.warnings().count, 0, "{:?}", target.warnings());
    assert_eq!(server.counts().breaches, Vec::<String>::new());

    // Another one's file is not taken for what was sent before.
    server.tree().file("t\\theirs", &[8; 1000]);
    cut(Command::Write, Fault::CutBefore);
    assert!(write("theirs", 1000, Placing::New).is_err_and(|error| !error.fatal && error.text.contains("something of this name")));

    // A server that takes nothing is left, and so is one that is gone.
    server.faults().push(Rule::on(Command::Write, Fault::CutBefore));
    let tries = (0..20).position(|n| write(&format!("silent{n}"), 3 << 20, Placing::New).unwrap_err().fatal);
    assert!(tries.is_some_and(|tries| tries > 0), "{tries:?}");
    let target = SmbTarget::connect_with(&url(&server, "t"), PASSWORD, Opening::Merge, &options()).unwrap();
    drop(server);
    assert!(target.folder(&key("last"), &folder).is_err_and(|error| error.fatal));
}

#[test]
fn a_server_that_stays_away_ends_the_walk_and_is_told() {
    let mut tree = Tree::new();
    for n in 0..100 {
        tree.file(format!("f\\{n}\\{n}").as_str(), b"x");
    }
    let server = start(tree);
    let gone = Arc::new(source(&server, "f"));
    let entry = find(&*gone, "7/7");
    let mut steps = gone.walk().unwrap();
    assert!(steps.next().unwrap().is_ok());
    drop(server);
    let last = steps.last().unwrap();
    assert_eq!(last.err().map(|gap| gap.reason), Some(GapReason::Read));
    assert!(gone.gone().is_some());
    assert_eq!(gone.open(&entry).err().map(|gap| gap.reason), Some(GapReason::Read));
}

#[test]
fn lies_are_seen_through() {
    let mut tree = Tree::new();
    tree.put(tree.root(), "f", Node::folder());
    tree.file("f\\honest", b"x");
    tree.file("f\\short", &[1; 1000]);
    tree.file("f\\dribbles", &[2; 3 << 20]);
    tree.file("f\\flickers", &[3; 3 << 20]);
    tree.at_mut("f\\short").unwrap().quirks.claimed_size = Some(5 << 20);
    tree.at_mut("f\\dribbles").unwrap().quirks.read_at_most = Some(100_000);
    tree.at_mut("f\\flickers").unwrap().quirks.flickers = true;
    let odd = ["..", "a\\b", "a/b", "a:b", "", "a\0"];
    tree.at_mut("f").unwrap().quirks.also_lists = odd.iter().map(|name| name.encode_utf16().collect()).collect();
    let server = start(tree);
    let source = source(&server, "f");
    let all = walk(&source);
    assert_eq!(all.len(), 5);
    assert_eq!(all[0].node.gap.as_ref().map(|gap| gap.reason), Some(GapReason::Name));
    let dribbled = contract::read(&source, &find(&source, "dribbles")).unwrap();
    assert!(dribbled == [(0, vec![2; 3 << 20])]);
    for path in ["short", "flickers"] {
        let entry = find(&source, path);
        let mut file = source.open(&entry).unwrap();
        let mut buffer = vec![0; 1 << 20];
        while !matches!(file.next(&mut buffer).unwrap(), Piece::End) {}
        assert_eq!(file.finish(&mut entry.node.clone()).unwrap(), Steady::Changed, "{path}");
    }
}
