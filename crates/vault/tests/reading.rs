//! Search, lists, walks and single files of a real vault in a folder. With `KEEPWELL_ENTRIES=1000000`, the search says how long it takes among so many.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use keepwell_crypt::Argon2Cost;
use keepwell_format::port::{Encoding, Piece, ReadFile, Source, SourceInfo, Steady, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key, Kind, Node, Time, VaultId};
use keepwell_storage::{Access, Layout, Pool, PoolIds, disks_up_to, mounted_in};
use keepwell_vault::{
    BackupOptions, Below, Clock, Env, IndexPlace, Needle, NewVault, NoProgress, Reread, Sealed, Snapshot, Unlock, Vault, VaultError,
    Workers, create,
};
use zeroize::Zeroizing;

const PASSPHRASE: &[u8] = b"a test";

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Time {
        Time { seconds: 1_800_000_000, nanos: 0 }
    }
}

fn new_vault(folder: &Path) -> Vault {
    let ids = PoolIds { vault: [1; 16], disks: vec![[2; 16], [3; 16]] };
    for n in 1..=2 {
        fs::create_dir(folder.join(format!("disk-{n}"))).unwrap();
    }
    let pool = Pool::create(disks_up_to(folder, 2), ids, Layout::new(1, 1).unwrap()).unwrap();
    let argon2 = Argon2Cost { m_kib: 8, t: 1, p: 1 };
    let new = NewVault { passphrase: Some(PASSPHRASE), argon2, test_vault: true, ..NewVault::new(VaultId([1; 16])) };
    let mut n = 0u8;
    create(&pool, &new, &mut |bytes| bytes.iter_mut().for_each(|byte| (n, *byte) = (n.wrapping_add(17), n))).unwrap();
    drop(pool);
    open(folder)
}

fn open(folder: &Path) -> Vault {
    let pool = Pool::open(mounted_in(folder).unwrap(), Access::Write).unwrap();
    let unlock = Unlock::Passphrase(Zeroizing::new(PASSPHRASE.to_vec()));
    let sealed = Sealed::open(Arc::new(pool), Env::new(Arc::new(Noon), Workers::Threads(2))).unwrap();
    sealed.unlock(&unlock, IndexPlace::File(folder.join("index.sqlite")), &NoProgress).unwrap()
}

/// Folders of a thousand files of a few bytes each, all different.
struct Practice {
    info: SourceInfo,
    folders: usize,
    /// Files in each.
    files: usize,
    /// Bytes of the file `large` with a hole in its middle.
    large: u64,
}

impl Practice {
    fn new(folders: usize, files: usize, large: u64) -> Self {
        let info = SourceInfo { location: "a test".into(), identity: "a test".into(), encoding: Encoding::Bytes, parallel_reads: 4 };
        Self { info, folders, files, large }
    }

    fn file(&self, path: String, size: u64) -> Walked {
        let mut node = Node::new(Kind::File);
        node.mtime = Some(Time { seconds: 1_700_000_000 + path.len() as i64, nanos: 1 });
        if path.ends_with("77-0001.dcm") {
            node.gap = Some(Gap { reason: GapReason::Locked, text: "somebody has it open".into() });
        }
        Walked { key: Key::from_path(path.as_bytes()).unwrap(), node, size, streams: Vec::new() }
    }
}

fn folder(key: Key) -> Walked {
    Walked { key, node: Node::new(Kind::Folder), size: 0, streams: Vec::new() }
}

impl Source for Practice {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        let head = [folder(Key::root()), self.file("Large".into(), self.large)];
        let each = (0..self.folders).flat_map(move |n| {
            let path = format!("patient-{n:05}");
            let files = (0..self.files).map(move |m| self.file(format!("patient-{n:05}/Größe-{n}-{m:04}.dcm"), 8));
            std::iter::once(folder(Key::from_path(path.as_bytes()).unwrap())).chain(files)
        });
        Ok(Box::new(head.into_iter().chain(each).map(Ok)))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let seed = blake3::hash(entry.key.as_bytes());
        Ok(Box::new(Reading { seed, at: 0, size: entry.size, hole: entry.size > 8 }))
    }
}

/// Numbered bytes; the second third is a hole where there is one.
struct Reading {
    seed: blake3::Hash,
    at: u64,
    size: u64,
    hole: bool,
}

