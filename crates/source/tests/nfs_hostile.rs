//! Exports of a server that lies, breaks down or starts anew, and of one with access lists, which Ganesha has not.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

#[path = "../../nfs/tests/scripted/mod.rs"]
mod scripted;

mod contract;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contract::acl;
use keepwell_format::node::{Attribute, Content, Extents, FileId, Owner};
use keepwell_format::port::{Piece, Placing, Source as _, Steady, Target as _, Walked};
use keepwell_format::{ContentHash, GapReason, Key, Kind, Node, Time};
use keepwell_source::{NfsSource, NfsTarget, NfsUrl, NfsVersion, Opening};
use scripted::{Act, Call, NFS, NFS_ACL, Words, serve};

const GETATTR: u32 = 1;
const SETATTR: u32 = 2;
const LOOKUP: u32 = 3;
const READ: u32 = 6;
const WRITE: u32 = 7;
const CREATE: u32 = 8;
const REMOVE: u32 = 12;
const RENAME: u32 = 14;
const LINK: u32 = 15;
const LIST: u32 = 17;
const COMMIT: u32 = 21;

fn url(port: u16) -> NfsUrl {
    let (port, mount_port) = (Some(port), Some(port));
    let export = b"/x".to_vec();
    NfsUrl {
        host: "127.0.0.1".into(),
        port,
        export,
        version: NfsVersion::V3,
        mount_port,
        path: Vec::new(),
        uid: Some(0),
        gid: Some(0),
        groups: Vec::new(),
    }
}

fn source(script: impl Fn(&Call) -> Act + Send + Sync + 'static) -> NfsSource {
    NfsSource::connect_with(&url(serve(script)), Duration::from_millis(400)).unwrap()
}

/// Keys and gaps of a walk whose listings the script answers; it gets folder and cookie.
fn walk(list: impl Fn(u64, u64) -> Words + Send + Sync + 'static) -> Vec<(String, Option<GapReason>)> {
    let source = source(move |call| if call.is(NFS, LIST) { Act::Answer(list(folder(call), cookie(call))) } else { Act::Usual });
    source.walk().unwrap().map(Result::unwrap).map(|entry| (entry.key.to_string(), entry.node.gap.map(|gap| gap.reason))).collect()
}

fn folder(call: &Call) -> u64 {
    u64::from_be_bytes(call.arguments[4..12].try_into().unwrap())
}

fn cookie(call: &Call) -> u64 {
    u64::from(call.word(0)) << 32 | u64::from(call.word(1))
}

fn told(walked: &[(&str, Option<GapReason>)]) -> Vec<(String, Option<GapReason>)> {
    walked.iter().map(|(key, gap)| ((*key).to_owned(), *gap)).collect()
}

fn file(name: &str, size: u64) -> Walked {
    let mut node = Node::new(Kind::File);
    node.file_id = Some(FileId { volume: 7, file: 9 });
    Walked { key: Key::root().join(name.as_bytes()).unwrap(), node, size, streams: Vec::new() }
}

#[test]
fn names_that_lead_elsewhere_are_left_out_and_told() {
    let names: [&[u8]; 8] = [b"b", b"../../etc", b"..", b"/etc/passwd", b"a\0b", b"", b"a", b"."];
    let walked = walk(move |_, _| {
        let list = names.iter().zip(2..).fold(Words::listing(0), |list, (name, number)| list.entry(name, 1, number, number, 0));
        list.no_more(true)
    });
    assert_eq!(walked, told(&[("/", Some(GapReason::Name)), ("a", None), ("b", None)]));
}

