//! The simulator's own file trees, and a source made from a seed.

use std::collections::BTreeMap;

use keepwell_format::node::{Attribute, FileId, Owner};
use keepwell_format::port::{Encoding, Piece, ReadFile, Source, SourceInfo, Steady, Walk, Walked};
use keepwell_format::{Gap, Key, Kind, Node, Time};

use crate::random::Random;

/// What a file holds: runs of bytes and of nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Bytes(Vec<u8>),
    Hole(u64),
}

/// One thing in a tree. Further paths of a file name the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) node: Node,
    pub(crate) runs: Vec<Run>,
    pub(crate) link_to: Option<Key>,
}

/// A whole tree by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) things: BTreeMap<Key, Thing>,
    clock: i64,
    ids: u128,
}

impl Tree {
    /// A small tree with a bit of everything.
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut tree = Self { things: BTreeMap::new(), clock: 1_000, ids: 0 };
        tree.add(Key::root(), Kind::Folder, Vec::new());
        let mut folders = vec![Key::root()];
        for number in 0..4 + random.below(4) {
            let folder = random.pick(&folders).join(format!("folder{number}").as_bytes()).expect("a name");
            tree.add(folder.clone(), Kind::Folder, Vec::new());
            folders.push(folder);
        }
        for number in 0..14 + random.below(10) {
            let name = [format!("file{number}").as_bytes(), &[0xff, 0x80][..random.below(3) as usize]].concat();
            let key = random.pick(&folders).join(&name).expect("a name");
            let runs = content(random);
            tree.add(key, Kind::File, runs);
        }
        let link = random.pick(&folders).join(b"link").expect("a name");
        tree.add(link.clone(), Kind::Symlink, Vec::new());
        tree.things.get_mut(&link).expect("just added").node.target = Some(b"no/where".to_vec());
        tree.add_hard_link(random);
        tree
    }

    fn add(&mut self, key: Key, kind: Kind, runs: Vec<Run>) {
        self.ids += 1;
        self.clock += 1;
        let mut node = Node::new(kind);
        let time = Time { seconds: self.clock, nanos: 7 };
        (node.mtime, node.ctime) = (Some(time), Some(time));
        node.owner = Some(Owner { mode: 0o640, uid: 7, gid: 9 });
        node.file_id = Some(FileId { volume: 1, file: self.ids });
        node.attributes = vec![Attribute { name: b"user.note".to_vec(), value: self.ids.to_le_bytes().to_vec() }];
        self.things.insert(key, Thing { node, runs, link_to: None });
    }

    /// A second path for the first file.
    fn add_hard_link(&mut self, random: &mut Random) {
        let files: Vec<Key> = self.things.iter().filter(|(_, t)| t.node.kind == Kind::File).map(|(k, _)| k.clone()).collect();
        let first = random.pick(&files).clone();
        let further = Key::root().join(b"zz second path").expect("a name");
        let node = self.things[&first].node.clone();
        self.things.insert(further, Thing { node, runs: Vec::new(), link_to: Some(first) });
    }

    /// What a clinic does between two backups.
    pub(crate) fn change(&mut self, random: &mut Random) {
        let linked: Vec<Key> = self.things.values().filter_map(|thing| thing.link_to.clone()).collect();
        let free = |(key, thing): &(&Key, &Thing)| thing.node.kind == Kind::File && thing.link_to.is_none() && !linked.contains(key);
        let files: Vec<Key> = self.things.iter().filter(free).map(|(key, _)| key.clone()).collect();
        for key in files {
            match random.below(6) {
                0 => drop(self.things.remove(&key)),
                1 | 2 => {
                    let mut runs = self.things[&key].runs.clone();
                    edit(random, &mut runs);
                    self.add(key, Kind::File, runs);
                }
                _ => {}
            }
        }
        let runs = content(random);
        self.add(Key::root().join(b"new").expect("a name"), Kind::File, runs);
    }
}

