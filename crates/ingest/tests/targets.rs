//! What a target is told, in which order, and how its errors come back.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod model;

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use keepwell_format::node::{Content, Extents, Stream};
use keepwell_format::port::{Piece, Placing, Present, ReadFile, Source, Steady, Target, WriteError, WriteFile};
use keepwell_format::{BlobId, ContentHash, Extent, Gap, Key, Kind, Node};
use keepwell_ingest::{
    Call, CheckOrder, Checked, Doors, IngestError, Opening, Refusal, RemoteTarget, SourceOrder, TargetOrder, Warned, WarnedTarget, answer,
};
use model::{bytes, gap, key};

/// Notes all that it is told. Files whose name begins with a word fail there.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn done(&self, note: String, key: &Key, word: &str) -> Result<(), WriteError> {
        self.add(note);
        let fails = key.name().starts_with(word.as_bytes());
        if fails { Err(WriteError { fatal: word == "full", text: format!("it fails: {word}") }) } else { Ok(()) }
    }
}

struct Writing {
    notes: Notes,
    key: Key,
    name: String,
}

impl WriteFile for Writing {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let sum = bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        self.notes.done(format!("write {} {at} {} {sum}", self.name, bytes.len()), &self.key, "full")
    }

    fn finish(self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        self.notes.done(format!("finish {} {:?}", self.name, node.dos), &self.key, "late")
    }

    fn abandon(self: Box<Self>) {
        self.notes.add(format!("abandon {}", self.name));
    }
}

/// Four million bytes, and a hole.
struct Back(u64);

impl ReadFile for Back {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        const DATA: u64 = 4_000_000;
        let (at, left) = (self.0, DATA.saturating_sub(self.0));
        let count = buffer.len().min(100_000).min(left as usize);
        self.0 += (count as u64).max(1);
        for (byte, at) in buffer[..count].iter_mut().zip(at..) {
            *byte = (at / 999) as u8;
        }
        match at {
            0..DATA => Ok(Piece::Data(count)),
            DATA => Ok(Piece::Hole(7)),
            _ => Ok(Piece::End),
        }
    }

    fn finish(&mut self, _node: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

impl Target for Notes {
    fn look(&self, key: &Key) -> Result<Option<Present>, WriteError> {
        self.done(format!("look {key}"), key, "full")?;
        Ok((key.name() == b"there").then_some(Present { kind: Kind::Reparse, size: u64::MAX, mtime: None }))
    }

    fn is_unfinished(&self, folder: &Key) -> bool {
        folder.name() == b"there"
    }

    fn lacking(&self) -> Vec<String> {
        vec!["owners".to_owned()]
    }

    fn folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.done(format!("folder {key} {:?}", node.dos), key, "shut")
    }

    fn file(&self, key: &Key, node: &Node, content: &Content, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        self.done(format!("file {key} {:?} {content:?} {placing:?}", node.streams.len()), key, "shut")?;
        Ok(Box::new(Writing { notes: self.clone(), key: key.clone(), name: key.to_string() }))
    }

    fn stream(&self, key: &Key, stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        let name = format!("{key}:{}", stream.name.escape_ascii());
        self.add(format!("stream {name} {:?}", stream.content));
        Ok(Box::new(Writing { notes: self.clone(), key: Key::root(), name }))
    }

    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.done(format!("special {key} {:?}", node.target), key, "shut")
    }

    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError> {
        self.done(format!("link {key} {to}"), key, "shut")
    }

    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.done(format!("finish folder {key} {:?}", node.dos), key, "late")
    }

    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        self.add(format!("read {key} {stream:?}"));
        if key.name() == b"shut" { Err(gap("it is shut")) } else { Ok(Box::new(Back(0))) }
    }

    fn differences(&self, key: &Key, _node: &Node) -> Result<Vec<&'static str>, Gap> {
        if key.name() == b"shut" { Err(gap("it is shut")) } else { Ok(vec!["dos attributes", "link target", "what nobody knows"]) }
    }

    fn sync(&self) -> Result<(), WriteError> {
        self.done("sync".to_owned(), &Key::root(), "full")
    }

    fn parallel_writes(&self) -> usize {
        1000
    }
}

impl WarnedTarget for Notes {
    fn target(&self) -> &dyn Target {
        self
    }

