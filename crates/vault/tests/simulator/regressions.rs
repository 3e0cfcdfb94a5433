//! Failures that a review found, each kept as the test that showed it: numbers of packs, hard links, needs of a snapshot, newer formats.

use std::collections::BTreeMap;
use std::sync::Arc;

use keepwell_format::node::FileId;
use keepwell_format::port::{ReadFile, Source, SourceInfo, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key, Kind};
use keepwell_storage::{Access, Class, Damage, Disk, MemoryDisk, Pool, Spread};
use keepwell_vault::{BackupOptions, BackupReport, Env, MemoryIndex, NoProgress, RestoreOptions, Vault, VaultError};

use crate::random::Random;
use crate::target::TreeTarget;
use crate::tree::{Run, Thing, Tree, TreeSource};
use crate::world::{backup, difference, dynamic, env, fresh, new_disk_id, open, shared};

fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

fn backup_as(vault: &Vault, source: &dyn Source, name: &str) -> Result<BackupReport, VaultError> {
    vault.backup(
        source,
        &BackupOptions { name: name.to_owned(), level: 1, reread: keepwell_vault::Reread::NONE, intended: false },
        &NoProgress,
    )
}

/// Number and content of each pack on a 1+0 disk, from their clear headers.
fn packs(disk: &MemoryDisk) -> BTreeMap<u64, (u8, String)> {
    let packs = disk.contents().into_iter().filter(|(path, _)| path.starts_with("packs/"));
    packs
        .map(|(path, bytes)| {
            let head = &bytes[160..];
            (u64::from_le_bytes(head[32..40].try_into().unwrap()), (head[10], path))
        })
        .collect()
}

/// A tree with some leaves before its big files, so that data packs are opened last, as with real sizes.
fn wide(seed: u64) -> Tree {
    let mut random = Random::new(seed);
    let mut tree = Tree::new(&mut random);
    let plain = tree.things.values().find(|t| t.node.kind == Kind::File && t.link_to.is_none()).unwrap().node.clone();
    let mut add = |name: String, length: usize, id: u128| {
        let mut bytes = vec![0; length];
        random.fill(&mut bytes);
        let mut node = plain.clone();
        node.file_id = Some(FileId { volume: 1, file: id });
        tree.things.insert(key(&name), Thing { node, runs: vec![Run::Bytes(bytes)], link_to: None });
    };
    for n in 0..150 {
        add(format!("aa{n:03}"), 50, 5000 + n);
    }
    for n in 0..30 {
        add(format!("zzzz{n}"), 40_000, 9000 + n);
    }
    tree
}

fn wide_env() -> Env {
    Env { pack_target: 256 << 10, ..env() }
}

/// A vault whose newest data pack is gone after the backup of a tree, and then a backup of another tree, for several seeds.
fn with_a_pack_lost(check: impl Fn(u64, Vault, &Tree)) {
    let mut tried = 0;
    for seed in 0..6 {
        let env = wide_env();
        let disks = shared(fresh("1+0".parse().unwrap(), 1));
        let mine = wide(seed);
        let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
        backup_as(&vault, &TreeSource::new(&mine), "mine").unwrap();
        drop(vault);
        let (_, (content, path)) = packs(&disks[0]).into_iter().next_back().unwrap();
        if content != 1 {
            continue;
        }
        tried += 1;
        disks[0].remove(&path).unwrap();
        let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
        backup_as(&vault, &TreeSource::new(&wide(seed + 1000)), "other").unwrap();
        check(seed, vault, &mine);
    }
    assert!(tried > 0);
}

#[test]
fn a_number_is_never_given_twice() {
    with_a_pack_lost(|seed, vault, mine| {
        let report = backup_as(&vault, &TreeSource::new(mine), "mine").unwrap();
        let newest = vault.resolve("mine@latest").unwrap();
        assert_eq!(difference(&vault, &newest, mine), None, "seed {seed}: a snapshot reported {:?}", report.outcome);
    });
}

#[test]
fn repair_names_lost_files_as_verify_does() {
    with_a_pack_lost(|seed, mut vault, _| {
        let seen = vault.verify(true, &NoProgress).unwrap().files_lost.len();
        let report = vault.repair(&mut || new_disk_id(1), &NoProgress).unwrap();
        assert_eq!(report.files_lost.len(), seen, "seed {seed}");
    });
}