/// Nothing that could be compressed.
fn byte(seed: &blake3::Hash, at: u64) -> u8 {
    let mut z = u64::from_le_bytes(*seed.as_bytes().first_chunk().unwrap()).wrapping_add((at >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()[at as usize % 8]
}

impl ReadFile for Reading {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let third = self.size / 3;
        if self.hole && self.at == third {
            self.at += third;
            return Ok(Piece::Hole(third));
        }
        let end = if self.hole && self.at < third { third } else { self.size };
        let count = (end - self.at).min(buffer.len() as u64);
        (self.at..).zip(&mut buffer[..count as usize]).for_each(|(at, place)| *place = byte(&self.seed, at));
        self.at += count;
        Ok(if count == 0 { Piece::End } else { Piece::Data(count as usize) })
    }

    fn finish(&mut self, _node: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

fn backed_up(vault: &Vault, source: &Practice) -> Snapshot {
    let options = BackupOptions { name: "practice".to_owned(), level: 3, reread: Reread::NONE, intended: false };
    let report = vault.backup(source, &options, &NoProgress).unwrap();
    vault.resolve(&report.snapshot.to_string()).unwrap()
}

fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

/// What this process has used so far (proc(5): fields 14 and 15 of its `stat`, in hundredths of a second).
fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
}

#[test]
fn a_search_finds_what_a_walk_finds() {
    let entries: usize = std::env::var("KEEPWELL_ENTRIES").map_or(3_000, |count| count.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let vault = new_vault(place.path());
    let snapshot = backed_up(&vault, &Practice::new(entries / 1_000, 1_000, 0));
    let found = |path: &str, text: &str, limit: usize| {
        let (begun, worked) = (Instant::now(), cpu_ms());
        let found = vault.search(&snapshot, &key(path), &Needle::new(text.as_bytes()), limit, &|| true).unwrap();
        let (ms, cpu_ms) = (begun.elapsed().as_millis(), cpu_ms() - worked);
        eprintln!("{} of {entries} entries in {ms} ms, {cpu_ms} ms of processors: {text}", found.entries.len());
        found
    };
    for text in ["nothing is called so", "GRÖSSE", "größe-2-0999.DCM", "größe-1-07", "patient-00002", "LARGE"] {
        let needle = text.to_lowercase();
        let mut expected = Vec::new();
        if entries <= 10_000 {
            vault
                .walk(&snapshot, &mut |key, _| {
                    if String::from_utf8_lossy(key.name()).to_lowercase().contains(&needle) {
                        expected.push(key.clone());
                    }
                })
                .unwrap();
        }
        let all = found("", text, 10_000);
        if entries <= 10_000 {
            assert_eq!(all.entries.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), expected, "{text}");
            assert!(!all.more && !all.damaged);
        }
        let few = found("", text, 7);
        assert_eq!(few.more, all.entries.len() > 7, "{text}");
        assert!(all.entries.starts_with(&few.entries));
        let inside = found("patient-00002", text, 10_000);
        let expected: Vec<_> = all.entries.iter().filter(|(key, _)| key.is_in(&self::key("patient-00002"))).cloned().collect();
        assert!(all.more || inside.entries == expected, "{text}");
    }
    let stopped = vault.search(&snapshot, &Key::root(), &Needle::new(b"gr"), 10_000, &|| false).unwrap();
    assert!(stopped.entries.is_empty());
}

#[test]
fn a_list_goes_on_behind_any_name() {
    let place = tempfile::tempdir().unwrap();
    let vault = new_vault(place.path());
    let snapshot = backed_up(&vault, &Practice::new(5, 300, 9));
    let list = |folder: &str, after: Option<&[u8]>, limit: usize| {
        let mut names = Vec::new();
        vault
            .list_after(&snapshot, &key(folder), after, &mut |key, _| {
                names.push(key.name().to_vec());
                if names.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .map(|()| names)
    };
    let whole = list("", None, 100).unwrap();
    assert_eq!(whole.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>()[..2], ["Large", "patient-00000"]);
    assert_eq!(whole.len(), 6);
    for (folder, count) in [("", 6), ("patient-00003", 300)] {
        let whole = list(folder, None, 1_000).unwrap();
        assert_eq!(whole.len(), count);
        for (n, name) in whole.iter().enumerate().step_by(7) {
            assert_eq!(list(folder, Some(name), 1_000).unwrap(), whole[n + 1..]);
        }
        assert_eq!(list(folder, Some(b"\xff"), 10).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(list(folder, Some(b"A/.."), 2).unwrap(), whole[..2]);
    }
    assert_eq!(list("Large", None, 10).unwrap(), [b"Large"]);
    assert!(matches!(list("nothing", None, 10), Err(VaultError::NoPath(_))));
}

#[test]
fn a_file_comes_out_as_it_was_and_stops_when_nobody_wants_it() {
    let place = tempfile::tempdir().unwrap();
    let vault = new_vault(place.path());
    let size = 3 * (5 << 20) + 1;
    let snapshot = backed_up(&vault, &Practice::new(1, 100, size));
    let file = vault.open_file(&snapshot, &key("Large")).unwrap();
    assert_eq!(file.size(), size);
    let mut bytes = Vec::new();
    let took = |bytes: &mut Vec<u8>, piece: &[u8]| bytes.extend_from_slice(piece);
    let whole = vault.read_file(&file, &mut |piece| {
        took(&mut bytes, piece);
        ControlFlow::Continue(())
    });
    assert_eq!(whole.unwrap(), ControlFlow::Continue(()));
    let seed = blake3::hash(b"Large");
    let third = size / 3;
    assert_eq!(bytes.len() as u64, size);
    let expected = |at: u64| if (third..2 * third).contains(&at) { 0 } else { byte(&seed, at) };
    assert!((0..size).all(|at| bytes[at as usize] == expected(at)));
    let mut pieces = 0;
    let cut = vault.read_file(&file, &mut |_| {
        pieces += 1;
        ControlFlow::Break(())
    });
    assert_eq!((cut.unwrap(), pieces), (ControlFlow::Break(()), 1));
    assert!(matches!(vault.open_file(&snapshot, &key("patient-00000")), Err(VaultError::NoFile)));
    assert!(matches!(vault.open_file(&snapshot, &key("nothing")), Err(VaultError::NoPath(_))));
}

#[test]
fn the_end_of_a_file_with_damage_never_comes_out() {
    let place = tempfile::tempdir().unwrap();
    let vault = new_vault(place.path());
    let snapshot = backed_up(&vault, &Practice::new(1, 100, 30 << 20));
    let file = vault.open_file(&snapshot, &key("Large")).unwrap();
    drop(vault);
    spoil(place.path());
    let Ok(pool) = Pool::open(mounted_in(place.path()).unwrap(), Access::Write) else { return };
    let unlock = Unlock::Passphrase(Zeroizing::new(PASSPHRASE.to_vec()));
    let sealed = Sealed::open(Arc::new(pool), Env::new(Arc::new(Noon), Workers::Threads(2))).unwrap();
    let vault = sealed.unlock(&unlock, IndexPlace::File(place.path().join("index.sqlite")), &NoProgress).unwrap();
    let mut out = 0;
    let read = vault.read_file(&file, &mut |piece| {
        out += piece.len() as u64;
        ControlFlow::Continue(())
    });
    assert!(matches!(read, Err(VaultError::BlobLost { .. })), "{read:?}");
    assert!(out < file.size());
}

/// Turns the same bits in the middle of every large file of both disks.
fn spoil(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            spoil(&path);
        } else if fs::metadata(&path).unwrap().len() > 1 << 20 {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle..middle + 600_000].iter_mut().for_each(|byte| *byte ^= 0x55);
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_walk_names_what_lies_below() {
    let place = tempfile::tempdir().unwrap();
    let vault = new_vault(place.path());
    let snapshot = backed_up(&vault, &Practice::new(3, 50, 0));
    let mut keys = Vec::new();
    vault
        .walk_below(&snapshot, &key("patient-00001"), &mut |below| {
            match below {
                Below::Entry(key, node) => keys.push((key, node.kind)),
                Below::Lost(_) => panic!("nothing is lost"),
            }
            if keys.len() == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!((keys.len(), keys[0].clone()), (40, (key("patient-00001"), Kind::Folder)));
    assert!(keys.iter().all(|(found, _)| found.is_in(&key("patient-00001"))));
    let none = vault.walk_below(&snapshot, &key("patient-0000"), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(none, Err(VaultError::NoPath(_))));
}