    fn warned(&self) -> Warned {
        Warned { count: 1 << 40, first: (0..300).map(|n| (key(&format!("{n}")), "w".repeat(10_000))).collect() }
    }
}

impl Doors for Notes {
    fn source(&self, _order: &SourceOrder) -> Result<Box<dyn Source>, Refusal> {
        Err(Refusal { code: "not-found".to_owned(), text: "there is no source".to_owned(), causes: Vec::new() })
    }

    fn target(&self, order: &TargetOrder) -> Result<Box<dyn WarnedTarget>, Refusal> {
        self.add(format!("{order:?}"));
        Ok(Box::new(self.clone()))
    }

    fn check(&self, _order: &CheckOrder) -> Result<Checked, Refusal> {
        Err(Refusal { code: "not-found".to_owned(), text: "there is no account".to_owned(), causes: Vec::new() })
    }
}

fn open(notes: &Notes) -> (RemoteTarget, JoinHandle<Result<(), IngestError>>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let doors = notes.clone();
    let answering = std::thread::spawn(move || answer(theirs, &doors));
    let order = TargetOrder {
        location: "model://x".to_owned(),
        password: Some("sesam".to_owned().into()),
        opening: Opening::Preview { empty: true },
    };
    (Call::begin(ours).unwrap().target(order).unwrap(), answering)
}

fn content(size: u64, held: u32) -> Content {
    let extent = Extent { at: 0, blob: BlobId([3; 32]), offset: 9, length: held };
    Content { size, hash: ContentHash([7; 32]), extents: Extents::Inline(if held > 0 { vec![extent] } else { Vec::new() }) }
}

#[test]
fn all_that_is_asked_is_told_and_answered() {
    let notes = Notes::default();
    let (target, answering) = open(&notes);
    assert_eq!(notes.taken(), ["TargetOrder { location: \"model://x\", opening: Preview { empty: true }, .. }"]);
    assert_eq!((target.parallel_writes(), target.lacking()), (64, vec!["owners".to_owned()]));
    let node = Node { dos: Some(5), target: Some(b"to".to_vec()), link_to: None, ..Node::new(Kind::Symlink) };
    let folder = Node { dos: Some(6), ..Node::new(Kind::Folder) };
    assert_eq!(target.look(&key("there")).unwrap(), Some(Present { kind: Kind::Reparse, size: u64::MAX, mtime: None }));
    assert_eq!(
        (target.look(&key("a")).unwrap(), target.is_unfinished(&key("there")), target.is_unfinished(&key("a"))),
        (None, true, false)
    );
    assert_eq!(target.look(&key("full")), Err(WriteError { fatal: true, text: "it fails: full".to_owned() }));
    target.folder(&Key::root(), &folder).unwrap();
    assert!(target.folder(&key("shut"), &folder).is_err_and(|error| !error.fatal));
    target.special(&key("s"), &node).unwrap();
    target.link(&key("l"), &key("s")).unwrap();
    assert!(target.finish_folder(&key("late"), &folder).is_err());
    assert_eq!(target.differences(&key("a"), &node).unwrap(), ["dos attributes", "link target", "metadata"]);
    assert_eq!(target.differences(&key("shut"), &node).unwrap_err().text, "it is shut");
    target.sync().unwrap();
    let warned = target.warnings();
    assert_eq!(warned.count, 1 << 40);
    assert!(warned.first.len() > 10 && warned.first.iter().all(|(_, text)| text.len() == 4096));
    let told =
        ["look /there", "look /a", "look /full", "folder / Some(6)", "folder /shut Some(6)", "special /s Some([116, 111])", "link /l /s"];
    let told: Vec<String> = told.iter().map(|note| note.replace(" /", " ")).collect();
    let heard: Vec<String> = notes.taken().iter().map(|note| note.replace(" /", " ")).collect();
    assert_eq!(heard[..7], told[..]);
    assert!(target.failure().is_none());
    drop(target);
    assert!(answering.join().unwrap().is_ok());
}