#[test]
fn folders_without_end_come_to_an_end() {
    // The same page again and again.
    let walked = walk(|_, _| Words::listing(0).entry(b"a", 1, 2, 5, 0).no_more(false));
    assert_eq!(walked, told(&[("/", Some(GapReason::Listing)), ("a", None)]));
    // Pages without entries.
    let walked = walk(|_, cookie| Words::listing(0).entry(b"..", 2, 2, cookie + 1, 0).no_more(false));
    assert_eq!(walked, told(&[("/", Some(GapReason::Listing))]));
    // Long names without end.
    let walked = walk(|_, cookie| {
        let name = |n: u64| [&[b'n'; 4000][..], format!("{n:09}").as_bytes()].concat();
        let list = (cookie..cookie + 250).fold(Words::listing(0), |list, n| list.entry(&name(n), 1, n, n + 1, 0));
        list.no_more(false)
    });
    assert_eq!(walked[0], ("/".into(), Some(GapReason::Listing)));
    assert!((60_000..70_000).contains(&walked.len()), "{}", walked.len());
}

#[test]
fn a_folder_that_contains_itself_is_not_entered_again() {
    let walked = walk(|folder, _| Words::listing(0).entry(b"x", 2, 3 - folder, 1, 0).no_more(true));
    assert_eq!(walked, told(&[("/", None), ("x", None), ("x/x", Some(GapReason::Unsupported))]));
}

#[test]
fn listings_begin_anew_when_the_folder_changed() {
    let changes = AtomicUsize::new(0);
    let walked = walk(move |_, cookie| match cookie {
        0 => Words::listing(changes.load(Ordering::SeqCst) as u64).entry(b"a", 1, 2, 1, 0).no_more(false),
        // NFS3ERR_BAD_COOKIE, then a listing with another verifier, then the same twice.
        _ => match changes.fetch_add(1, Ordering::SeqCst) {
            0 => Words::of(&[10_003, 0]),
            1 => Words::listing(99).entry(b"from another listing", 1, 4, 2, 0).no_more(true),
            _ => Words::listing(2).entry(b"b", 1, 3, 2, 0).no_more(true),
        },
    });
    assert_eq!(walked, told(&[("/", None), ("a", None), ("b", None)]));
}

#[test]
fn a_server_without_readdirplus_is_listed_name_by_name() {
    const READDIR: u32 = 16;
    let source = source(|call| match call {
        // NFS3ERR_NOTSUPP.
        call if call.is(NFS, LIST) => Act::Answer(Words::of(&[10_004, 0])),
        call if call.is(NFS, READDIR) => {
            let names = [(b"a", 2), (b"b", 3)].iter().fold(Words::listing(0), |list, (name, n)| list.u32(1).u64(*n).opaque(*name).u64(*n));
            Act::Answer(names.no_more(true))
        }
        call if call.is(NFS, LOOKUP) && call.arguments.ends_with(b"a\0\0\0") => {
            Act::Answer(Words::of(&[0]).opaque(&[2; 8]).u32(1).attributes(1, 2, 5).u32(0))
        }
        call if call.is(NFS, LOOKUP) => Act::Answer(Words::of(&[13, 0])),
        _ => Act::Usual,
    });
    let walked: Vec<Walked> = source.walk().unwrap().map(Result::unwrap).collect();
    assert_eq!(
        walked.iter().map(|entry| (entry.node.kind, entry.size)).collect::<Vec<_>>(),
        [(Kind::Folder, 0), (Kind::File, 5), (Kind::Unknown, 0)]
    );
    assert_eq!(walked[2].node.gap.as_ref().unwrap().reason, GapReason::Permission);
}

/// Answers LOOKUP and READ of one file of `size` bytes, each the low byte of its place.
fn serve_file(call: &Call, size: u64) -> Act {
    match call {
        call if call.is(NFS, LOOKUP) => Act::Answer(Words::of(&[0]).opaque(&9_u64.to_be_bytes()).u32(1).attributes(1, 9, size).u32(0)),
        call if call.is(NFS, READ) => {
            let (at, count) = (u64::from(call.word(1)), u64::from(call.word(2)).min(1000));
            let data: Vec<u8> = (at..size.min(at + count)).map(|place| place as u8).collect();
            let end = at + data.len() as u64 == size;
            Act::Answer(Words::of(&[0, 1]).attributes(1, 9, size).u32(data.len() as u32).u32(end.into()).opaque(&data))
        }
        call if call.is(NFS, GETATTR) && folder(call) == 9 => Act::Answer(Words::of(&[0]).attributes(1, 9, size)),
        _ => Act::Usual,
    }
}

