//! Whatever somebody with the files does to them: the verifier finds it, and says where.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "these tests make their own ledgers")]
mod ledgers;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use keepwell_audit::{FaultKind, Head, Ledger, Piece, Pieces, Verdict, read, verify};
use ledgers::{draft, path};
use proptest::prelude::*;

/// Records in several files.
struct Made {
    folder: tempfile::TempDir,
    heads: Vec<Head>,
    /// File and bytes of each record, from record 1.
    places: Vec<(u32, Range<usize>)>,
}

/// A ledger of so many records. Written once for each number, as each record is synced.
fn made(records: i64) -> Made {
    static WRITTEN: Mutex<BTreeMap<i64, (Files, Vec<Head>)>> = Mutex::new(BTreeMap::new());
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let (files, heads) = written.entry(records).or_insert_with(|| write(records)).clone();
    let folder = tempfile::tempdir().unwrap();
    let mut places = Vec::new();
    for (file, bytes) in (1..).zip(files) {
        fs::write(path(folder.path(), file), &bytes).unwrap();
        for piece in Pieces::of(&bytes) {
            let Piece::Record { offset, length, .. } = piece else { panic!("{piece:?}") };
            places.push((file, offset as usize..(offset + length) as usize));
        }
    }
    assert_eq!(places.len(), records as usize);
    Made { folder, heads, places }
}

type Files = Vec<Vec<u8>>;

fn write(records: i64) -> (Files, Vec<Head>) {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap().0.rotating_at(1200);
    let mut heads = vec![Head::EMPTY];
    heads.extend((1..=records).map(|n| ledger.append(&draft(n)).unwrap()));
    ((1..).map_while(|file| fs::read(path(folder.path(), file)).ok()).collect(), heads)
}

