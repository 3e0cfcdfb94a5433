//! Without faults of the moment: what goes in comes out, in every layout, with any `m` disks gone, with and without index.

use std::sync::Arc;

use keepwell_format::{Key, SnapshotId};
use keepwell_storage::{Access, Disk, Layout, MemoryDisk};
use keepwell_vault::{BackupOptions, Change, Env, MemoryIndex, NoProgress, Workers};

use crate::random::Random;
use crate::tree::{Tree, TreeSource};
use crate::world::{backup, difference, dynamic, env, fresh, new_disk_id, open, open_images, shared};

const LAYOUTS: [&str; 4] = ["1+0", "1+1", "2+1", "4+2"];

fn layout(text: &str) -> Layout {
    text.parse().unwrap()
}

#[test]
fn two_versions_come_back_with_any_m_disks_gone() {
    for (seed, text) in (0..).zip(LAYOUTS.repeat(3)) {
        let (layout, env) = (layout(text), env());
        let mut random = Random::new(seed);
        let disks = shared(fresh(layout, usize::from(layout.width())));
        let mut tree = Tree::new(&mut random);
        let first = tree.clone();
        let index = Arc::new(MemoryIndex::default());
        let vault = open(dynamic(&disks), Access::Write, Arc::clone(&index) as _, &env).unwrap();
        let before = backup(&vault, &tree).unwrap();
        tree.change(&mut random);
        let after = backup(&vault, &tree).unwrap();
        assert!(after.statistics.unchanged_files > 0 && after.statistics.read_bytes < before.statistics.read_bytes);
        drop(vault);

        for gone in 0..disks.len() {
            let mut images: Vec<MemoryDisk> = disks.iter().map(|disk| disk.image()).collect();
            for n in 0..usize::from(layout.m) {
                let at = (gone + n) % disks.len();
                images[at] = MemoryDisk::new(format!("disk-{}", at + 1));
            }
            let vault = open_images(&images, Access::Read, &env).unwrap();
            let snapshots = vault.snapshots().unwrap();
            assert_eq!(snapshots.len(), 2);
            assert_eq!(difference(&vault, &snapshots[0], &first), None, "{text} seed {seed} without {gone}");
            assert_eq!(difference(&vault, &snapshots[1], &tree), None, "{text} seed {seed} without {gone}");
        }
    }
}

#[test]
fn a_sealed_note_opens_for_its_purpose_alone() {
    let env = env();
    let disks = fresh(layout("1+0"), 1);
    let vault = open_images(&disks, Access::Write, &env).unwrap();
    let note = vault.seal_note("share 1", b"secret");
    assert_eq!(vault.open_note("share 1", &note).unwrap().as_slice(), b"secret");
    assert!(!note.windows(6).any(|window| window == b"secret"));
    assert!(vault.open_note("share 2", &note).is_err());
    for at in 0..note.len() {
        let mut changed = note.clone();
        changed[at] ^= 1;
        assert!(vault.open_note("share 1", &changed).is_err() && vault.open_note("share 1", &note[..at]).is_err(), "byte {at}");
    }
}

