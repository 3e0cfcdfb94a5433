//! What every source and target must do, whatever it talks to. A source's test builds the nasty tree behind it, then calls
//! [`copy`] and [`compare`] with what it can keep. Never uses the engine.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part of the suite; tests may unwrap")]

pub mod acl;
pub mod nasty;
pub mod windows;

use std::collections::BTreeMap;
use std::sync::Mutex;

use keepwell_format::node::{Content, Extents, Stream};
use keepwell_format::port::{Piece, Placing, Source, Steady, Target, Walked};
use keepwell_format::{ContentHash, Gap, Key, Kind, Node};

/// All entries; checks that they come in order, without doubles.
pub fn walk(source: &dyn Source) -> Vec<Walked> {
    let all: Vec<Walked> = source.walk().unwrap().map(Result::unwrap).collect();
    assert!(all.first().is_some_and(|root| root.key.is_root() && root.node.kind == Kind::Folder), "the root comes first");
    for pair in all.windows(2) {
        assert!(pair[0].key < pair[1].key, "{} must come before {}", pair[1].key, pair[0].key);
        let parent = pair[1].key.parent().unwrap();
        assert!(all.binary_search_by(|w| w.key.cmp(&parent)).is_ok(), "{} comes without its folder", pair[1].key);
    }
    all
}

/// A file that was read to its end.
pub struct Seen {
    /// Data runs, joined, with where they start; what lies between is holes.
    pub runs: Vec<(u64, Vec<u8>)>,
    /// With what only an open file shows.
    pub node: Node,
    /// Names of its alternate streams.
    pub streams: Vec<Vec<u8>>,
}

/// Reads a file to its end.
pub fn look(source: &dyn Source, entry: &Walked) -> Result<Seen, Gap> {
    let mut file = source.open(entry)?;
    let mut buffer = vec![0xEE; 100_000];
    let (mut runs, mut at): (Vec<(u64, Vec<u8>)>, u64) = (Vec::new(), 0);
    loop {
        match file.next(&mut buffer)? {
            Piece::Data(length) => {
                assert!(length > 0);
                match runs.last_mut() {
                    Some((start, run)) if *start + run.len() as u64 == at => run.extend_from_slice(&buffer[..length]),
                    _ => runs.push((at, buffer[..length].to_vec())),
                }
                at += length as u64;
            }
            Piece::Hole(length) => {
                assert!(length > 0);
                at += length;
            }
            Piece::End => break,
        }
    }
    assert!(matches!(file.next(&mut buffer)?, Piece::End), "the end stays the end");
    let mut node = entry.node.clone();
    assert_eq!(file.finish(&mut node)?, Steady::Unchanged);
    let shown_late =
        Node { descriptor: node.descriptor.clone(), attributes: node.attributes.clone(), links: node.links, ..entry.node.clone() };
    assert_eq!(node, shown_late, "{} is not as it was listed", entry.key);
    assert_eq!(at, entry.size, "{} has another size", entry.key);
    Ok(Seen { runs, node, streams: file.streams() })
}

/// Data runs of a file, joined, with where they start; what lies between is holes.
pub fn read(source: &dyn Source, entry: &Walked) -> Result<Vec<(u64, Vec<u8>)>, Gap> {
    look(source, entry).map(|seen| seen.runs)
}

/// All bytes of an alternate stream.
pub fn read_stream(source: &dyn Source, entry: &Walked, name: &[u8]) -> Vec<u8> {
    let mut stream = source.stream(entry, name).unwrap();
    let (mut buffer, mut bytes) = (vec![0; 70_000], Vec::new());
    loop {
        match stream.next(&mut buffer).unwrap() {
            Piece::Data(length) => bytes.extend_from_slice(&buffer[..length]),
            Piece::Hole(length) => bytes.resize(bytes.len() + length as usize, 0),
            Piece::End => break,
        }
    }
    assert_eq!(stream.finish(&mut Node::new(Kind::File)).unwrap(), Steady::Unchanged);
    bytes
}

/// Copies a tree the way a restore writes one: files from four threads, links after their files, folders' metadata last.
pub fn copy(source: &dyn Source, target: &dyn Target) {
    let all = walk(source);
    let mut first = BTreeMap::new();
    let (mut files, mut links) = (Vec::new(), Vec::new());
    for entry in &all {
        assert_eq!(entry.node.gap, None, "{}", entry.key);
        if entry.node.links > 1 {
            if let Some(to) = first.get(&entry.node.file_id.unwrap()) {
                links.push((&entry.key, *to));
                continue;
            }
            first.insert(entry.node.file_id.unwrap(), &entry.key);
        }
        match entry.node.kind {
            Kind::Folder => target.folder(&entry.key, &entry.node).unwrap(),
            Kind::File => files.push(entry),
            _ => target.special(&entry.key, &entry.node).unwrap(),
        }
    }
    let owners = Mutex::new(BTreeMap::new());
    let late = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (files, owners, late) = (&files, &owners, &late);
            scope.spawn(move || {
                for entry in files.iter().skip(worker).step_by(4) {
                    let seen = look(source, entry).unwrap();
                    // Some sources tell only now that a file has several paths.
                    let several = (seen.node.links > 1 && entry.node.links == 1).then_some(seen.node.file_id).flatten();
                    let owner = several.map(|id| owners.lock().unwrap().entry(id).or_insert_with(|| entry.key.clone()).clone());
                    match owner.filter(|owner| *owner != entry.key) {
                        Some(owner) => late.lock().unwrap().push((entry.key.clone(), owner)),
                        None => copy_file(source, target, entry, &seen),
                    }
                }
            });
        }
    });
    links.iter().for_each(|(key, to)| target.link(key, to).unwrap());
    late.into_inner().unwrap().iter().for_each(|(key, to)| target.link(key, to).unwrap());
    for folder in all.iter().rev().filter(|entry| entry.node.kind == Kind::Folder) {
        copy_streams(source, target, folder, &folder.streams);
        target.finish_folder(&folder.key, &folder.node).unwrap();
    }
    target.sync().unwrap();
}