/// A stream begins when all that was sent of its file is done, and nothing of a file overtakes anything else of it.
#[test]
fn files_and_their_streams_are_written_in_order() {
    let notes = Notes::default();
    let (target, _answering) = open(&notes);
    notes.taken();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let target = &target;
            scope.spawn(move || {
                for n in 0..4 {
                    let at = key(&format!("w{writer}n{n}"));
                    let stream = Stream { name: b"s".to_vec(), content: content(10, 5) };
                    let node = Node { dos: Some(n), streams: vec![stream.clone()], ..Node::new(Kind::File) };
                    let mut file = target.file(&at, &node, &content(9 << 20, 0), Placing::New).unwrap();
                    for piece in 0..6 {
                        file.write_at(piece << 20, &bytes(piece, 1_500_000)).unwrap();
                    }
                    let mut out = target.stream(&at, &stream).unwrap();
                    out.write_at(3, b"x").unwrap();
                    out.finish(&node).unwrap();
                    file.finish(&node).unwrap();
                }
            });
        }
    });
    let all = notes.taken();
    let first = Extents::Inline(vec![Extent { at: 0, blob: BlobId([0; 32]), offset: 0, length: 1 }]);
    let shape = |size, extents| Content { size, hash: ContentHash::NONE, extents };
    for writer in 0..4 {
        for n in 0..4 {
            let name = format!("w{writer}n{n}");
            let own: Vec<_> =
                all.iter().filter(|note| note.contains(&format!(" {name} ")) || note.contains(&format!(" {name}:"))).collect();
            let mut wanted = vec![format!("file {name} 1 {:?} New", shape(9 << 20, Extents::Inline(Vec::new())))];
            for piece in 0..6_u64 {
                for (at, part) in [(0, 0..1 << 20), (1 << 20, 1 << 20..1_500_000)] {
                    let sum: u64 = bytes(piece, 1_500_000)[part.clone()].iter().map(|byte| u64::from(*byte)).sum();
                    wanted.push(format!("write {name} {} {} {sum}", (piece << 20) + at, part.len()));
                }
            }
            wanted.push(format!("stream {name}:s {:?}", shape(10, first.clone())));
            wanted.extend([format!("write {name}:s 3 1 120"), format!("finish {name}:s Some({n})"), format!("finish {name} Some({n})")]);
            assert_eq!(own, wanted.iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn what_goes_wrong_with_a_file_is_told_with_the_next_write_or_at_its_end() {
    let notes = Notes::default();
    let (target, _answering) = open(&notes);
    let node = Node::new(Kind::File);
    let begin = |name: &str| target.file(&key(name), &node, &content(1, 0), Placing::Replace).unwrap();
    let text = |done: Result<(), WriteError>| done.map_err(|error| (error.fatal, error.text)).unwrap_err();
    assert_eq!(text(begin("shut").finish(&node)), (false, "it fails: shut".to_owned()));
    assert_eq!(text(begin("late").finish(&node)), (false, "it fails: late".to_owned()));
    let mut file = begin("full");
    let told = std::iter::repeat_with(|| file.write_at(0, &[0; 1 << 20])).find_map(Result::err).unwrap();
    assert!(told.fatal && text(file.finish(&node)).0);
    begin("fine").abandon();
    drop(begin("left"));
    target.sync().unwrap();
    // Nobody waits for a file to be abandoned.
    while notes.0.lock().unwrap().iter().filter(|note| note.starts_with("abandon")).count() < 3 {
        std::thread::yield_now();
    }
    let taken = notes.taken();
    assert_eq!(taken.iter().filter(|note| note.starts_with("write full")).count(), 1, "after an error nothing more is written");
    assert!(taken.contains(&"abandon full".to_owned()));
}

#[test]
fn what_was_written_is_read_back() {
    let notes = Notes::default();
    let (target, _answering) = open(&notes);
    let walked = keepwell_format::port::Walked { key: key("a"), node: Node::new(Kind::File), size: 0, streams: Vec::new() };
    let (there, ..) = model::finish(Box::new(Back(0)), &walked, 100_000).unwrap();
    for stream in [None, Some(&b"s"[..])] {
        let (here, ..) = model::finish(target.read(&key("a"), stream).unwrap(), &walked, 1 << 20).unwrap();
        assert!(here == there);
        // Begun and let go.
        assert!(target.read(&key("a"), stream).is_ok());
    }
    assert!(target.read(&key("shut"), None).unwrap().next(&mut [0; 9]).is_err_and(|gap| gap.text == "it is shut"));
}