impl Made {
    fn change(&self, file: u32, change: impl FnOnce(&mut Vec<u8>)) {
        let path = path(self.folder.path(), file);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    fn verdict(&self, expected: bool) -> Verdict {
        verify(self.folder.path(), expected.then(|| self.heads[self.heads.len() - 1])).unwrap()
    }
}

fn kinds(verdict: &Verdict) -> Vec<(u64, FaultKind)> {
    verdict.faults.iter().map(|fault| (fault.seq, fault.kind.clone())).collect()
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Found without knowing the head, named by its record, and nothing else is accused.
    #[test]
    fn any_byte_that_changes_is_found_and_located(records in prop::sample::select(vec![1, 5, 14_i64]), file in 0..10_usize, at in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let made = made(records);
        let files: Vec<u32> = (1..=made.places[made.places.len() - 1].0).collect();
        let file = files[file % files.len()];
        let mut position = 0;
        made.change(file, |bytes| {
            position = at.index(bytes.len());
            bytes[position] ^= change;
        });
        let verdict = made.verdict(false);
        let touched = made.places.iter().position(|(other, range)| *other == file && range.contains(&position));
        prop_assert_eq!(verdict.faults_in_all, 1, "{:?}", verdict);
        let fault = &verdict.faults[0];
        match touched {
            Some(n) => prop_assert_eq!((fault.file, fault.seq, fault.offset), (file, n as u64 + 1, made.places[n].1.start as u64)),
            None => prop_assert_eq!((fault.file, &fault.kind), (file, &FaultKind::Header)),
        }
    }

    #[test]
    fn any_records_that_are_removed_are_found_and_located(records in prop::sample::select(vec![2, 5, 14_i64]), first in any::<prop::sample::Index>(), count in 1..5_usize) {
        let made = made(records);
        let first = first.index(made.places.len());
        let last = (first + count - 1).min(made.places.len() - 1);
        for (file, range) in made.places[first..=last].iter().rev() {
            made.change(*file, |bytes| drop(bytes.drain(range.clone())));
        }
        let verdict = made.verdict(true);
        prop_assert!(!verdict.is_sound());
        prop_assert_eq!(verdict.faults[0].seq, first as u64 + 1, "{:?}", verdict);
        prop_assert!(verdict.faults.iter().all(|fault| fault.seq > first as u64 && fault.seq <= last as u64 + 2), "{:?}", verdict);
    }

    /// Wherever it is cut: below the head that is known it is found; a ledger cut between two records is sound by itself.
    #[test]
    fn any_truncation_is_found(records in prop::sample::select(vec![1, 5, 14_i64]), file in 0..10_usize, at in any::<prop::sample::Index>()) {
        let made = made(records);
        let files = made.places[made.places.len() - 1].0;
        let file = file as u32 % files + 1;
        let mut length = 0;
        made.change(file, |bytes| {
            length = at.index(bytes.len());
            bytes.truncate(length);
        });
        (file + 1..=files).for_each(|later| fs::remove_file(path(made.folder.path(), later)).unwrap());
        let kept = made.places.iter().filter(|(other, range)| *other < file || *other == file && range.end <= length).count();
        let verdict = made.verdict(true);
        let expected = made.heads[made.heads.len() - 1];
        prop_assert!(kinds(&verdict).contains(&(kept as u64 + 1, FaultKind::Truncated { expected })), "{:?}", verdict);
        prop_assert_eq!(verdict.records, kept as u64);
    }

    #[test]
    fn records_in_another_order_are_found(records in prop::sample::select(vec![2, 5, 14_i64]), one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let made = made(records);
        let (one, other) = (one.index(made.places.len()), other.index(made.places.len()));
        prop_assume!(one < other);
        let frame = |n: usize| {
            let (file, range) = &made.places[n];
            fs::read(path(made.folder.path(), *file)).unwrap()[range.clone()].to_vec()
        };
        let (first, second) = (frame(one), frame(other));
        made.change(made.places[other].0, |bytes| drop(bytes.splice(made.places[other].1.clone(), first)));
        made.change(made.places[one].0, |bytes| drop(bytes.splice(made.places[one].1.clone(), second)));
        let verdict = made.verdict(false);
        prop_assert!(!verdict.is_sound());
        prop_assert_eq!(verdict.faults[0].seq, one as u64 + 1, "{:?}", verdict);
    }

    #[test]
    fn a_record_that_is_there_twice_is_found(records in prop::sample::select(vec![1, 5, 14_i64]), which in any::<prop::sample::Index>()) {
        let made = made(records);
        let which = which.index(made.places.len());
        let (file, range) = made.places[which].clone();
        made.change(file, |bytes| {
            let frame = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, frame);
        });
        prop_assert_eq!(kinds(&made.verdict(true)), vec![(which as u64 + 1, FaultKind::Duplicate)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Anything at all in the place of the files: an answer, and the ledger can be opened and goes on.
    #[test]
    fn any_bytes_get_an_answer(junk in prop::collection::vec(any::<u8>(), 0..4000), at in 0..3000_usize) {
        let made = made(15);
        made.change(2, |bytes| {
            let at = at.min(bytes.len());
            bytes.truncate(at);
            bytes.extend(junk);
        });
        let before = made.verdict(true);
        let (mut ledger, opened) = Ledger::open(made.folder.path()).unwrap();
        let head = ledger.append(&draft(1)).unwrap();
        prop_assert_eq!(head.seq, opened.head.seq + 1);
        prop_assert!(verify(made.folder.path(), Some(head)).unwrap().faults_in_all >= before.faults_in_all);
    }
}

/// A record that is written anew, with hashes that fit: the next one does not follow it any more.
#[test]
fn a_forged_record_breaks_the_chain_behind_it() {
    let made = made(3);
    let forged = {
        let mut record = read(made.folder.path(), 2, 1).unwrap().remove(0);
        record.actor = "nobody".into();
        record.encode().unwrap()
    };
    let (file, range) = made.places[1].clone();
    made.change(file, |bytes| {
        let length = forged.len() as u32;
        let hash = blake3::Hasher::new_derive_key("keepwell v1 ledger record").update(&forged).finalize();
        let frame = [&length.to_le_bytes(), &(!length).to_le_bytes(), &forged[..], hash.as_bytes()].concat();
        bytes.splice(range, frame);
    });
    assert_eq!(kinds(&made.verdict(false)), [(3, FaultKind::Unlinked)]);
}

/// A whole new ledger that is sound by itself.
#[test]
fn another_history_is_told_from_the_known_one() {
    let (made, other) = (made(4), made(3));
    let mut ledger = Ledger::open(other.folder.path()).unwrap().0;
    ledger.append(&draft(99)).unwrap();
    drop(ledger);
    assert!(other.verdict(false).is_sound());
    let verdict = verify(other.folder.path(), Some(made.heads[4])).unwrap();
    assert_eq!(kinds(&verdict), [(4, FaultKind::OtherHistory)]);
}

#[test]
fn a_file_that_is_gone_is_named() {
    let made = made(40);
    let files = made.places[39].0;
    assert!(files > 3);
    for gone in 1..=files {
        let folder = copy(made.folder.path());
        fs::remove_file(path(folder.path(), gone)).unwrap();
        let verdict = verify(folder.path(), Some(made.heads[40])).unwrap();
        let first = made.places.iter().position(|(file, _)| *file == gone).unwrap() as u64 + 1;
        let kind = if gone == files { FaultKind::Truncated { expected: made.heads[40] } } else { FaultKind::NoFile };
        assert_eq!(kinds(&verdict), [(first, kind)], "{gone}");
    }
}
