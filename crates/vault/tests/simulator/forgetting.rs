//! Snapshots that are forgotten: which may be, that they stay so, that nothing else is lost by it, and that a tombstone nobody can trust forgets nothing.
//! What a power failure at any step leaves of it, the crash tests show.

use std::sync::{Arc, Mutex, PoisonError};

use keepwell_format::port::{ReadFile, Source, SourceInfo, Walk, Walked};
use keepwell_format::{Gap, Gone, Outcome, SnapshotId, Tombstone, VaultId};
use keepwell_storage::{Access, Class, Damage, Disk, FaultyDisk, Machine, MemoryDisk, Pool, Spread};
use keepwell_vault::{MemoryIndex, NoProgress, Vault, VaultError};

use crate::promised::Promised;
use crate::random::Random;
use crate::tree::{Tree, TreeSource};
use crate::world::{backup, dynamic, env, fresh, new_disk_id, open, open_images, shared};

const WHY: &str = "14 days are kept";

fn reopen(disks: &[Arc<MemoryDisk>]) -> Vault {
    open(dynamic(disks), Access::Write, Arc::new(MemoryIndex::default()), &env()).unwrap()
}

/// Versions of a tree, and a vault with a snapshot of each.
fn versions(disks: &[Arc<MemoryDisk>], count: usize) -> (Vault, Vec<Tree>, Vec<SnapshotId>) {
    let (vault, mut random) = (reopen(disks), Random::new(5));
    let mut tree = Tree::new(&mut random);
    let (mut trees, mut ids) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let report = backup(&vault, &tree).unwrap();
        assert_ne!(report.outcome, Outcome::Held);
        trees.push(tree.clone());
        ids.push(report.snapshot);
        tree.change(&mut random);
    }
    (vault, trees, ids)
}

fn files(disk: &MemoryDisk, folder: &str) -> Vec<String> {
    disk.contents().into_keys().filter(|path| path.starts_with(folder)).collect()
}

fn refused<T: std::fmt::Debug>(result: Result<T, VaultError>) -> String {
    match result.unwrap_err() {
        error @ (VaultError::NotForgotten(_) | VaultError::NoSnapshot(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn forgotten_snapshots_are_gone_and_all_others_stay() {
    let disks = shared(fresh("2+1".parse().unwrap(), 3));
    let (vault, mut trees, ids) = versions(&disks, 4);
    assert_eq!(vault.check_forget(&ids[1..3]).unwrap().forgotten.len(), 2);
    assert_eq!(vault.snapshots().unwrap().len(), 4, "a check changes nothing");
    let report = vault.forget(&[ids[2], ids[1], ids[2]], WHY, 77).unwrap();
    assert_eq!(report.forgotten.iter().map(|snapshot| snapshot.id).collect::<Vec<_>>(), ids[1..3]);

    let promised = Promised { made: 4, forgotten: [2, 3].into(), forgetting: None };
    let check = |vault: &Vault| {
        assert_eq!(promised.broken(vault, &trees), None);
        let verified = vault.verify(true, &NoProgress).unwrap();
        assert!(verified.is_clean() && verified.snapshots == 2, "{verified:?}");
        assert_eq!(vault.stats().unwrap().snapshots, 2);
        assert!(refused(vault.resolve(&ids[1].to_string())).contains("is forgotten"));
        let told = vault.forgotten().unwrap();
        assert_eq!(told.len(), 1);
        let mut gone = ids[1..3].to_vec();
        gone.sort();
        assert_eq!((told[0].received, &told[0].snapshots, &told[0].reason), (77, &gone, &Ok(WHY.to_owned())));
    };
    check(&vault);
    let again = vault.forget(&ids[..3], WHY, 78).unwrap();
    assert_eq!((again.forgotten.len(), again.already.len()), (1, 2));
    drop(vault);
    let vault = reopen(&disks);
    assert_eq!(vault.snapshots().unwrap().len(), 1);
    assert_eq!(vault.forgotten().unwrap().len(), 2, "what is forgotten for good is not forgotten again");

    trees.push(Tree::new(&mut Random::new(5)));
    backup(&vault, &trees[4]).unwrap();
    let newest = vault.resolve("latest").unwrap();
    assert_eq!((newest.sequence, newest.previous), (5, ids[3]));
}

/// A source that has something done while a run reads it.
struct Meanwhile<'a, F: Fn() + Send + Sync>(TreeSource<'a>, F);

impl<F: Fn() + Send + Sync> Source for Meanwhile<'_, F> {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }
    fn walk(&self) -> Result<Walk<'_>, Gap> {
        (self.1)();
        self.0.walk()
    }
    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        self.0.open(entry)
    }
}

