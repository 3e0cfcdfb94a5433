//! An answering end that is not what it should be: whatever it sends, the job ends with an error, and nothing else happens.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod model;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use keepwell_format::codec::Writer;
use keepwell_format::port::{Source as _, Walked};
use keepwell_format::{Content, ContentHash, Gap, Key, Kind, LeafBuilder, Node};
use keepwell_ingest::{Call, IngestError, RemoteSource, answer};
use model::{Door, Model, order, read};

const OPENED: u8 = 130;
const HEARTBEAT: u8 = 132;
const ENTRIES: u8 = 133;
const WALK_END: u8 = 134;
const DATA: u8 = 135;
const HOLE: u8 = 136;
const FILE_END: u8 = 137;
const SERVER_GONE: u8 = 138;
const ANSWER: u8 = 139;
const WRITE_CREDIT: u8 = 140;
const OPEN: u8 = 9;

/// The channels of the first walk, and of the first file.
const WALK: u32 = 1;
const FILE: u32 = 2;

fn frame(kind: u8, channel: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&length.to_le_bytes()[..], &[kind], &channel.to_le_bytes(), payload].concat()
}

fn greeting(parallel: u8) -> Vec<u8> {
    let mut info = Writer::new();
    info.text("x").text("y").u8(1).u8(parallel);
    [frame(129, 0, b"KWINGEST\x01\0"), frame(OPENED, 0, info.as_bytes())].concat()
}

fn node(kind: Kind) -> Node {
    Node::new(kind)
}

/// Entries from a number on; all of them files but the root and what ends in `/`.
fn entries(first: u64, names: &[&str]) -> Vec<u8> {
    let entry = |name: &&str| {
        let key = Key::from_path(name.as_bytes()).unwrap();
        let kind = if key.is_root() || name.ends_with('/') { Kind::Folder } else { Kind::File };
        (key, node(kind))
    };
    frame(ENTRIES, WALK, &page(first, &names.iter().map(entry).collect::<Vec<_>>()))
}

fn page(first: u64, entries: &[(Key, Node)]) -> Vec<u8> {
    let mut page = LeafBuilder::new();
    entries.iter().for_each(|(key, node)| page.push(key, node).unwrap());
    let mut out = Writer::new();
    out.varint(first).bytes(&page.finish());
    for _ in entries {
        out.varint(5).varint(0);
    }
    out.into_bytes()
}

/// A scripted other end: it greets, says `at_once`, and `later` when the first file is opened. Then it stays until the caller is gone.
fn scripted(at_once: Vec<u8>, later: Vec<u8>) -> (UnixStream, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let other = std::thread::spawn(move || {
        let mut heard = [0; 19];
        let mut stream = &theirs;
        let greeted = stream.read_exact(&mut heard).and_then(|()| stream.write_all(&greeting(4)));
        let mut at_once = Some(at_once);
        let mut head = [0; 9];
        while greeted.is_ok() && stream.read_exact(&mut head).is_ok() {
            let mut payload = vec![0; u32::from_le_bytes(head[..4].try_into().unwrap()) as usize];
            let _ = stream.read_exact(&mut payload);
            let script = match head[4] {
                4 => at_once.take().unwrap_or_default(),
                OPEN => later.clone(),
                _ => Vec::new(),
            };
            // The caller may have hung up already.
            let _ = stream.write_all(&script);
        }
    });
    (ours, other)
}

/// Walks, reads the first file, and says how the job ended.
fn use_it(remote: &RemoteSource) -> Result<usize, Gap> {
    let all: Vec<Walked> = remote.walk()?.collect::<Result<_, _>>()?;
    let first = all.iter().find(|walked| walked.node.kind == Kind::File);
    first.map_or(Ok(()), |walked| read(remote, walked, 1 << 20).map(drop))?;
    // Something that can't come back.
    Err(read(remote, first.unwrap_or(&all[0]), 100).err().unwrap_or(Gap { text: "it came twice".to_owned(), ..model::gap("") }))
}

fn refused(name: &str, at_once: Vec<u8>, later: Vec<u8>) {
    let (ours, other) = scripted(at_once, later);
    let remote = Call::begin(ours).unwrap().source(order()).unwrap();
    let used = use_it(&remote);
    assert!(used.is_err(), "{name}");
    let failure = remote.failure();
    assert!(matches!(failure, Some(IngestError::Protocol(_) | IngestError::Format(_))), "{name}: {failure:?} {used:?}");
    drop(remote);
    other.join().unwrap();
}

fn good() -> Vec<u8> {
    [entries(0, &["", "a"]), frame(WALK_END, WALK, &[])].concat()
}