fn read(source: &NfsSource, size: u64) -> (Vec<u8>, Steady) {
    let entry = file("f", size);
    let mut reader = source.open(&entry).unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 700]);
    while let Piece::Data(some) = reader.next(&mut buffer).unwrap() {
        bytes.extend_from_slice(&buffer[..some]);
    }
    let steady = reader.finish(&mut entry.node.clone()).unwrap();
    (bytes, steady)
}

#[test]
fn short_reads_are_gone_on_with_and_nothing_for_ever_is_an_error() {
    let source = source(|call| serve_file(call, 5_500));
    assert_eq!(read(&source, 5_500), ((0..5_500_u64).map(|place| place as u8).collect(), Steady::Unchanged));
    let nothing = self::source(|call| if call.is(NFS, READ) { Act::Answer(Words::of(&[0, 0, 0, 0, 0])) } else { serve_file(call, 9) });
    assert_eq!(nothing.open(&file("f", 9)).err().unwrap().reason, GapReason::Read);
}

#[test]
fn a_connection_that_breaks_and_a_server_that_stalls_are_outlived() {
    for trouble in [|| Act::Reset, || Act::Silence, || Act::Raw(vec![0xFF; 8])] {
        let reads = AtomicUsize::new(0);
        let source = source(move |call| {
            let third = call.is(NFS, READ) && reads.fetch_add(1, Ordering::SeqCst) == 2;
            if third { trouble() } else { serve_file(call, 5_500) }
        });
        assert_eq!(read(&source, 5_500).0.len(), 5_500);
    }
}

#[test]
fn a_server_that_asks_for_patience_gets_some() {
    let reads = AtomicUsize::new(0);
    let source = source(move |call| {
        // NFS3ERR_JUKEBOX.
        let wait = call.is(NFS, READ) && reads.fetch_add(1, Ordering::SeqCst) < 2;
        if wait { Act::Answer(Words::of(&[10_008, 0])) } else { serve_file(call, 10) }
    });
    assert_eq!(read(&source, 10), ((0..10).collect(), Steady::Unchanged));
}

#[test]
fn a_server_that_is_gone_ends_the_walk_with_an_error() {
    let source = source(|call| if call.is(NFS, LIST) { Act::Silence } else { Act::Usual });
    let mut walk = source.walk().unwrap();
    assert!(walk.next().unwrap().is_err());
    assert!(walk.next().is_none());
}

#[test]
fn another_file_under_the_handle_is_not_read_as_the_one_that_was_listed() {
    let source = source(|call| match call {
        call if call.is(NFS, READ) => Act::Answer(Words::of(&[0, 1]).attributes(1, 10, 1).u32(1).u32(1).opaque(b"x")),
        call => serve_file(call, 1),
    });
    assert_eq!(source.open(&file("f", 1)).err().unwrap().reason, GapReason::Vanished);
}

/// The list that `acl::usual` is, on the wire.
fn list() -> Words {
    let entries = [(1, 0, 7), (2, 4711, 4), (4, 0, 4), (8, 815, 6), (16, 0, 6), (32, 0, 0)];
    entries.iter().fold(Words::of(&[6, 6]), |out, (tag, id, permissions)| out.u32(*tag).u32(*id).u32(*permissions))
}

#[test]
fn access_lists_come_with_folders_and_with_files_that_are_read() {
    let source = source(|call| match call {
        call if call.program == NFS_ACL => Act::Answer(Words([Words::of(&[0, 0, 15]).0, list().0, Words::of(&[0, 0]).0].concat())),
        call => serve_file(call, 10),
    });
    let expected = [Attribute { name: b"system.posix_acl_access".to_vec(), value: acl::usual() }];
    let root = source.walk().unwrap().next().unwrap().unwrap();
    assert_eq!(root.node.attributes, expected);
    let entry = file("f", 10);
    let mut node = entry.node.clone();
    let mut reader = source.open(&entry).unwrap();
    while !matches!(reader.next(&mut [0; 64]).unwrap(), Piece::End) {}
    assert_eq!(reader.finish(&mut node).unwrap(), Steady::Unchanged);
    assert_eq!(node.attributes, expected);
}

