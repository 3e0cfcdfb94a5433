//! Every file of the corpus, and changes of it, through its target. The same on every machine; `KEEPWELL_LONG=1` tries more changes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use keepwell_fuzz::{TARGETS, Target};

/// Changes of each file.
const CHANGES: u64 = 3_000;
const LONG: u64 = 60_000;
/// Most bytes of the whole corpus.
const MOST_BYTES: usize = 1 << 20;

#[test]
fn the_corpus_and_changes_of_it_break_no_parser() {
    let changes = if std::env::var_os("KEEPWELL_LONG").is_some() { LONG } else { CHANGES };
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        for (path, seed) in &corpus {
            run(*target, seed, || path.display().to_string());
            let mut random = Random::of(path);
            for change in 0..changes {
                let (_, other) = &corpus[random.below(corpus.len())];
                let input = random.changed(seed, other);
                run(*target, &input, || format!("{}, change {change}: {input:02x?}", path.display()));
            }
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_a_program() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len());
    assert_eq!(entries("corpus").into_iter().map(|path| stem(&path)).collect::<BTreeSet<_>>(), names);
    assert_eq!(entries("fuzz_targets").into_iter().map(|path| stem(&path)).collect::<BTreeSet<_>>(), names);
    let bytes: usize = TARGETS.iter().flat_map(|(name, _)| corpus(name)).map(|(_, seed)| seed.len()).sum();
    assert!(bytes <= MOST_BYTES, "the corpus has {bytes} bytes");
}

fn run(target: Target, input: &[u8], what: impl Fn() -> String) {
    assert!(catch_unwind(|| target(input)).is_ok(), "{}", what());
}

/// The files of a target in a fixed order.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files: Vec<_> = entries(&format!("corpus/{name}")).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(!files.is_empty(), "{name} has no corpus");
    files
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    /// From the file's name, so that a new file changes nothing for the others.
    fn of(path: &Path) -> Self {
        Self(stem(path).bytes().fold(1, |seed, b| seed.wrapping_mul(31).wrapping_add(b.into())))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// One to four changes of `seed`, some with parts of `other`.
    fn changed(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let to = at + self.below((bytes.len() - at).min(16));
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..to)),
                2 => bytes.splice(at..to, other[self.below(other.len())..].iter().copied().take(40)).for_each(drop),
                3 => bytes.insert(at, self.next() as u8),
                4 => bytes.extend_from_within(at..to),
                5 => bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).for_each(drop),
                kind => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = if kind == 6 { *byte ^ 1 << self.below(8) } else { [0, 1, 0x7f, 0x80, 0xff][self.below(5)] };
                    }
                }
            }
        }
        bytes
    }
}
