//! Files that lie about themselves, move while they are read, are locked, or answer with parts that make no sense.

use keepwell_smb::{FileTime, Open, Pending, Share, SmbError, Want};
use keepwell_smb_server::{Command, Content, Fault, NEW_YEAR, Node, Quirks, Rule, Status, Tree};

use super::{PATIENT, connect, ends, fetch, open, options, path, serve, tree};

fn odd(quirks: Quirks) -> Tree {
    let mut tree = tree();
    tree.put(tree.root(), "odd", Node::file(&b"0123456789"[..]).with_quirks(quirks));
    tree
}

const EVERYTHING: Want = Want { descriptor: true, sacl: true, streams: true, attributes: true, maximal_access: true, reparse: false };

#[test]
fn a_size_that_lies_is_no_whole_file() {
    for size in [0, 5, 11, 1 << 30, u64::MAX, 1 << 63] {
        ends(move || {
            let server = serve(odd(Quirks { claimed_size: Some(size), ..Quirks::default() }), []);
            let share = connect(&server, options(PATIENT)).unwrap();
            match fetch(&share, "odd") {
                Ok(fetched) => assert!(!fetched.whole && fetched.data.len() <= 10, "{size}"),
                Err(error) => assert!(matches!(error, SmbError::Malformed { .. }), "{size}: {error:?}"),
            }
            assert!(fetch(&share, "a.txt").unwrap().whole);
        });
    }
}

#[test]
fn reads_that_bring_more_or_less_than_asked() {
    ends(|| {
        let server = serve(odd(Quirks { read_extra: 7, ..Quirks::default() }), []);
        let share = connect(&server, options(PATIENT)).unwrap();
        let file = open(&share, "odd").unwrap();
        let read = file.begin_read(0, 10).and_then(Pending::wait);
        assert!(matches!(read, Err(SmbError::Malformed { .. })), "{read:?}");
        server.tree().at_mut("odd").unwrap().quirks = Quirks { read_at_most: Some(3), ..Quirks::default() };
        assert_eq!(file.begin_read(0, 10).and_then(Pending::wait).unwrap(), b"012"[..]);
        assert_eq!(file.begin_read(10, 10).and_then(Pending::wait).unwrap(), b""[..]);
        assert!(!fetch(&share, "odd").unwrap().whole);
    });
}

#[test]
fn a_file_that_moves_while_it_is_read_does_not_hold_still() {
    for quirks in [
        Quirks { grows: 100, ..Quirks::default() },
        Quirks { flickers: true, ..Quirks::default() },
        Quirks { changes_at_close: true, ..Quirks::default() },
    ] {
        ends(move || {
            let server = serve(odd(quirks.clone()), []);
            let share = connect(&server, options(PATIENT)).unwrap();
            assert_eq!(fetch(&share, "odd").unwrap().held_still(), Some(false), "{quirks:?}");
            assert_eq!(fetch(&share, "a.txt").unwrap().held_still(), Some(true));
        });
    }
}

#[test]
fn a_locked_file_is_read_from_the_snapshot() {
    ends(|| {
        let locked = Rule::on(Command::Create, Fault::Status(Status::SHARING_VIOLATION)).path("a.txt").live();
        let server = serve(tree(), [locked]);
        server.tree().file("a.txt", b"newer");
        let share = connect(&server, options(PATIENT)).unwrap();
        let error = fetch(&share, "a.txt").unwrap_err();
        assert_eq!((error.status().unwrap().0, error.is_gone()), (Status::SHARING_VIOLATION.0, false));
        assert_eq!(share.snapshots().unwrap(), [FileTime(NEW_YEAR)]);
        let before = share.begin_fetch(&path("a.txt"), 100, Want::default(), Some(FileTime(NEW_YEAR))).and_then(Pending::wait);
        assert_eq!(before.unwrap().data, b"the right data"[..]);
        let never = share.begin_fetch(&path("a.txt"), 100, Want::default(), Some(FileTime(7))).and_then(Pending::wait);
        assert!(never.unwrap_err().status().is_some());
    });
}

