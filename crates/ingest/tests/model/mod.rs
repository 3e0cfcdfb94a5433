//! A tree in memory as a source, and doors that lead to it. Made from a list, read in pieces of any size; can be told to fail.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part of it; tests may unwrap")]

use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use keepwell_format::node::{Attribute, FileId};
use keepwell_format::port::{Encoding, Piece, ReadFile, Source, SourceInfo, Steady, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key, Kind, Node, Time};
use keepwell_ingest::{
    Call, CheckOrder, Checked, Doors, IngestError, May, Refusal, RemoteSource, SourceOrder, TargetOrder, WarnedTarget, answer,
};

/// A run of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Run {
    Data(Vec<u8>),
    Hole(u64),
}

/// What reading a file comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    Whole,
    Changed,
    /// It can't be opened.
    Shut,
    /// It can't be read to its end.
    Torn,
    /// Its end can't be looked at.
    Lost,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub walked: Walked,
    pub runs: Vec<Run>,
    pub fate: Fate,
    /// Streams by name, as [`ReadFile::streams`] tells them, or the walk.
    pub streams: Vec<(Vec<u8>, Vec<u8>)>,
}

pub struct Model {
    pub info: SourceInfo,
    pub rows: Vec<Row>,
    /// Most bytes of a piece.
    pub piece: usize,
    /// The walk ends with a gap after so many entries.
    pub walk_fails_at: Option<usize>,
    pub gone: AtomicBool,
    pub expected: Mutex<Vec<Key>>,
    pub opened: AtomicUsize,
}

pub fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

pub fn gap(text: &str) -> Gap {
    Gap { reason: GapReason::Read, text: text.to_owned() }
}

pub fn folder(path: &str) -> Row {
    row(path, Kind::Folder, Vec::new())
}

pub fn file(path: &str, runs: Vec<Run>) -> Row {
    row(path, Kind::File, runs)
}

fn row(path: &str, kind: Kind, runs: Vec<Run>) -> Row {
    let size = runs.iter().map(|run| match run {
        Run::Data(bytes) => bytes.len() as u64,
        Run::Hole(length) => *length,
    });
    let mut node = Node::new(kind);
    node.mtime = Some(Time { seconds: path.len() as i64 - 3, nanos: 999_999_999 });
    node.file_id = Some(FileId { volume: 7, file: u128::from(path.len() as u64) << 70 });
    let walked = Walked { key: key(path), node, size: size.sum(), streams: Vec::new() };
    Row { walked, runs, fate: Fate::Whole, streams: Vec::new() }
}

/// Bytes that differ from place to place.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

impl Model {
    pub fn new(mut rows: Vec<Row>) -> Self {
        rows.push(folder(""));
        rows.sort_by(|a, b| a.walked.key.cmp(&b.walked.key));
        let info =
            SourceInfo { location: "model://tree".to_owned(), identity: "model:1".to_owned(), encoding: Encoding::Wtf8, parallel_reads: 3 };
        let (expected, opened) = (Mutex::default(), AtomicUsize::new(0));
        Self { info, rows, piece: 100_000, walk_fails_at: None, gone: AtomicBool::new(false), expected, opened }
    }

    /// Files of all sizes, holes, changes and failures, in a few folders, with streams.
    pub fn varied(files: usize) -> Self {
        let mut rows = vec![folder("empty")];
        for n in 0..files {
            if n % 50 == 0 {
                let mut above = folder(&format!("{:05}", n / 50));
                above.walked.streams = vec![b"of a folder".to_vec()];
                above.streams = vec![(b"of a folder".to_vec(), bytes(n as u64, 10))];
                rows.push(above);
            }
            rows.push(varied_file(n));
        }
        Self::new(rows)
    }

    /// Many small files in one folder.
    pub fn plain(files: usize) -> Self {
        Self::new((0..files).map(|n| file(&format!("{n:06}"), vec![Run::Data(vec![n as u8; n % 100 + 1])])).collect())
    }