fn bytes(random: &mut Random, length: u64) -> Vec<u8> {
    // Half compressible: a few values only.
    let few = random.below(2) == 0;
    (0..length).map(|_| if few { b"abcd"[random.below(4) as usize] } else { random.below(256) as u8 }).collect()
}

fn content(random: &mut Random) -> Vec<Run> {
    match random.below(8) {
        0 => Vec::new(),
        1 => vec![Run::Hole(5_000), Run::Bytes(bytes(random, 700)), Run::Hole(100_000)],
        2 => {
            let length = 9_000 + random.below(9_000);
            vec![Run::Bytes(bytes(random, length))]
        }
        3 => vec![Run::Bytes(b"the same in many places".to_vec())],
        _ => {
            let length = 1 + random.below(900);
            vec![Run::Bytes(bytes(random, length))]
        }
    }
}

fn edit(random: &mut Random, runs: &mut Vec<Run>) {
    let extra = bytes(random, 40);
    match runs.first_mut() {
        Some(Run::Bytes(old)) => {
            let at = random.below(old.len() as u64 + 1) as usize;
            old.splice(at..at, extra);
        }
        _ => runs.insert(0, Run::Bytes(extra)),
    }
}

/// Reads a tree.
pub(crate) struct TreeSource<'a> {
    tree: &'a Tree,
    info: SourceInfo,
}

impl<'a> TreeSource<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        let info = SourceInfo {
            location: "/simulated".to_owned(),
            identity: "simulated".to_owned(),
            encoding: Encoding::Bytes,
            parallel_reads: 1,
        };
        Self { tree, info }
    }
}

impl Source for TreeSource<'_> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        let linked = |id: Option<FileId>| self.tree.things.values().filter(|thing| thing.node.file_id == id).count();
        Ok(Box::new(self.tree.things.iter().map(move |(key, thing)| {
            let first = thing.link_to.as_ref().map_or(thing, |first| &self.tree.things[first]);
            let links = u32::try_from(linked(thing.node.file_id)).expect("few");
            let node = Node { links, ..thing.node.clone() };
            Ok(Walked { key: key.clone(), node, size: size(&first.runs), streams: Vec::new() })
        })))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let thing = &self.tree.things[&entry.key];
        let first = thing.link_to.as_ref().map_or(thing, |first| &self.tree.things[first]);
        Ok(Box::new(Reader { runs: &first.runs, offset: 0 }))
    }
}

/// Bytes, holes included.
pub(crate) fn size(runs: &[Run]) -> u64 {
    runs.iter()
        .map(|run| match run {
            Run::Bytes(bytes) => bytes.len() as u64,
            Run::Hole(length) => *length,
        })
        .sum()
}

/// Reads runs.
pub(crate) struct Reader<'a> {
    pub(crate) runs: &'a [Run],
    pub(crate) offset: usize,
}

impl ReadFile for Reader<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        match self.runs.split_first() {
            None => Ok(Piece::End),
            Some((Run::Hole(length), rest)) => {
                self.runs = rest;
                Ok(Piece::Hole(*length))
            }
            Some((Run::Bytes(bytes), rest)) => {
                let count = (bytes.len() - self.offset).min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[self.offset..self.offset + count]);
                self.offset += count;
                if self.offset == bytes.len() {
                    (self.runs, self.offset) = (rest, 0);
                }
                Ok(Piece::Data(count))
            }
        }
    }

    fn finish(&mut self, _: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

/// Neighbouring runs of a kind as one, for comparison.
pub(crate) fn merged(runs: &[Run]) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for run in runs {
        match (out.last_mut(), run) {
            (Some(Run::Bytes(last)), Run::Bytes(more)) => last.extend_from_slice(more),
            (Some(Run::Hole(last)), Run::Hole(more)) => *last += more,
            _ => out.push(run.clone()),
        }
    }
    out
}
