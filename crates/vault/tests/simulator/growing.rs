//! A pool that grows while backups go on: whatever a run was writing when the disks changed, what it acknowledged is there, with any disks of the new layout gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keepwell_format::SnapshotId;
use keepwell_storage::{Access, Change, Layout, MemoryDisk, Pool, Reserve};
use keepwell_vault::{BackupOptions, Env, MemoryIndex, NoProgress, Reread, Sealed, Unlock, Vault, Workers};
use zeroize::Zeroizing;

use crate::random::Random;
use crate::tree::{Tree, TreeSource};
use crate::world::{PASSPHRASE, difference, dynamic, env, fresh, new_disk_id, open_images, shared};

fn layout(text: &str) -> Layout {
    text.parse().unwrap()
}

/// The same pool twice: for the backups, and for who changes its disks.
fn open(disks: &[Arc<MemoryDisk>], env: &Env) -> (Vault, Sealed) {
    let mut pool = Pool::open(dynamic(disks), Access::Write).unwrap();
    pool.set_reserve(Reserve::Bytes(0));
    let pool = Arc::new(pool);
    let unlock = Unlock::Passphrase(Zeroizing::new(PASSPHRASE.to_vec()));
    let sealed = || Sealed::open(Arc::clone(&pool), env.clone()).unwrap();
    (sealed().unlock_with(&unlock, Arc::new(MemoryIndex::default()), &NoProgress).unwrap(), sealed())
}

/// Backs versions of a tree up until told to end, four at least.
fn back_up(vault: &Vault, seed: u64, over: &AtomicBool) -> Vec<(SnapshotId, Tree)> {
    let mut random = Random::new(seed);
    let mut tree = Tree::new(&mut random);
    let options = BackupOptions { name: format!("share-{seed}"), level: 1, reread: Reread::NONE, intended: false };
    let mut made = Vec::new();
    while made.len() < 4 || !over.load(Ordering::Relaxed) {
        tree.change(&mut random);
        let report = vault.backup(&TreeSource::new(&tree), &options, &NoProgress).unwrap();
        made.push((report.snapshot, tree.clone()));
    }
    made
}

#[test]
fn a_pool_grows_from_two_to_four_disks_under_backups() {
    for seed in 0..4 {
        let env = Env { workers: Workers::Threads(2), ..env() };
        let mut disks = shared(fresh(layout("1+1"), 2));
        disks.extend([3, 4].map(|n| Arc::new(MemoryDisk::new(format!("disk-{n}")))));
        let (vault, sealed) = open(&disks, &env);
        let over = AtomicBool::new(false);
        let made: Vec<_> = std::thread::scope(|scope| {
            let runs = [10 + seed, 20 + seed].map(|seed| {
                scope.spawn({
                    let (vault, over) = (&vault, &over);
                    move || back_up(vault, seed, over)
                })
            });
            let grow = Change::Add { disks: vec!["disk-3".into(), "disk-4".into()], layout: Some(layout("2+2")) };
            let mut next = 0;
            let mut id = || {
                next += 1;
                new_disk_id(seed * 8 + next)
            };
            let plan = sealed.change_disks(&grow, &mut id, &NoProgress).unwrap().plan.unwrap();
            assert_eq!(plan.joining, ["disk-3", "disk-4"]);
            over.store(true, Ordering::Relaxed);
            runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
        });
        let mut settled = sealed.settle_disks(&NoProgress).unwrap();
        for _ in 0..3 {
            if settled.is_done() && sealed.disks().is_whole() {
                break;
            }
            settled = sealed.settle_disks(&NoProgress).unwrap();
        }
        assert!(settled.is_done() && sealed.disks().is_whole(), "seed {seed}: {settled:?}");
        drop((vault, sealed));
        for gone in [[0, 1], [1, 2], [2, 3], [0, 3]] {
            let mut images: Vec<MemoryDisk> = disks.iter().map(|disk| disk.image()).collect();
            gone.iter().for_each(|at: &usize| images[*at] = MemoryDisk::new(format!("disk-{}", at + 1)));
            let vault = open_images(&images, Access::Read, &env).unwrap();
            let snapshots = vault.snapshots().unwrap();
            for (id, tree) in &made {
                let snapshot = snapshots.iter().find(|snapshot| snapshot.id == *id).unwrap();
                assert_eq!(difference(&vault, snapshot, tree), None, "seed {seed}, without {gone:?}");
            }
        }
    }
}