    pub fn row(&self, key: &Key) -> &Row {
        let at = self.rows.binary_search_by(|row| row.walked.key.cmp(key)).unwrap();
        &self.rows[at]
    }
}

fn varied_file(n: usize) -> Row {
    let data = |length| Run::Data(bytes(n as u64, length));
    let runs = match n % 11 {
        0 => Vec::new(),
        1 => vec![data(1)],
        2 => vec![Run::Hole(5 << 30)],
        3 => vec![Run::Hole(4096), data(300_000), Run::Hole(1), data(70)],
        4 if n.is_multiple_of(3) => vec![data(3_000_000)],
        5 => (0..600).flat_map(|k| [data(k + 1), Run::Hole(k as u64 + 1)]).collect(),
        6 => vec![data(262_144)],
        _ => vec![data(n * 7 % 30_000 + 1)],
    };
    let mut row = file(&format!("{:05}/file {n:06}", n / 50), runs);
    row.fate = match n {
        _ if n % 17 == 3 => Fate::Changed,
        _ if n % 41 == 5 => Fate::Shut,
        _ if n % 43 == 6 => Fate::Torn,
        _ if n % 47 == 7 => Fate::Lost,
        _ => Fate::Whole,
    };
    row.walked.node.attributes = vec![Attribute { name: b"user.a".to_vec(), value: bytes(n as u64, n % 100) }];
    if n.is_multiple_of(13) {
        row.streams = vec![(b"one".to_vec(), bytes(n as u64, 100)), (b"\xff".to_vec(), Vec::new())];
    }
    row
}

impl Source for Model {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        let most = self.walk_fails_at.unwrap_or(self.rows.len());
        let failure = self.walk_fails_at.map(|_| Err(gap("the server went away")));
        Ok(Box::new(self.rows.iter().take(most).map(|row| Ok(row.walked.clone())).chain(failure)))
    }

    fn expect(&self, entry: &Walked) {
        self.expected.lock().unwrap().push(entry.key.clone());
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let row = self.row(&entry.key);
        if row.fate == Fate::Shut {
            return Err(Gap { reason: GapReason::Permission, text: "it is shut".to_owned() });
        }
        let streams = row.streams.iter().map(|(name, _)| name.clone()).collect();
        Ok(Box::new(Reading { runs: row.runs.clone().into(), at: 0, piece: self.piece, fate: row.fate.clone(), streams }))
    }

    fn stream(&self, entry: &Walked, name: &[u8]) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let row = self.row(&entry.key);
        let (_, data) = row.streams.iter().find(|(known, _)| known == name).ok_or_else(|| gap("no such stream"))?;
        let runs = [Run::Data(data.clone())].into();
        Ok(Box::new(Reading { runs, at: 0, piece: self.piece, fate: Fate::Whole, streams: Vec::new() }))
    }

    fn gone(&self) -> Option<Gap> {
        self.gone.load(Ordering::Relaxed).then(|| gap("the server is gone"))
    }
}

struct Reading {
    runs: std::collections::VecDeque<Run>,
    at: usize,
    piece: usize,
    fate: Fate,
    streams: Vec<Vec<u8>>,
}

impl ReadFile for Reading {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        loop {
            match self.runs.front() {
                None if self.fate == Fate::Torn => return Err(gap("it is torn")),
                None => return Ok(Piece::End),
                Some(Run::Hole(length)) => {
                    let length = *length;
                    self.runs.pop_front();
                    return Ok(Piece::Hole(length));
                }
                Some(Run::Data(data)) if self.at < data.len() => {
                    let count = (data.len() - self.at).min(buffer.len()).min(self.piece);
                    buffer[..count].copy_from_slice(&data[self.at..self.at + count]);
                    self.at += count;
                    return Ok(Piece::Data(count));
                }
                Some(Run::Data(_)) => {
                    self.runs.pop_front();
                    self.at = 0;
                }
            }
        }
    }

    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        match self.fate {
            Fate::Lost => Err(gap("its end is lost")),
            Fate::Changed => Ok(Steady::Changed),
            _ => {
                node.descriptor = Some(b"as it was at the end".to_vec());
                node.links = 2;
                Ok(Steady::Unchanged)
            }
        }
    }

    fn streams(&self) -> Vec<Vec<u8>> {
        self.streams.clone()
    }
}