#[test]
fn everything_of_a_file_comes_byte_for_byte() {
    ends(|| {
        let mut tree = Tree::new();
        let mut node =
            Node::file(Content::sparse(1 << 41, &[(0, 10), (1 << 40, 70_000)], 3)).with_stream("a stream", Content::patterned(5 << 20, 9));
        node.streams.insert(vec![0xD800], b"odd".as_slice().into());
        node.extended = vec![(b"ONE".to_vec(), vec![1]), (b"TWO".to_vec(), vec![2; 500])];
        // Everyone and a foreign SID in the DACL, an audit entry, parts in an unusual order, bytes in between.
        let sid = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let acl = [&[2, 0, 28, 0, 1, 0, 0, 0, 2, 0xC0, 20, 0, 0xFF, 1, 31, 0][..], &sid].concat();
        let offsets = [90_u32, 104, 54, 22].map(u32::to_le_bytes).concat();
        node.descriptor = [&[1, 0, 0x14, 0x98][..], &offsets, &[0, 0], &acl, &[0; 4], &acl, &[0; 8], &sid, &[9, 9], &sid].concat();
        let expected = node.clone();
        let id = tree.put(tree.root(), "f", node);
        tree.link(tree.root(), "again", id);
        let server = serve(tree, []);
        let share = connect(&server, options(PATIENT)).unwrap();
        let file = share.begin_open(&path("f"), &Open::reading(EVERYTHING, None)).and_then(Pending::wait).unwrap();
        let stat = file.stat();
        assert_eq!((stat.info.size, stat.info.links, stat.info.file_id), (1 << 41, 2, id.0));
        assert!(stat.has_sacl && stat.descriptor.as_ref().unwrap().as_ref().unwrap() == &expected.descriptor);
        assert_eq!(stat.attributes.as_ref().unwrap(), &expected.extended);
        let streams: Vec<_> = stat.streams.as_ref().unwrap().iter().map(|stream| (stream.name.clone(), stream.size)).collect();
        assert_eq!(streams, [("a stream".encode_utf16().collect(), 5 << 20), (vec![0xD800], 3)]);
        assert_eq!(file.allocated_ranges(0, 1 << 41).unwrap(), [(0, 65536), (1 << 40, 131_072)]);
        assert_eq!(file.begin_read(1 << 40, 100).and_then(Pending::wait).unwrap(), expected.content.read(1 << 40, 100));
        file.close().unwrap();
        let stream = path("f").stream(&"a stream".encode_utf16().collect::<Vec<_>>()).unwrap();
        let fetched = share.begin_fetch(&stream, 5 << 20, Want::default(), None).and_then(Pending::wait).unwrap();
        let start = Content::patterned(5 << 20, 9).read(0, fetched.data.len());
        assert!(!fetched.data.is_empty() && fetched.data == start && fetched.stat.info.size == 5 << 20);
        assert_eq!(server.counts().breaches, [""; 0]);
    });
}

fn stat(share: &Share, want: Want) -> Result<keepwell_smb::Stat, SmbError> {
    share.begin_stat(&path("large"), want, None).and_then(Pending::wait)
}

#[test]
fn rights_that_are_missing_cost_only_their_part() {
    ends(|| {
        let options = keepwell_smb_server::Options { security_privilege: false, ..keepwell_smb_server::Options::default() };
        let server = keepwell_smb_server::Server::start_with(options, tree(), keepwell_smb_server::Faults::none()).unwrap();
        let share = connect(&server, super::options(PATIENT)).unwrap();
        let got = stat(&share, EVERYTHING).unwrap();
        assert!(!got.has_sacl && got.descriptor.unwrap().is_ok() && share.sacl_refused());
        server.faults().push(Rule::on(Command::QueryInfo, Fault::Status(Status::ACCESS_DENIED)));
        let got = stat(&share, EVERYTHING).unwrap();
        assert!(got.descriptor.unwrap().is_err() && got.streams.is_err() && got.attributes.is_err());
        assert_eq!(got.info.size, 300_000, "what the open has said");
    });
}

#[test]
fn parts_that_make_no_sense_are_errors_and_never_more() {
    // The length of the buffer, the start and the middle of what is in it.
    let words = [0_u32, 1, 0x7FFF_FFFF, u32::MAX];
    for (place, word) in [66, 68, 72, 76, 80, 84, 88, 96, 168].into_iter().flat_map(|place| words.map(|word| (place, word))) {
        ends(move || {
            let server = serve(tree(), []);
            let share = connect(&server, options(PATIENT)).unwrap();
            for (command, skip) in
                [(Command::QueryInfo, 0), (Command::QueryInfo, 1), (Command::QueryInfo, 2), (Command::QueryInfo, 3), (Command::Ioctl, 0)]
            {
                server.faults().clear();
                server.faults().push(Rule::on(command, Fault::Patch(place, word.to_le_bytes().to_vec())).skip(skip));
                // Whatever it is: it comes, and it is no error of the connection.
                for error in [stat(&share, EVERYTHING).err(), share.snapshots().err(), share.volume().err()].into_iter().flatten() {
                    assert!(!error.is_gone(), "{word:x} at {place} of {command:?} {skip}: {error:?}");
                }
                if let Ok(file) = open(&share, "large") {
                    let ranges = file.allocated_ranges(0, 300_000);
                    assert!(ranges.iter().flatten().all(|(start, length)| start + length <= 300_000), "{ranges:?}");
                }
            }
            assert!(server.counts().requests[&Command::QueryInfo] < 200);
        });
    }
}