#[test]
fn what_is_needed_is_kept() {
    let disks = shared(fresh("1+1".parse().unwrap(), 2));
    let (vault, trees, ids) = versions(&disks, 2);
    assert!(refused(vault.forget(&ids, WHY, 1)).contains("last accepted"));
    assert!(refused(vault.forget(&[ids[0], SnapshotId([9; 32])], WHY, 1)).contains("holds no snapshot"));

    let options =
        keepwell_vault::BackupOptions { name: "share".to_owned(), level: 1, reread: keepwell_vault::Reread::NONE, intended: false };
    let said = Mutex::new(None);
    let source = Meanwhile(TreeSource::new(&trees[1]), || {
        *said.lock().unwrap() = Some(refused(vault.forget(&[ids[1]], WHY, 1)));
    });
    vault.backup(&source, &options, &NoProgress).unwrap();
    assert!(said.into_inner().unwrap().unwrap().contains("runs now"));

    let mut empty = trees[1].clone();
    empty.things.retain(|key, _| key.is_root());
    let held = backup(&vault, &empty).unwrap();
    assert_eq!(held.outcome, Outcome::Held);
    assert!(refused(vault.forget(&[ids[0], held.snapshot], WHY, 1)).contains("is held"));
    assert_eq!(vault.snapshots().unwrap().len(), 4, "all of them or none");
    assert_eq!(files(&disks[0], "tombstones/"), Vec::<String>::new());
    // The base of the run that is over, and no longer the last.
    vault.forget(&ids, WHY, 1).unwrap();
    assert_eq!(vault.snapshots().unwrap().len(), 2);
}

#[test]
fn with_too_few_disks_nothing_is_forgotten_yet() {
    let disks = shared(fresh("1+1".parse().unwrap(), 2));
    let (vault, trees, ids) = versions(&disks, 2);
    drop(vault);
    let blank = Arc::new(MemoryDisk::new("disk-2"));
    let vault = reopen(&[Arc::clone(&disks[0]), Arc::clone(&blank)]);
    assert!(refused(vault.forget(&ids[..1], WHY, 1)).contains("too few disks"));
    assert_eq!(Promised { made: 2, ..Promised::default() }.broken(&vault, &trees), None);
    drop(vault);
    // The disk returns; another time a new one takes its place, and gets what the other holds.
    let mut vault = reopen(&[Arc::clone(&disks[0]), Arc::clone(&blank)]);
    vault.repair(&mut || new_disk_id(1), &NoProgress).unwrap();
    vault.forget(&ids[..1], WHY, 1).unwrap();
    drop(vault);
    for alone in [[Arc::clone(&disks[0])], [Arc::clone(&blank)]] {
        let vault = open(dynamic(&alone), Access::Read, Arc::new(MemoryIndex::default()), &env()).unwrap();
        assert_eq!(vault.snapshots().unwrap().iter().map(|snapshot| snapshot.id).collect::<Vec<_>>(), ids[1..]);
    }
}