/// Leads to one model.
pub struct Door(pub std::sync::Arc<Model>);

struct Shared(std::sync::Arc<Model>);

impl Source for Shared {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        self.0.walk()
    }

    fn expect(&self, entry: &Walked) {
        self.0.expect(entry);
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        self.0.open(entry)
    }

    fn stream(&self, entry: &Walked, name: &[u8]) -> Result<Box<dyn ReadFile + '_>, Gap> {
        self.0.stream(entry, name)
    }

    fn gone(&self) -> Option<Gap> {
        self.0.gone()
    }
}

impl Doors for Door {
    fn source(&self, order: &SourceOrder) -> Result<Box<dyn Source>, Refusal> {
        if order.password.as_ref().is_none_or(|password| password.as_str() != "sesam") {
            let causes = vec!["NT_STATUS_LOGON_FAILURE".to_owned()];
            return Err(Refusal { code: "password".to_owned(), text: "the password is wrong".to_owned(), causes });
        }
        Ok(Box::new(Shared(std::sync::Arc::clone(&self.0))))
    }

    fn target(&self, _order: &TargetOrder) -> Result<Box<dyn WarnedTarget>, Refusal> {
        Err(Refusal { code: "not-found".to_owned(), text: "there is no target".to_owned(), causes: Vec::new() })
    }

    fn check(&self, order: &CheckOrder) -> Result<Checked, Refusal> {
        match order.password.as_ref().map(|password| password.as_str()) {
            Some("sesam") => Ok(Checked { told: true, may: vec![May::Write], changeable: 1, asked: 3, ..Checked::default() }),
            _ => Err(Refusal { code: "password".to_owned(), text: "the password is wrong".to_owned(), causes: Vec::new() }),
        }
    }
}

pub fn order() -> SourceOrder {
    SourceOrder { location: "model://tree".to_owned(), password: Some("sesam".to_owned().into()), as_of: None }
}

/// An answering end on a thread, and the caller's source.
pub fn open(model: &std::sync::Arc<Model>) -> (RemoteSource, JoinHandle<Result<(), IngestError>>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let door = Door(std::sync::Arc::clone(model));
    let answering = std::thread::spawn(move || answer(theirs, &door));
    (Call::begin(ours).unwrap().source(order()).unwrap(), answering)
}

/// Runs, joined, with node, steadiness and names of streams.
pub type Seen = (Vec<Run>, Node, Steady, Vec<Vec<u8>>);

/// All that can be read of a file: its runs, joined, with its node, steadiness and streams.
pub fn read(source: &dyn Source, walked: &Walked, buffer: usize) -> Result<Seen, Gap> {
    finish(source.open(walked)?, walked, buffer)
}

pub fn finish(mut file: Box<dyn ReadFile + '_>, walked: &Walked, size: usize) -> Result<Seen, Gap> {
    let mut runs: Vec<Run> = Vec::new();
    let mut buffer = vec![0xEE; size];
    loop {
        match file.next(&mut buffer)? {
            Piece::End => break,
            Piece::Hole(more) => match runs.last_mut() {
                Some(Run::Hole(length)) => *length += more,
                _ => runs.push(Run::Hole(more)),
            },
            Piece::Data(count) => match runs.last_mut() {
                Some(Run::Data(data)) => data.extend_from_slice(&buffer[..count]),
                _ => runs.push(Run::Data(buffer[..count].to_vec())),
            },
        }
    }
    let mut node = walked.node.clone();
    let steady = file.finish(&mut node)?;
    Ok((runs, node, steady, file.streams()))
}