/// A source some of whose files can't be opened.
struct Unopened<'a>(TreeSource<'a>, Vec<Key>);

impl Source for Unopened<'_> {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }
    fn walk(&self) -> Result<Walk<'_>, Gap> {
        self.0.walk()
    }
    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        if self.1.contains(&entry.key) {
            return Err(Gap { reason: GapReason::Vanished, text: "gone".to_owned() });
        }
        self.0.open(entry)
    }
}

/// the first path of a hard-linked file vanishes between listing and reading: the other path's content is not backed up, and not named.
#[test]
fn a_second_path_survives_the_first() {
    let env = env();
    let disks = shared(fresh("1+0".parse().unwrap(), 1));
    let tree = Tree::new(&mut Random::new(3));
    let first = tree.things.values().find_map(|t| t.link_to.clone()).unwrap();
    let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
    let report = backup_as(&vault, &Unopened(TreeSource::new(&tree), vec![first.clone()]), "share").unwrap();
    assert_eq!(report.gaps.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&first]);
    let snapshot = vault.resolve("latest").unwrap();
    let target = TreeTarget::default();
    // Only the part that holds the second path: nothing is said to be missing, and nothing is written.
    let options = RestoreOptions { path: Some(Key::root().join(b"zz second path").unwrap()), ..RestoreOptions::default() };
    let restored = vault.restore(&snapshot, &options, &target, &NoProgress).unwrap();
    assert_eq!((restored.files, restored.missing.len()), (1, 0));
}

/// salvaged frames and bases: manifests do not name the packs they use.
#[test]
fn needs_is_a_superset() {
    let env = env();
    let mut wrong = Vec::new();
    for seed in 0..20 {
        let disks = shared(fresh("1+0".parse().unwrap(), 1));
        let tree = Tree::new(&mut Random::new(seed));
        let index = Arc::new(MemoryIndex::default());
        let vault = open(dynamic(&disks), Access::Write, Arc::clone(&index) as _, &env).unwrap();
        backup(&vault, &tree).unwrap();
        drop(vault);
        // One flipped bit in a data pack: one frame is lost, the others are salvaged into a new pack.
        let (_, (_, path)) = packs(&disks[0]).into_iter().find(|(_, (content, _))| *content == 1).unwrap();
        disks[0].damage(&path, Damage::FlipBit((160 + 64 + 60) * 8));
        let mut vault = open(dynamic(&disks), Access::Write, Arc::clone(&index) as _, &env).unwrap();
        let report = vault.repair(&mut || new_disk_id(1), &NoProgress).unwrap();
        assert!(report.blobs_salvaged > 0);
        let salvaged = *packs_now(&disks[0]).last().unwrap();
        backup(&vault, &tree).unwrap();
        let newest = vault.resolve("latest").unwrap();
        assert_eq!(difference(&vault, &newest, &tree), None);
        if !newest.needs.iter().any(|seq| seq.0 == salvaged) {
            wrong.push((seed, salvaged, newest.needs.clone()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn packs_now(disk: &MemoryDisk) -> Vec<u64> {
    let there = disk.contents().into_iter().filter(|(path, _)| path.starts_with("packs/") && !path.ends_with(".lost"));
    let mut seqs: Vec<u64> = there.map(|(_, bytes)| u64::from_le_bytes(bytes[192..200].try_into().unwrap())).collect();
    seqs.sort_unstable();
    seqs
}

/// newer manifests and packs are passed over; a run goes on beside them.
#[test]
fn newer_formats_stop_a_run() {
    let mut accepted = Vec::new();
    for (class, magic) in [(Class::Manifest, b"KWMANIF\0"), (Class::Pack, b"KWPACK\0\0"), (Class::Tombstone, b"KWTOMB\0\0")] {
        let env = env();
        let disks = shared(fresh("1+0".parse().unwrap(), 1));
        let mut bytes = magic.to_vec();
        bytes.extend_from_slice(&[2, 0]);
        bytes.extend_from_slice(&[7; 500]);
        let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
        pool.put(class, Spread::Layout, &bytes).unwrap();
        drop(pool);
        let made = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env)
            .and_then(|vault| backup(&vault, &Tree::new(&mut Random::new(1))));
        if let Ok(report) = made {
            accepted.push((class, report.outcome));
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
}