#[test]
fn a_tombstone_that_cannot_be_trusted_forgets_nothing() {
    let disks = shared(fresh("1+0".parse().unwrap(), 1));
    let (vault, trees, ids) = versions(&disks, 3);
    vault.forget(&ids[..1], WHY, 1).unwrap();
    let pool_vault = vault.id();
    drop(vault);
    let all = Promised { made: 3, ..Promised::default() };
    let path = files(&disks[0], "tombstones/").remove(0);
    let disk = Arc::new(disks[0].image());
    disk.damage(&path, Damage::FlipBit((160 + 60) * 8));
    let vault = reopen(&[disk]);
    assert_eq!(all.broken(&vault, &trees), None, "what a damaged one made forgotten shows again");
    assert_eq!(vault.verify(false, &NoProgress).unwrap().tombstones_damaged.len(), 1);
    drop(vault);

    let forged = |vault: VaultId| {
        let gone = vec![Gone { snapshot: ids[1], sequence: 2, previous: ids[0] }];
        let stone = Tombstone {
            vault,
            epoch: keepwell_format::Epoch(1),
            sequence: 9,
            received: 1,
            packs: 0,
            gone,
            sealed: vec![1; 80],
            signature: [7; 64],
        };
        stone.encode()
    };
    let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
    for bytes in [forged(pool_vault), forged(VaultId([9; 16])), b"KWTOMB\0\0\x01\0".to_vec()] {
        pool.put(Class::Tombstone, Spread::Layout, &bytes).unwrap();
    }
    drop(pool);
    let vault = reopen(&disks);
    assert_eq!(Promised { forgotten: [1].into(), ..all }.broken(&vault, &trees), None);
    let verified = vault.verify(false, &NoProgress).unwrap();
    assert_eq!((verified.tombstones_damaged.len(), verified.is_clean()), (3, false));
}

/// The manifest of a forgotten snapshot may go, and what it names as the one before is missed still.
#[test]
fn only_what_is_not_forgotten_is_missed() {
    let disks = shared(fresh("1+0".parse().unwrap(), 1));
    let (vault, _, ids) = versions(&disks, 4);
    vault.forget(&ids[1..2], WHY, 1).unwrap();
    drop(vault);
    let lost = |gone: usize| {
        let disk = Arc::new(disks[0].image());
        files(&disk, &format!("manifests/{}", ids[gone])).iter().for_each(|path| disk.remove(path).unwrap());
        reopen(&[disk]).verify(false, &NoProgress).unwrap().snapshots_lost
    };
    assert_eq!(lost(1), []);
    assert_eq!(lost(0).into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [ids[0].to_string()]);
    assert_eq!(lost(2).into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [ids[2].to_string()]);
}

/// The process dies in the middle; who asks again is told the truth, which no power failure and no loss of a disk changes.
#[test]
fn asking_again_makes_it_last() {
    for (layout, width) in [("1+0", 1), ("1+1", 2), ("2+1", 3)] {
        let blank = shared(fresh(layout.parse().unwrap(), width));
        let (vault, trees, ids) = versions(&blank, 2);
        drop(vault);
        let boot = || {
            let machine = Machine::new();
            let disks: Vec<_> = blank.iter().map(|disk| Arc::new(FaultyDisk::from_image(&machine, disk))).collect();
            (machine, disks)
        };
        let go = |disks: &[Arc<FaultyDisk>]| {
            let disks = disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Disk>).collect();
            open(disks, Access::Write, Arc::new(MemoryIndex::default()), &env())?.forget(&ids[..1], WHY, 1)
        };
        let (machine, disks) = boot();
        let steps = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&steps);
        machine.set_hook(move |op| {
            if op.kind.changes() {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(op.number);
            }
        });
        go(&disks).unwrap();
        machine.clear_hook();
        for number in std::mem::take(&mut *steps.lock().unwrap()) {
            let (machine, disks) = boot();
            machine.crash_at(number);
            go(&disks).unwrap_err();
            machine.restart();
            go(&disks).unwrap();
            for lost in 0..width {
                let mut left: Vec<MemoryDisk> = disks.iter().map(|disk| disk.crash_image(number)).collect();
                if width > 1 {
                    left[lost] = MemoryDisk::new(format!("disk-{}", lost + 1));
                }
                let vault = open_images(&left, Access::Read, &env()).unwrap();
                let promised = Promised { made: 2, forgotten: [1].into(), forgetting: None };
                assert_eq!(promised.broken(&vault, &trees), None, "{layout}, killed before {number}, disk {lost} lost");
            }
        }
    }
}
