//! A target that remembers what was written to it, reads it back, and can be compared with a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Piece, Placing, Present, ReadFile, Steady, Target, WriteError, WriteFile};
use keepwell_format::{Gap, GapReason, Key, Kind, Node};

use crate::tree::{Reader, Run, Thing, Tree, merged, size};

/// By key and name.
type Streams = BTreeMap<(Key, Vec<u8>), Vec<Run>>;

/// Remembers what is written to it.
#[derive(Default)]
pub(crate) struct TreeTarget {
    things: Mutex<BTreeMap<Key, Thing>>,
    folders: Mutex<BTreeSet<Key>>,
    streams: Mutex<Streams>,
    /// Calls that changed something.
    writes: AtomicU64,
    /// What is read from here has a bit flipped.
    spoilt: Option<Key>,
    /// Holes come back as zeros, as from a server that has none.
    without_holes: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(text: &str) -> WriteError {
    WriteError { fatal: false, text: text.to_owned() }
}

impl TreeTarget {
    /// One that holds a tree already.
    pub(crate) fn holding(tree: &Tree) -> Self {
        let folders = tree.things.iter().filter(|(_, thing)| thing.node.kind == Kind::Folder).map(|(key, _)| key.clone());
        Self { things: Mutex::new(tree.things.clone()), folders: Mutex::new(folders.collect()), ..Self::default() }
    }

    /// One that reads a bit flipped from `spoilt`, and zeros for holes where it has none.
    pub(crate) fn reading(spoilt: Option<Key>, without_holes: bool) -> Self {
        Self { spoilt, without_holes, ..Self::default() }
    }

    /// What is there.
    pub(crate) fn keys(&self) -> Vec<Key> {
        locked(&self.things).keys().cloned().collect()
    }

    /// What is there under a key.
    pub(crate) fn at(&self, key: &Key) -> Option<Thing> {
        locked(&self.things).get(key).cloned()
    }

    /// What an alternate stream holds.
    pub(crate) fn stream_at(&self, key: &Key, name: &[u8]) -> Option<Vec<Run>> {
        locked(&self.streams).get(&(key.clone(), name.to_vec())).cloned()
    }

    /// How often something was changed.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Nothing can be put into a folder that was not made.
    fn enter(&self, key: &Key) -> Result<(), WriteError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let folders = locked(&self.folders);
        if key.parent().is_none_or(|parent| folders.contains(&parent)) { Ok(()) } else { Err(refused("there is no such folder")) }
    }

    /// The same, where nothing may be yet.
    fn enter_new(&self, key: &Key) -> Result<(), WriteError> {
        self.enter(key)?;
        if locked(&self.things).contains_key(key) { Err(refused("there is something already")) } else { Ok(()) }
    }

    /// Puts something there.
    pub(crate) fn put(&self, key: &Key, node: &Node, runs: Vec<Run>, link_to: Option<Key>) {
        let node = Node { content: None, link_to: None, streams: Vec::new(), ..node.clone() };
        locked(&self.things).insert(key.clone(), Thing { node, runs, link_to });
    }

    /// What differs from the tree that was backed up, if anything.
    pub(crate) fn difference(self, tree: &Tree) -> Option<String> {
        let mut things = self.things.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (key, expected) in &tree.things {
            let Some(found) = things.remove(key) else {
                return Some(format!("{key} is missing"));
            };
            let node = if found.link_to.is_some() { expected.node.clone() } else { found.node };
            // What a target is told of links is not what it makes of them.
            let node = Node { links: expected.node.links, ..node };
            let found = Thing { node, runs: merged(&found.runs), link_to: found.link_to };
            let expected = Thing { runs: merged(&expected.runs), ..expected.clone() };
            if found != expected {
                return Some(format!("{key} differs: {found:?} is not {expected:?}"));
            }
        }
        things.keys().next().map(|key| format!("{key} should not be there"))
    }
}

impl Target for TreeTarget {
    fn look(&self, key: &Key) -> Result<Option<Present>, WriteError> {
        if locked(&self.folders).contains(key) {
            return Ok(Some(Present { kind: Kind::Folder, size: 0, mtime: None }));
        }
        let thing = self.at(key);
        Ok(thing.map(|thing| Present { kind: thing.node.kind, size: size(&thing.runs), mtime: thing.node.mtime }))
    }

    fn lacking(&self) -> Vec<String> {
        vec!["simulated owners can't be set".to_owned()]
    }