#[test]
fn runs_beside_each_other_keep_out_of_each_others_way() {
    let env = Env { workers: Workers::Threads(2), ..env() };
    let disks = shared(fresh(layout("2+1"), 3));
    let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
    // Two of them hold the same bytes, so that both may store them at once.
    let versions = |share: u64| {
        let mut random = Random::new(20 + share / 2);
        let mut tree = Tree::new(&mut random);
        (0..4).map(move |_| {
            tree.change(&mut random);
            tree.clone()
        })
    };
    let made: Vec<(SnapshotId, Tree)> = std::thread::scope(|scope| {
        let run = |share: u64| {
            let options = BackupOptions { name: format!("share-{share}"), level: 1, reread: keepwell_vault::Reread::NONE, intended: false };
            let backup = |tree: Tree| (vault.backup(&TreeSource::new(&tree), &options, &NoProgress).unwrap().snapshot, tree);
            versions(share).map(backup).collect::<Vec<_>>()
        };
        let runs: Vec<_> = (0..4).map(|share| scope.spawn(move || run(share))).collect();
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    drop(vault);

    let mut images: Vec<MemoryDisk> = disks.iter().map(|disk| disk.image()).collect();
    images[1] = MemoryDisk::new("disk-2");
    let vault = open_images(&images, Access::Read, &env).unwrap();
    let snapshots = vault.snapshots().unwrap();
    assert_eq!(snapshots.iter().map(|snapshot| snapshot.sequence).collect::<Vec<_>>(), (1..=16).collect::<Vec<_>>());
    assert!(snapshots.windows(2).all(|pair| pair[1].previous == pair[0].id));
    for (id, tree) in made {
        let snapshot = snapshots.iter().find(|snapshot| snapshot.id == id).unwrap();
        assert_eq!(difference(&vault, snapshot, &tree), None, "{}", snapshot.body.name);
    }
}

#[test]
fn an_unchanged_tree_adds_a_manifest_and_nothing_else() {
    let env = env();
    let disks = shared(fresh(layout("2+1"), 3));
    let tree = Tree::new(&mut Random::new(7));
    let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
    backup(&vault, &tree).unwrap();
    let packs = vault.stats().unwrap().packs;
    let again = backup(&vault, &tree).unwrap();
    assert_eq!((again.statistics.read_bytes, again.statistics.new_blobs), (0, 0));
    assert_eq!(vault.stats().unwrap().packs, packs);
}

#[test]
fn a_lost_disk_is_rebuilt_and_a_second_loss_survived() {
    let env = env();
    let mut disks = shared(fresh(layout("2+1"), 3));
    let tree = Tree::new(&mut Random::new(8));
    let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
    backup(&vault, &tree).unwrap();
    drop(vault);
    disks[0] = Arc::new(MemoryDisk::new("disk-1"));
    let mut vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
    let report = vault.repair(&mut || new_disk_id(1), &NoProgress).unwrap();
    assert_eq!(report.disks_adopted, ["disk-1"]);
    assert_eq!(report.remaining, Vec::<String>::new());
    assert!(vault.verify(true, &NoProgress).unwrap().is_clean());
    drop(vault);
    disks[2] = Arc::new(MemoryDisk::new("disk-3"));
    let vault = open(dynamic(&disks), Access::Read, Arc::new(MemoryIndex::default()), &env).unwrap();
    let snapshots = vault.snapshots().unwrap();
    assert_eq!(difference(&vault, &snapshots[0], &tree), None);
}

#[test]
fn what_is_lost_beyond_parity_is_named_exactly_and_can_be_backed_up_again() {
    let env = env();
    let disks = shared(fresh(layout("2+1"), 3));
    let tree = Tree::new(&mut Random::new(9));
    let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
    backup(&vault, &tree).unwrap();
    drop(vault);
    let pack = disks[0].paths().into_iter().find(|path| path.starts_with("packs/")).unwrap();
    let object = pack[6..70].to_owned();
    for disk in &disks {
        for path in disk.paths().into_iter().filter(|path| path.contains(&object)) {
            disk.remove(&path).unwrap();
        }
    }
    let mut vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
    let lost: Vec<Key> = vault.verify(true, &NoProgress).unwrap().files_lost.into_iter().map(|file| file.key).collect();
    assert!(!lost.is_empty());
    let snapshot = vault.resolve("latest").unwrap();
    let target = crate::target::TreeTarget::default();
    let report = vault.restore(&snapshot, &keepwell_vault::RestoreOptions::default(), &target, &NoProgress).unwrap();
    let missing: Vec<Key> = report.missing.iter().map(|trouble| trouble.key.clone()).collect();
    assert!(missing.iter().all(|key| lost.contains(key)), "{missing:?} {lost:?}");
    vault.repair(&mut || new_disk_id(1), &NoProgress).unwrap();
    backup(&vault, &tree).unwrap();
    let snapshot = vault.resolve("latest").unwrap();
    assert_eq!(difference(&vault, &snapshot, &tree), None);
}

#[test]
fn diff_names_what_changed() {
    let env = env();
    let disks = shared(fresh(layout("1+0"), 1));
    let mut random = Random::new(11);
    let mut tree = Tree::new(&mut random);
    let old = tree.clone();
    let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
    backup(&vault, &tree).unwrap();
    tree.change(&mut random);
    backup(&vault, &tree).unwrap();
    let snapshots = vault.snapshots().unwrap();
    let mut found = Vec::new();
    vault.diff(&snapshots[0], &snapshots[1], &mut |difference| found.push((difference.key.clone(), difference.change))).unwrap();
    let expected: Vec<(Key, Change)> = old
        .things
        .keys()
        .chain(tree.things.keys())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .filter_map(|key| match (old.things.get(key), tree.things.get(key)) {
            (Some(_), None) => Some((key.clone(), Change::Removed)),
            (None, Some(_)) => Some((key.clone(), Change::Added)),
            (Some(a), Some(b)) if a.runs != b.runs => Some((key.clone(), Change::Content)),
            (Some(a), Some(b)) if a != b => Some((key.clone(), Change::Metadata)),
            _ => None,
        })
        .collect();
    assert_eq!(found, expected);
}