/// Program, procedure and arguments.
type Called = (u32, u32, Vec<u8>);

/// What a target asked for, without reads.
fn write(script: impl Fn(&Call) -> Option<Act> + Send + Sync + 'static, size: u64, node: &Node) -> (Vec<Called>, Result<(), String>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let port = serve(move |call| {
        if call.program == NFS_ACL && call.procedure == 2
            || call.program == NFS && [SETATTR, WRITE, COMMIT, LOOKUP, RENAME, REMOVE].contains(&call.procedure)
        {
            seen.lock().unwrap().push((call.program, call.procedure, call.arguments.clone()));
        }
        script(call).unwrap_or_else(|| match (call.program, call.procedure) {
            (NFS, CREATE) => Act::Answer(Words::of(&[0, 1]).opaque(&9_u64.to_be_bytes()).u32(1).attributes(1, 9, 0)),
            (NFS, WRITE) => Act::Answer(Words::of(&[0, 0, 0, call.word(2), call.word(3)]).u64(5)),
            (NFS, COMMIT) => Act::Answer(Words::of(&[0, 0, 0]).u64(5)),
            (NFS, SETATTR | REMOVE | LINK) | (NFS_ACL, 2) => Act::Answer(Words::of(&[0, 0, 0])),
            (NFS_ACL, 1) => Act::Answer(Words([Words::of(&[0, 0, 15]).0, list().0, Words::of(&[0, 0]).0].concat())),
            _ => Act::Usual,
        })
    });
    let target = NfsTarget::connect_with(&url(port), Opening::Merge, Duration::from_millis(400)).unwrap();
    let content = Content { size, hash: ContentHash::NONE, extents: Extents::Inline(Vec::new()) };
    let mut writer = target.file(&Key::root().join(b"f").unwrap(), node, &content, Placing::New).unwrap();
    let pieces = vec![3; 2 << 20];
    let written = pieces[..size as usize].chunks(1 << 20).zip(0..).try_for_each(|(piece, n)| writer.write_at(n << 20, piece));
    let done = written.and_then(|()| writer.finish(node)).map_err(|error| error.text);
    let calls = calls.lock().unwrap().clone();
    (calls, done)
}

fn count(calls: &[Called], procedure: u32) -> usize {
    calls.iter().filter(|call| (call.0, call.1) == (NFS, procedure)).count()
}

#[test]
fn writes_that_a_restarted_server_forgot_are_sent_again() {
    let commits = Arc::new(AtomicUsize::new(0));
    let node = Node::new(Kind::File);
    let counted = Arc::clone(&commits);
    // The server was started anew between the writes and the first COMMIT.
    let script = move |call: &Call| {
        let verifier = 5 + u64::from(counted.load(Ordering::SeqCst) > 0);
        if call.is(NFS, COMMIT) {
            counted.fetch_add(1, Ordering::SeqCst);
            return Some(Act::Answer(Words::of(&[0, 0, 0]).u64(6)));
        }
        call.is(NFS, WRITE).then(|| Act::Answer(Words::of(&[0, 0, 0, call.word(2), 0]).u64(verifier)))
    };
    let (calls, done) = write(script, 2 << 20, &node);
    assert_eq!((count(&calls, WRITE), count(&calls, COMMIT), done), (4, 2, Ok(())));
    // One that forgets for ever is given up.
    let (calls, done) = write(|call| call.is(NFS, COMMIT).then(|| Act::Answer(Words::of(&[0, 0, 0]).u64(6))), 2 << 20, &node);
    assert_eq!(count(&calls, COMMIT), 4);
    assert!(done.unwrap_err().contains("forgets"));
}