/// Where a content is said to be; a target looks at its size only.
pub fn content(size: u64) -> Content {
    Content { size, hash: ContentHash::NONE, extents: Extents::Inline(Vec::new()) }
}

fn copy_file(source: &dyn Source, target: &dyn Target, entry: &Walked, seen: &Seen) {
    let mut node = seen.node.clone();
    node.streams = seen.streams.iter().map(|name| Stream { name: name.clone(), content: content(0) }).collect();
    let mut writer = target.file(&entry.key, &node, &content(entry.size), Placing::New).unwrap();
    seen.runs.iter().for_each(|(at, run)| writer.write_at(*at, run).unwrap());
    copy_streams(source, target, entry, &seen.streams);
    writer.finish(&node).unwrap();
}

fn copy_streams(source: &dyn Source, target: &dyn Target, entry: &Walked, names: &[Vec<u8>]) {
    for name in names {
        let bytes = read_stream(source, entry, name);
        let stream = Stream { name: name.clone(), content: content(bytes.len() as u64) };
        let mut writer = target.stream(&entry.key, &stream).unwrap();
        writer.write_at(0, &bytes).unwrap();
        writer.finish(&entry.node).unwrap();
    }
}

/// What a source and a copy can be expected to share.
#[derive(Clone, Copy)]
pub struct Keeps {
    /// Owner, mode, extended attributes, links and devices.
    pub posix: bool,
    /// Where holes are.
    pub holes: bool,
    /// Coarsest unit of time, in ns.
    pub time_unit: u32,
}

/// Everything a local copy of a local tree keeps.
pub const EVERYTHING: Keeps = Keeps { posix: true, holes: true, time_unit: 1 };

/// Asserts that two trees are the same, as far as `keeps` says.
pub fn compare(left: &dyn Source, right: &dyn Source, keeps: Keeps) {
    let (a, b) = (walk(left), walk(right));
    let keys = |walked: &[Walked]| walked.iter().map(|w| w.key.to_string()).collect::<Vec<_>>();
    assert_eq!(keys(&a), keys(&b));
    for (l, r) in a.iter().zip(&b) {
        let key = &l.key;
        let unit = keeps.time_unit;
        let time = |w: &Walked| w.node.mtime.map(|t| (t.seconds, t.nanos / unit));
        assert_eq!(l.node.kind, r.node.kind, "{key}");
        assert_eq!(l.size, r.size, "{key}");
        assert_eq!(time(l), time(r), "{key}");
        if keeps.posix {
            assert_eq!(l.node.owner, r.node.owner, "{key}");
            assert_eq!(l.node.attributes, r.node.attributes, "{key}");
            assert_eq!(l.node.target, r.node.target, "{key}");
            assert_eq!(l.node.device, r.node.device, "{key}");
            assert_eq!(l.node.links, r.node.links, "{key}");
        }
        if l.node.kind == Kind::File {
            let (l_runs, r_runs) = (read(left, l).unwrap(), read(right, r).unwrap());
            let holes = keeps.holes;
            assert!(if holes { l_runs == r_runs } else { without_zeros(l_runs) == without_zeros(r_runs) }, "{key} has other content");
        }
    }
    if keeps.posix {
        assert_eq!(groups(&a), groups(&b), "other paths are hard links of each other");
    }
}

/// Data without blocks of zeros: content where holes don't count.
fn without_zeros(runs: Vec<(u64, Vec<u8>)>) -> Vec<(u64, u8)> {
    runs.iter().flat_map(|(at, run)| (*at..).zip(run.iter().copied())).filter(|(_, byte)| *byte != 0).collect()
}

/// Paths that are the same file.
fn groups(all: &[Walked]) -> Vec<Vec<Key>> {
    let mut by_file: BTreeMap<_, Vec<Key>> = BTreeMap::new();
    for entry in all.iter().filter(|entry| entry.node.links > 1) {
        by_file.entry(entry.node.file_id.unwrap()).or_default().push(entry.key.clone());
    }
    let mut groups: Vec<_> = by_file.into_values().collect();
    groups.sort();
    groups
}
