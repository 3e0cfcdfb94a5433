//! An index that is damaged, wrong, or shared with a reader costs time and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(dead_code, reason = "the simulator's surroundings are more than is needed here")]

#[path = "simulator/random.rs"]
mod random;
#[path = "simulator/target.rs"]
mod target;
#[path = "simulator/tree.rs"]
mod tree;
#[path = "simulator/world.rs"]
mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keepwell_format::VaultId;
use keepwell_storage::{Access, MemoryDisk, Pool};
use keepwell_vault::{Index, IndexPlace, MemoryIndex, NoProgress, Sealed, SqliteIndex, Unlock, Vault};

use random::Random;
use tree::Tree;
use world::{backup, difference, dynamic, env, fresh, open, shared};

/// A vault with one snapshot, and its closed index file.
struct Scene {
    disks: Vec<Arc<MemoryDisk>>,
    tree: Tree,
    folder: tempfile::TempDir,
    vault: VaultId,
}

impl Scene {
    fn new() -> Self {
        let disks = shared(fresh("1+0".parse().unwrap(), 1));
        let vault = VaultId(Pool::open(dynamic(&disks), Access::Read).unwrap().vault());
        let scene = Self { disks, tree: Tree::new(&mut Random::new(11)), folder: tempfile::tempdir().unwrap(), vault };
        backup(&scene.open(Access::Write), &scene.tree).unwrap();
        scene
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("index.sqlite")
    }

    fn index(&self) -> SqliteIndex {
        SqliteIndex::open(&IndexPlace::File(self.path()), self.vault).unwrap()
    }

    fn open(&self, access: Access) -> Vault {
        open(dynamic(&self.disks), access, Arc::new(self.index()), &env()).unwrap()
    }

    /// The newest snapshot is all there, for a reader, for verify, and for the run after.
    fn is_whole(&self, what: &str) {
        for access in [Access::Read, Access::Write] {
            let vault = self.open(access);
            let snapshot = vault.resolve("latest").unwrap();
            assert_eq!(difference(&vault, &snapshot, &self.tree), None, "{what}");
            let report = vault.verify(true, &NoProgress).unwrap();
            assert!(report.files_lost.is_empty() && report.snapshots_lost.is_empty(), "{what}: {report:?}");
        }
        let vault = self.open(Access::Write);
        backup(&vault, &self.tree).unwrap();
        let snapshot = vault.resolve("latest").unwrap();
        assert_eq!(difference(&vault, &snapshot, &self.tree), None, "{what}");
    }

    fn change(&self, sql: &str) {
        rusqlite::Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }
}

fn change_bytes(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn rows_that_are_wrong_lose_nothing_and_are_replaced() {
    for sql in [
        "UPDATE frames SET at = at + 1",
        "UPDATE frames SET at = -1",
        "UPDATE frames SET kind = 77",
        "UPDATE frames SET stored = 4000000000",
        "DELETE FROM frames",
        "UPDATE packs SET seq = -5",
        "DROP TABLE frames",
    ] {
        let scene = Scene::new();
        let good = scene.index().totals().unwrap();
        scene.change(sql);
        scene.is_whole(sql);
        scene.open(Access::Write);
        assert!(scene.index().totals().unwrap().0 >= good.0, "{sql}: the index did not heal");
    }
}

#[test]
fn garbage_in_every_third_page_loses_nothing() {
    let scene = Scene::new();
    change_bytes(&scene.path(), |bytes| {
        bytes.chunks_mut(4096).skip(2).step_by(3).for_each(|page| page[..64].fill(0xa5));
    });
    scene.is_whole("every third page");
}

#[test]
fn a_file_damaged_anywhere_loses_nothing() {
    let scene = Scene::new();
    let original = std::fs::read(scene.path()).unwrap();
    let mut random = Random::new(3);
    for round in 0..30 {
        std::fs::write(scene.path(), &original).unwrap();
        let at = random.below(original.len() as u64) as usize;
        change_bytes(&scene.path(), |bytes| match round % 3 {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at..].iter_mut().take(64).for_each(|byte| *byte = random.next() as u8),
            _ => bytes.truncate(at),
        });
        scene.is_whole(&format!("round {round} at {at}"));
    }
}

#[test]
fn an_index_that_fails_in_the_middle_does_not_end_the_run() {
    let scene = Scene::new();
    let vault = scene.open(Access::Write);
    scene.change("DROP TABLE frames");
    backup(&vault, &Tree::new(&mut Random::new(12))).unwrap();
    drop(vault);
    let vault = scene.open(Access::Write);
    let snapshot = vault.resolve("latest").unwrap();
    assert_eq!(difference(&vault, &snapshot, &Tree::new(&mut Random::new(12))), None);
}

#[test]
fn a_reader_leaves_the_index_alone() {
    let disks = shared(fresh("1+0".parse().unwrap(), 1));
    let index = Arc::new(MemoryIndex::default());
    let reading = Pool::open(dynamic(&disks), Access::Read).unwrap();
    let writer = open(dynamic(&disks), Access::Write, Arc::clone(&index) as _, &env()).unwrap();
    backup(&writer, &Tree::new(&mut Random::new(1))).unwrap();
    let before = index.packs().unwrap().len();
    assert!(before > 0);
    let unlock = Unlock::Passphrase(zeroize::Zeroizing::new(world::PASSPHRASE.to_vec()));
    let reader = Sealed::open(Arc::new(reading), env()).unwrap().unlock_with(&unlock, Arc::clone(&index) as _, &NoProgress).unwrap();
    assert_eq!(index.packs().unwrap().len(), before);
    assert_eq!(reader.snapshots().unwrap().len(), 0);
}