#[test]
fn entries_that_are_no_tree_end_the_job() {
    let end = || frame(WALK_END, WALK, &[]);
    let mut owned = node(Kind::File);
    owned.content = Some(Content { size: 1, hash: ContentHash::NONE, extents: keepwell_format::node::Extents::Inline(Vec::new()) });
    let key = |name: &str| Key::from_path(name.as_bytes()).unwrap();
    let with = |second: (Key, Node)| frame(ENTRIES, WALK, &page(0, &[(Key::root(), node(Kind::Folder)), second]));
    let cases: [(&str, Vec<Vec<u8>>); 14] = [
        ("no root", vec![entries(0, &["a"])]),
        ("the root is a file", vec![frame(ENTRIES, WALK, &page(0, &[(Key::root(), node(Kind::File))]))]),
        ("going back", vec![entries(0, &["", "b"]), entries(2, &["a"])]),
        ("twice", vec![entries(0, &["", "b"]), entries(2, &["b"])]),
        ("the root twice", vec![entries(0, &[""]), entries(1, &[""])]),
        ("without a folder", vec![entries(0, &["", "a/b"])]),
        ("in a file", vec![entries(0, &["", "a", "a/b"])]),
        ("in a folder that is over", vec![entries(0, &["", "a/", "b"]), entries(3, &["a/c"])]),
        ("wrong number", vec![entries(1, &[""])]),
        ("number again", vec![entries(0, &["", "a"]), entries(1, &["b"])]),
        ("content", vec![with((key("a"), owned)), end()]),
        ("after the end", vec![entries(0, &[""]), end(), entries(1, &["a"])]),
        ("another channel", vec![frame(ENTRIES, 9, &page(0, &[(Key::root(), node(Kind::Folder))]))]),
        ("no page", vec![frame(ENTRIES, WALK, b"\0\x03abc")]),
    ];
    for (name, frames) in cases {
        refused(name, frames.concat(), Vec::new());
    }
    let too_many: Vec<(Key, Node)> =
        (0..600).map(|n| (if n == 0 { Key::root() } else { key(&format!("{n:05}/")) }, node(Kind::Folder))).collect();
    refused("a batch too long", frame(ENTRIES, WALK, &page(0, &too_many)), Vec::new());
    let batch = |n: u64| {
        let first = if n == 0 { vec![(Key::root(), node(Kind::Folder))] } else { Vec::new() };
        let rest = (first.len() as u64..500).map(|k| (key(&format!("{:09}", n * 500 + k)), node(Kind::Symlink)));
        frame(ENTRIES, WALK, &page(n * 500, &first.into_iter().chain(rest).collect::<Vec<_>>()))
    };
    // Nobody takes any: what waits is bounded.
    let (ours, _other) = scripted((0..12).flat_map(batch).collect(), Vec::new());
    let remote = Call::begin(ours).unwrap().source(order()).unwrap();
    let walk = remote.walk().unwrap();
    assert_eq!(failure(&remote), "more entries than were asked for");
    drop(walk);
}

/// Waits until the job has ended for what the other end did.
fn failure(remote: &RemoteSource) -> &'static str {
    loop {
        match remote.failure() {
            Some(IngestError::Protocol(why)) => return why,
            Some(other) => panic!("{other:?}"),
            None => std::thread::yield_now(),
        }
    }
}

/// Nobody takes any of it: what waits is bounded.
#[test]
fn more_of_a_file_than_its_window_ends_the_job() {
    let much = [vec![frame(DATA, FILE, &[1; 1 << 20]).repeat(2), frame(DATA, FILE, b"x")], vec![frame(HOLE, FILE, &[1]).repeat(600)]];
    for frames in much {
        let (ours, _other) = scripted(good(), frames.concat());
        let remote = Call::begin(ours).unwrap().source(order()).unwrap();
        let all: Vec<Walked> = remote.walk().unwrap().map(Result::unwrap).collect();
        let file = remote.open(&all[1]).unwrap();
        assert_eq!(failure(&remote), "more of a file than was asked for");
        drop(file);
    }
}

