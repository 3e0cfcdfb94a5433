//! Where files are cut is part of what makes a vault small: the same bytes give the same chunks in every release.

use std::collections::BTreeSet;

use keepwell_format::keys::ChunkSizes;
use keepwell_format::port::{Encoding, SourceInfo};
use keepwell_format::{Key, Kind, Node};

use super::*;
use crate::fixture::{SMALL, keys};

const PRODUCTION: ChunkSizes = ChunkSizes { min: 256 << 10, avg: 1 << 20, max: 4 << 20 };

/// One file, read in pieces of at most `step` bytes.
struct OneFile {
    info: SourceInfo,
    runs: Vec<Run>,
    step: usize,
}

#[derive(Clone)]
enum Run {
    Data(Vec<u8>),
    Hole(u64),
}

struct Reader {
    runs: std::vec::IntoIter<Run>,
    rest: Vec<u8>,
    step: usize,
}

impl Source for OneFile {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<keepwell_format::port::Walk<'_>, Gap> {
        Ok(Box::new(std::iter::empty()))
    }

    fn open(&self, _: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        Ok(Box::new(Reader { runs: self.runs.clone().into_iter(), rest: Vec::new(), step: self.step }))
    }
}

impl ReadFile for Reader {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        while self.rest.is_empty() {
            match self.runs.next() {
                None => return Ok(Piece::End),
                Some(Run::Hole(length)) => return Ok(Piece::Hole(length)),
                Some(Run::Data(bytes)) => self.rest = bytes,
            }
        }
        let count = self.step.min(buffer.len()).min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(Piece::Data(count))
    }

    fn finish(&mut self, _: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

/// What a read made of a file.
#[derive(Debug, PartialEq)]
struct Cut {
    chunks: Vec<(u64, BlobId, usize)>,
    bytes: Vec<u8>,
    size: u64,
    hash: ContentHash,
}

impl Cut {
    fn lengths(&self) -> Vec<usize> {
        self.chunks.iter().map(|(_, _, length)| *length).collect()
    }
}

/// Reads a file that the walk took for `expected` bytes long.
fn cut(sizes: ChunkSizes, runs: &[Run], step: usize, expected: u64) -> Cut {
    let info = SourceInfo { location: String::new(), identity: String::new(), encoding: Encoding::Bytes, parallel_reads: 1 };
    let source = OneFile { info, runs: runs.to_vec(), step };
    let walked = Walked { key: Key::root(), node: Node::new(Kind::File), size: expected, streams: Vec::new() };
    let (mut chunks, mut bytes, mut end) = (Vec::new(), Vec::new(), None);
    read_file(&keys(sizes), &source, walked, &mut |event| {
        match event {
            ReadEvent::Chunk { at, id, plain } => {
                chunks.push((at, id, plain.len()));
                bytes.extend(plain);
            }
            ReadEvent::Content { size, hash } => end = Some((size, hash)),
            ReadEvent::Done { walked } => assert!(!walked.node.inconsistent),
            other => panic!("{other:?}"),
        }
        true
    });
    let (size, hash) = end.expect("a file that can be read is read to its end");
    Cut { chunks, bytes, size, hash }
}

fn cut_bytes(sizes: ChunkSizes, bytes: &[u8]) -> Cut {
    cut(sizes, &[Run::Data(bytes.to_vec())], usize::MAX, bytes.len() as u64)
}

/// The same bytes for ever.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn boundaries_are_these_and_stay_these() {
    let small = cut_bytes(SMALL, &noise(24 << 10));
    assert_eq!(small.lengths(), [2575, 1030, 770, 892, 1075, 1585, 1289, 1482, 3584, 3311, 2453, 345, 1108, 1208, 397, 1472]);
    let large = cut_bytes(PRODUCTION, &noise(12 << 20));
    assert_eq!(large.lengths(), [1070792, 1496562, 1864035, 1084549, 1493211, 1579315, 1109766, 640127, 1072169, 346833, 825553]);
}

#[test]
fn what_has_no_boundaries_is_cut_at_the_longest_length() {
    let found = cut_bytes(SMALL, &vec![0; 10_000]);
    assert_eq!(found.lengths(), [4096, 4096, 1808]);
}

#[test]
fn short_and_empty_files_are_one_chunk_and_none() {
    assert_eq!(cut_bytes(SMALL, &noise(100)).lengths(), [100]);
    assert_eq!(cut_bytes(SMALL, &[]).lengths(), [0; 0]);
}