#[test]
fn small_files_are_durable_in_one_round_trip_and_short_writes_are_gone_on_with() {
    let node = Node::new(Kind::File);
    let (calls, done) = write(|_| None, 1000, &node);
    assert_eq!((count(&calls, WRITE), count(&calls, COMMIT), done), (1, 0, Ok(())));
    let short = |call: &Call| call.is(NFS, WRITE).then(|| Act::Answer(Words::of(&[0, 0, 0, call.word(2).min(400), 2]).u64(5)));
    let (calls, done) = write(short, 1000, &node);
    assert_eq!((count(&calls, WRITE), done), (3, Ok(())));
    let (_, done) = write(|call| call.is(NFS, WRITE).then(|| Act::Answer(Words::of(&[0, 0, 0, 0, 2]).u64(5))), 1000, &node);
    assert!(done.unwrap_err().contains("takes no bytes"));
    let (_, done) = write(|call| call.is(NFS, WRITE).then(|| Act::Answer(Words::of(&[0, 0, 0, 1001, 2]).u64(5))), 1000, &node);
    assert!(done.is_err());
}

#[test]
fn metadata_is_set_in_order_owner_mode_access_list_time() {
    let mut node = Node::new(Kind::File);
    node.owner = Some(Owner { mode: 0o4755, uid: 4, gid: 5 });
    node.mtime = Some(Time { seconds: 1_000_000, nanos: 7 });
    node.attributes = vec![Attribute { name: b"system.posix_acl_access".to_vec(), value: acl::usual() }];
    let (calls, done) = write(|_| None, 0, &node);
    assert_eq!(done, Ok(()));
    let words = |call: &Called| call.2[12..].chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect::<Vec<_>>();
    assert_eq!(calls.iter().map(|call| (call.0, call.1)).collect::<Vec<_>>(), [(NFS, 2), (NFS, 2), (NFS_ACL, 2), (NFS, 2), (NFS, REMOVE)]);
    assert_eq!(words(&calls[0]), [0, 1, 4, 1, 5, 0, 0, 0, 0]);
    assert_eq!(words(&calls[1]), [1, 0o4755, 0, 0, 0, 0, 0, 0]);
    let nobody = |words: Vec<u32>| words.into_iter().map(|word| if word == u32::MAX { 0 } else { word }).collect::<Vec<_>>();
    assert_eq!(
        nobody(words(&calls[2])),
        [&[15][..], &list().0.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect::<Vec<_>>(), &[0, 0]].concat()
    );
    assert_eq!(words(&calls[3]), [0, 0, 0, 0, 0, 2, 1_000_000, 7, 0]);
}

#[test]
fn a_server_without_hard_links_is_looked_at_before_a_file_is_renamed() {
    let node = Node::new(Kind::File);
    let without = |free: bool| {
        move |call: &Call| match call.procedure {
            _ if call.program != NFS => None,
            // NFS3ERR_PERM, as servers of FAT answer.
            LINK => Some(Act::Answer(Words::of(&[1, 0, 0, 0]))),
            LOOKUP if free => Some(Act::Answer(Words::of(&[2, 0]))),
            LOOKUP => Some(Act::Answer(Words::of(&[0]).opaque(&[3; 8]).u32(1).attributes(1, 3, 5).u32(0))),
            RENAME => Some(Act::Answer(Words::of(&[0, 0, 0, 0, 0]))),
            _ => None,
        }
    };
    let procedures = |calls: &[Called]| calls.iter().map(|call| call.1).collect::<Vec<_>>();
    let (calls, done) = write(without(true), 0, &node);
    assert_eq!((procedures(&calls), done), (vec![LOOKUP, RENAME], Ok(())));
    let (calls, done) = write(without(false), 0, &node);
    assert_eq!(procedures(&calls), [LOOKUP, REMOVE]);
    assert!(done.unwrap_err().contains("exists"));
}

#[test]
fn a_name_that_was_taken_meanwhile_is_left_as_it_is() {
    // NFS3ERR_EXIST.
    let (calls, done) = write(|call| call.is(NFS, LINK).then(|| Act::Answer(Words::of(&[17, 0, 0, 0]))), 0, &Node::new(Kind::File));
    assert_eq!(calls.iter().map(|call| call.1).collect::<Vec<_>>(), [REMOVE]);
    assert!(done.unwrap_err().contains("exists"));
}
