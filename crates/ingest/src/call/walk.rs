//! A walk as it comes in: batches of entries, checked to be one tree in the order of its keys, and the numbers by which files are opened.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use keepwell_format::codec::Writer;
use keepwell_format::port::Walked;
use keepwell_format::{Gap, GapReason, Key, Kind, Node};

use crate::{BATCH, IngestError, OPENABLE, WALK_BYTES, WALK_ENTRIES, frame, lock, message};

/// Memory that the parts of free length of the entries that may be opened can take. A real tree has less than a tenth.
const WEIGHT: usize = 256 << 20;

/// Entries that have come.
pub(super) struct Batch {
    pub(super) entries: Vec<Walked>,
    bytes: usize,
}

impl Batch {
    /// What is told once it is taken: leave to send as much again.
    pub(super) fn credit(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.count(self.entries.len()).count(self.bytes);
        out.into_bytes()
    }
}

/// What a walk that waits gets.
pub(super) enum Next {
    Batch(Batch),
    End(Option<Gap>),
    Broken,
}

/// The entries of one walk, between who reads the connection and who walks.
pub(super) struct Batches {
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    ready: VecDeque<Batch>,
    held_entries: usize,
    held_bytes: usize,
    /// Number of the next entry.
    next: u64,
    shape: Shape,
    ended: Option<Option<Gap>>,
    stopped: bool,
    broken: bool,
}

impl Batches {
    pub(super) fn new(first: u64) -> Self {
        let state = State {
            ready: VecDeque::new(),
            held_entries: 0,
            held_bytes: 0,
            next: first,
            shape: Shape::default(),
            ended: None,
            stopped: false,
            broken: false,
        };
        Self { state: Mutex::new(state), news: Condvar::new() }
    }

    /// Checks what came and keeps it.
    pub(super) fn put(&self, payload: &[u8]) -> Result<(), IngestError> {
        let (first, entries) = message::read_entries(payload)?;
        let mut state = lock(&self.state);
        if first != state.next || entries.len() > BATCH {
            return Err(IngestError::Protocol("entries with other numbers than theirs"));
        }
        state.held_entries += entries.len();
        let alone = state.held_bytes == 0 && payload.len() <= frame::NODE_MAX;
        state.held_bytes += payload.len();
        if state.held_entries > WALK_ENTRIES || !(alone || state.held_bytes <= WALK_BYTES) {
            return Err(IngestError::Protocol("more entries than were asked for"));
        }
        for entry in &entries {
            state.shape.add(&entry.key, &entry.node)?;
        }
        state.next += entries.len() as u64;
        if !state.stopped {
            state.ready.push_back(Batch { entries, bytes: payload.len() });
            drop(state);
            self.news.notify_one();
        }
        Ok(())
    }

    pub(super) fn end(&self, why: Option<Gap>) {
        lock(&self.state).ended = Some(why);
        self.news.notify_all();
    }

    pub(super) fn fail(&self) {
        lock(&self.state).broken = true;
        self.news.notify_all();
    }

    /// No more entries are wanted. Answers whether the other end has to be told.
    pub(super) fn stop(&self) -> bool {
        let mut state = lock(&self.state);
        state.stopped = true;
        state.ready.clear();
        state.ended.is_none() && !state.broken
    }

    /// Waits for entries or the end.
    pub(super) fn take(&self) -> Next {
        let state = lock(&self.state);
        let waiting = |s: &mut State| s.ready.is_empty() && s.ended.is_none() && !s.broken;
        let mut state = self.news.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            return Next::Broken;
        }
        match state.ready.pop_front() {
            Some(batch) => {
                state.held_entries -= batch.entries.len();
                state.held_bytes -= batch.bytes;
                Next::Batch(batch)
            }
            None => Next::End(state.ended.clone().flatten()),
        }
    }

    /// Entries that are there.
    pub(super) fn ready(&self) -> Option<Batch> {
        lock(&self.state).ready.pop_front()
    }

    /// A number that no entry of this walk has or will have.
    pub(super) fn beyond(&self) -> u64 {
        lock(&self.state).next + WALK_ENTRIES as u64
    }
}

/// The tree so far: each entry comes after the one before, in a folder that has come. Memory: one key, one number for each level.
#[derive(Default)]
struct Shape {
    last: Option<Key>,
    /// Lengths of the keys of the open folders; each is a beginning of the last key.
    folders: Vec<usize>,
}

impl Shape {
    fn add(&mut self, key: &Key, node: &Node) -> Result<(), IngestError> {
        let bytes = key.as_bytes();
        if let Some(last) = &self.last {
            let parent = bytes.iter().rposition(|b| *b == 0).unwrap_or(0);
            while self.folders.last().is_some_and(|open| *open > parent) {
                self.folders.pop();
            }
            let in_folder = self.folders.last() == Some(&parent) && last.as_bytes().get(..parent) == Some(&bytes[..parent]);
            if key <= last || !in_folder {
                return Err(IngestError::Protocol("entries that are no tree, or not in order"));
            }
        } else if !key.is_root() || node.kind != Kind::Folder {
            return Err(IngestError::Protocol("a tree without a root"));
        }
        if node.kind == Kind::Folder {
            self.folders.push(bytes.len());
        }
        self.last = Some(key.clone());
        Ok(())
    }
}

/// Keys and numbers of the entries that may still be opened.
#[derive(Default)]
pub(super) struct Window {
    first: u64,
    rows: VecDeque<(Key, usize)>,
    weight: usize,
    /// Below this the other end was told to forget.
    told: u64,
}

impl Window {
    /// Begins a walk.
    pub(super) fn restart(&mut self, first: u64) {
        *self = Self { first, told: first, ..Self::default() };
    }

    /// Takes note of the next entry. One that is too large beside the others loses what it could not be kept with anyway.
    pub(super) fn add(&mut self, walked: &mut Walked) -> Result<(), IngestError> {
        let mut weight = message::weight(&walked.key, &walked.node, &walked.streams);
        if self.weight + weight > WEIGHT {
            strip(&mut walked.node);
            walked.streams.clear();
            weight = message::weight(&walked.key, &walked.node, &[]);
        }
        if self.weight + weight > WEIGHT {
            return Err(IngestError::Protocol("entries that are too large to be held"));
        }
        self.weight += weight;
        self.rows.push_back((walked.key.clone(), weight));
        if self.rows.len() > OPENABLE {
            self.weight -= self.rows.pop_front().map_or(0, |(_, weight)| weight);
            self.first += 1;
        }
        Ok(())
    }

    /// The number of an entry that was not forgotten.
    pub(super) fn number(&self, key: &Key) -> Option<u64> {
        self.rows.binary_search_by(|(row, _)| row.cmp(key)).ok().map(|at| self.first + at as u64)
    }

    /// What the other end may forget, when it is worth telling.
    pub(super) fn done(&mut self) -> Option<u64> {
        let worth = self.first - self.told >= BATCH as u64;
        worth.then(|| {
            self.told = self.first;
            self.first
        })
    }
}

/// Takes all from a node that can be large, and says so.
pub(crate) fn strip(node: &mut Node) {
    let gap = Gap { reason: GapReason::Metadata, text: "its attributes are too large to be handed over".to_owned() };
    node.attributes.clear();
    (node.descriptor, node.target) = (None, None);
    node.gap.get_or_insert(gap);
}