#[test]
fn reads_of_any_size_give_the_same_chunks() {
    let bytes = noise(40_000);
    let runs = [Run::Data(bytes.clone())];
    let whole = cut(SMALL, &runs, usize::MAX, 40_000);
    assert_eq!(whole.bytes, bytes);
    for step in [1, 7, 255, 2047, 2048, 2049, 4096, 39_999] {
        for expected in [0, 1, 20_000, 39_999, 40_000, 1 << 40] {
            assert_eq!(cut(SMALL, &runs, step, expected), whole, "reads of {step}, {expected} bytes expected");
        }
    }
}

#[test]
fn boundaries_come_together_again_behind_an_insert() {
    let before = noise(200_000);
    let mut after = before.clone();
    after.splice(100_000..100_000, *b"a few bytes more");
    let (old, new) = (cut_bytes(SMALL, &before), cut_bytes(SMALL, &after));
    let known: BTreeSet<BlobId> = old.chunks.iter().map(|(_, id, _)| *id).collect();
    let fresh = new.chunks.iter().filter(|(_, id, _)| !known.contains(id)).count();
    assert!(new.chunks.len() > 100, "{} chunks", new.chunks.len());
    assert!((1..=6).contains(&fresh), "{fresh} of {} chunks are new", new.chunks.len());
}

#[test]
fn a_hole_ends_a_chunk_and_is_in_none() {
    let runs = [Run::Hole(5_000), Run::Data(noise(100)), Run::Hole(1), Run::Data(noise(50)), Run::Hole(70)];
    let found = cut(SMALL, &runs, usize::MAX, 5_221);
    let places: Vec<(u64, usize)> = found.chunks.iter().map(|(at, _, length)| (*at, *length)).collect();
    assert_eq!(places, [(5_000, 100), (5_101, 50)]);
    assert_eq!(found.size, 5_221);
}

/// `docs/format.md` 8.1, spelled out.
fn spelled(runs: &[(u64, &[u8])], size: u64) -> ContentHash {
    let mut message = Vec::new();
    for (at, bytes) in runs {
        message.extend_from_slice(bytes);
        message.extend_from_slice(&at.to_le_bytes());
        message.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    }
    message.extend_from_slice(&size.to_le_bytes());
    ContentHash(*blake3::hash(&message).as_bytes())
}

#[test]
fn the_content_hash_tells_holes_from_bytes() {
    let hash = |runs: &[Run]| cut(SMALL, runs, 900, 0).hash;
    let (a, b) = (noise(6_000), noise(9_000)[6_000..].to_vec());
    let data = |bytes: &[u8]| Run::Data(bytes.to_vec());
    let joined = [&a[..], &b].concat();
    assert_eq!(hash(&[data(&a)]), ContentHash(*blake3::hash(&a).as_bytes()), "no holes: the bytes alone");
    assert_eq!(hash(&[data(&a), data(&b)]), ContentHash(*blake3::hash(&joined).as_bytes()));
    assert_eq!(hash(&[]), ContentHash(*blake3::hash(b"").as_bytes()));
    assert_eq!(hash(&[data(&a), Run::Hole(4096)]), spelled(&[(0, &a)], 10_096), "a hole at the end");
    assert_eq!(hash(&[Run::Hole(4096), data(&a)]), spelled(&[(4096, &a)], 10_096), "a hole at the beginning");
    assert_eq!(hash(&[data(&a), Run::Hole(1), data(&b)]), spelled(&[(0, &a), (6_001, &b)], 9_001), "a hole between");
    assert_eq!(hash(&[Run::Hole(3), data(&a), data(&b)]), spelled(&[(3, &joined)], 9_003), "adjacent data are one run");
    assert_eq!(hash(&[Run::Hole(3), Run::Hole(4)]), spelled(&[], 7), "nothing but holes");
    assert_ne!(hash(&[Run::Hole(7)]), hash(&[data(&[0; 7])]), "zeros are not a hole");
}

#[test]
fn chunks_between_holes_hold_no_memory_but_their_own() {
    let runs: Vec<Run> = (0..20).flat_map(|_| [Run::Data(noise(1000)), Run::Hole(1 << 20)]).collect();
    let info = SourceInfo { location: String::new(), identity: String::new(), encoding: Encoding::Bytes, parallel_reads: 1 };
    let walked = Walked { key: Key::root(), node: Node::new(Kind::File), size: 20 << 20, streams: Vec::new() };
    let mut held = Vec::new();
    read_file(&keys(PRODUCTION), &OneFile { info, runs, step: usize::MAX }, walked, &mut |event| {
        if let ReadEvent::Chunk { plain, .. } = event {
            held.push(plain.capacity());
        }
        true
    });
    assert_eq!(held, [1000; 20]);
}