#[test]
fn content_that_nobody_asked_for_ends_the_job() {
    let end = |payload: &[u8]| frame(FILE_END, FILE, payload);
    let data = |length| frame(DATA, FILE, &vec![1; length]);
    let cases: [(&str, Vec<Vec<u8>>); 14] = [
        ("another channel", vec![frame(DATA, 77, b"x")]),
        ("the walk's channel", vec![frame(DATA, WALK, b"x")]),
        ("after its end", vec![end(&[1, 0]), data(1)]),
        ("a second end", vec![end(&[1, 0]), end(&[1, 0])]),
        ("nothing", vec![data(0)]),
        ("a hole of nothing", vec![frame(HOLE, FILE, &[0])]),
        ("unknown end", vec![end(&[7])]),
        ("half an end", vec![end(&[2, 3, 1])]),
        ("an end and more", vec![end(&[1, 0, 0])]),
        ("an answer", vec![frame(ANSWER, FILE, &[1])]),
        ("leave to write", vec![frame(WRITE_CREDIT, FILE, &[1])]),
        ("entries for a file", vec![frame(ENTRIES, FILE, b"")]),
        ("an order", vec![frame(OPEN, 9, b"\0\0")]),
        ("an unknown kind", vec![frame(99, 0, b""), frame(255, 0, b"")]),
    ];
    for (name, frames) in cases {
        refused(name, good(), frames.concat());
    }
    let mut huge = frame(DATA, FILE, b"");
    huge[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    refused("an endless frame", good(), huge);
    refused("opened again", good(), frame(OPENED, 0, b""));
}

/// What is not wrong is taken: a heartbeat at any time, and the end of a server.
#[test]
fn what_is_right_is_no_error() {
    let later =
        [frame(HEARTBEAT, 0, b""), frame(DATA, FILE, b"hello"), frame(SERVER_GONE, 0, b"\x03\x04gone"), frame(FILE_END, FILE, b"\x01\0")];
    let (ours, other) = scripted(good(), later.concat());
    let remote = Call::begin(ours).unwrap().source(order()).unwrap();
    let all: Vec<Walked> = remote.walk().unwrap().map(Result::unwrap).collect();
    let (runs, ..) = read(&remote, &all[1], 100).unwrap();
    assert_eq!(runs, [model::Run::Data(b"hello".to_vec())]);
    assert_eq!((remote.gone().unwrap().text.as_str(), remote.failure().is_none()), ("gone", true));
    drop(remote);
    other.join().unwrap();
}

#[test]
fn greetings_that_are_none_are_refused() {
    let hello = |bytes: &[u8]| frame(129, 0, bytes);
    let bad =
        [hello(b"KWINGEST\x02\0"), hello(b"KWINGEST\x01\0\0"), hello(b"KWOTHER\0\x01\0"), frame(OPENED, 0, b"KWINGEST\x01\0"), Vec::new()];
    for greeting in bad {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&theirs).write_all(&greeting).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(Call::begin(ours).is_err());
    }
    for parallel in [0, 65] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&theirs).write_all(&greeting(parallel)).unwrap();
        assert!(matches!(Call::begin(ours).unwrap().source(order()), Err(IngestError::Format(_))));
    }
}

/// Cuts the connection after so many bytes from the answering end.
fn cut_after(model: &Arc<Model>, most: usize) -> (UnixStream, JoinHandle<usize>) {
    let ((ours, proxy), (far, theirs)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let door = Door(Arc::clone(model));
    std::thread::spawn(move || drop(answer(theirs, &door)));
    let (mut up_from, mut up_to) = (proxy.try_clone().unwrap(), far.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut up_from, &mut up_to);
        let _ = up_to.shutdown(std::net::Shutdown::Both);
    });
    let down = std::thread::spawn(move || {
        let copied = std::io::copy(&mut (&far).take(most as u64), &mut &proxy).unwrap_or(0);
        let _ = (proxy.shutdown(std::net::Shutdown::Both), far.shutdown(std::net::Shutdown::Both));
        copied as usize
    });
    (ours, down)
}

/// All of a job: what was seen, or why it ended.
fn job(stream: UnixStream, model: &Model) -> Result<(), IngestError> {
    let remote = Call::begin(stream)?.source(order())?;
    let failed = |_: Gap| remote.failure().unwrap_or(IngestError::Gone(None));
    let mut seen = Vec::new();
    for walked in remote.walk().map_err(failed)? {
        let walked = walked.map_err(failed)?;
        remote.expect(&walked);
        seen.push(walked);
    }
    for walked in seen.iter().filter(|walked| walked.node.kind == Kind::File) {
        let (here, there) = (read(&remote, walked, 70_000), read(model, walked, 70_000));
        if let Some(why) = remote.failure() {
            assert!(remote.gone().is_some());
            return Err(why);
        }
        assert_eq!(here, there, "what differs would have been believed");
    }
    assert_eq!(seen.len(), model.rows.len());
    Ok(())
}

#[test]
fn an_answering_end_that_dies_at_any_byte_is_noticed() {
    let model = Arc::new(Model::varied(24));
    let (stream, copied) = cut_after(&model, usize::MAX);
    job(stream, &model).unwrap();
    let total = copied.join().unwrap();
    let early = (0..200).step_by(7);
    for most in early.chain((200..total).step_by(total / 60)) {
        let (stream, _) = cut_after(&model, most);
        let ended = job(stream, &model);
        assert!(matches!(ended, Err(IngestError::Gone(_))), "{most} of {total}: {ended:?}");
    }
}