    fn folder(&self, key: &Key, _: &Node) -> Result<(), WriteError> {
        self.enter(key)?;
        if self.at(key).is_some_and(|thing| thing.node.kind != Kind::Folder) {
            return Err(refused("it is no folder"));
        }
        locked(&self.folders).insert(key.clone());
        Ok(())
    }

    fn file(&self, key: &Key, _: &Node, content: &Content, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        self.enter(key)?;
        let place = Place::File(key.clone(), placing);
        Ok(Box::new(Writer { target: self, place, size: content.size, end: 0, runs: Vec::new() }))
    }

    fn stream(&self, key: &Key, stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        self.enter(key)?;
        let place = Place::Stream(key.clone(), stream.name.clone());
        Ok(Box::new(Writer { target: self, place, size: stream.content.size, end: 0, runs: Vec::new() }))
    }

    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.enter_new(key)?;
        self.put(key, node, Vec::new(), None);
        Ok(())
    }

    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError> {
        self.enter_new(key)?;
        if !self.keys().contains(to) {
            return Err(refused("there is no such file"));
        }
        self.put(key, &Node::new(Kind::File), Vec::new(), Some(to.clone()));
        Ok(())
    }

    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.put(key, node, Vec::new(), None);
        Ok(())
    }

    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let runs = match stream {
            Some(name) => self.stream_at(key, name),
            None => {
                self.at(key).and_then(|thing| thing.link_to.clone().map_or(Some(thing), |first| self.at(&first))).map(|thing| thing.runs)
            }
        };
        let runs = runs.ok_or_else(|| Gap { reason: GapReason::Vanished, text: "it is gone".to_owned() })?;
        let spoilt = self.spoilt.as_ref() == Some(key);
        Ok(Box::new(Back { runs, spoilt, without_holes: self.without_holes }))
    }

    fn differences(&self, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
        let found = self.at(key).and_then(|thing| thing.link_to.clone().map_or(Some(thing), |first| self.at(&first)));
        let thing = found.ok_or_else(|| Gap { reason: GapReason::Vanished, text: "it is gone".to_owned() })?;
        let differs =
            [("kind", thing.node.kind != node.kind), ("times", thing.node.mtime != node.mtime), ("owner", thing.node.owner != node.owner)];
        Ok(differs.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect())
    }

    fn sync(&self) -> Result<(), WriteError> {
        Ok(())
    }

    fn parallel_writes(&self) -> usize {
        1
    }
}

/// Reads what was written.
struct Back {
    runs: Vec<Run>,
    spoilt: bool,
    without_holes: bool,
}

impl ReadFile for Back {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        // Shorter pieces than were written, so that they don't match by chance.
        let length = buffer.len().min(700);
        let buffer = &mut buffer[..length];
        if self.without_holes
            && let Some(Run::Hole(length)) = self.runs.first_mut()
        {
            let count = usize::try_from(*length).map_or(buffer.len(), |n| n.min(buffer.len()));
            buffer[..count].fill(0);
            *length -= count as u64;
            if *length == 0 {
                self.runs.remove(0);
            }
            return Ok(Piece::Data(count));
        }
        let mut reader = Reader { runs: &self.runs, offset: 0 };
        let piece = reader.next(buffer)?;
        match (&piece, self.runs.first_mut()) {
            (Piece::Data(count), Some(Run::Bytes(bytes))) => {
                if std::mem::take(&mut self.spoilt) {
                    buffer[count / 2] ^= 4;
                }
                bytes.drain(..count);
                if bytes.is_empty() {
                    self.runs.remove(0);
                }
            }
            (Piece::Hole(_), _) => drop(self.runs.remove(0)),
            _ => {}
        }
        Ok(piece)
    }

    fn finish(&mut self, _: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

enum Place {
    File(Key, Placing),
    Stream(Key, Vec<u8>),
}

struct Writer<'a> {
    target: &'a TreeTarget,
    place: Place,
    size: u64,
    end: u64,
    runs: Vec<Run>,
}

impl WriteFile for Writer<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        if at > self.end {
            self.runs.push(Run::Hole(at - self.end));
        }
        self.runs.push(Run::Bytes(bytes.to_vec()));
        self.end = at + bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        if self.size > self.end {
            self.runs.push(Run::Hole(self.size - self.end));
        }
        match self.place {
            Place::File(key, placing) => {
                if placing == Placing::New {
                    self.target.enter_new(&key)?;
                }
                self.target.put(&key, node, self.runs, None);
            }
            Place::Stream(key, name) => drop(locked(&self.target.streams).insert((key, name), self.runs)),
        }
        Ok(())
    }

    fn abandon(self: Box<Self>) {}
}
