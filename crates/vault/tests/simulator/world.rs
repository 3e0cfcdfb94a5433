//! The simulator's surroundings: a vault on memory disks, a clock that moves by itself, and the check that a snapshot holds a tree exactly.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keepwell_crypt::Argon2Cost;
use keepwell_format::keys::ChunkSizes;
use keepwell_format::{DiskId, Time, VaultId};
use keepwell_storage::{Access, Disk, Io, Layout, MemoryDisk, Pool, PoolIds, Reserve};
use keepwell_vault::{
    BackupOptions, BackupReport, Clock, Env, Index, MemoryIndex, NewVault, NoProgress, RestoreOptions, Sealed, Snapshot, Unlock, Vault,
    VaultError, Workers, create,
};
use zeroize::Zeroizing;

use crate::random::Random;
use crate::target::TreeTarget;
use crate::tree::{Tree, TreeSource};

pub(crate) const PASSPHRASE: &[u8] = b"simulated";
/// Small enough that a tree of a few files makes several packs of several chunks.
const CHUNK: ChunkSizes = ChunkSizes { min: 256, avg: 1024, max: 4096 };

struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Time {
        Time { seconds: self.0.fetch_add(1, Ordering::Relaxed), nanos: 0 }
    }
}

/// Everything inline, packs of a few kilobytes, two at a time.
pub(crate) fn env() -> Env {
    let clock = Arc::new(Ticks(AtomicI64::new(1_000_000)));
    Env { pack_target: 8 << 10, group: 2, ..Env::new(clock, Workers::Inline) }
}

/// Disks of a fresh vault: of each layout the same ones, as making a vault uses the system's randomness.
pub(crate) fn fresh(layout: Layout, disks: usize) -> Vec<MemoryDisk> {
    static MADE: Mutex<BTreeMap<(Layout, usize), Vec<MemoryDisk>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let images = made.entry((layout, disks)).or_insert_with(|| make(layout, disks));
    images.iter().map(MemoryDisk::image).collect()
}

fn make(layout: Layout, disks: usize) -> Vec<MemoryDisk> {
    let blank: Vec<Arc<MemoryDisk>> = (1..=disks).map(|n| Arc::new(MemoryDisk::new(format!("disk-{n}")))).collect();
    let dynamic = blank.iter().map(|disk| Arc::clone(disk) as Arc<dyn Disk>).collect();
    let mut random = Random::new(42);
    let mut fill = |bytes: &mut [u8]| random.fill(bytes);
    let mut vault = [0; 16];
    fill(&mut vault);
    let ids = PoolIds { vault, disks: (0..disks).map(|n| [n as u8 + 1; 16]).collect() };
    let pool = Pool::create(dynamic, ids, layout).expect("a pool on blank disks").with_io(Io::Sequential);
    let argon2 = Argon2Cost { m_kib: 8, t: 1, p: 1 };
    let new = NewVault { chunk: CHUNK, passphrase: Some(PASSPHRASE), argon2, test_vault: true, ..NewVault::new(VaultId(vault)) };
    create(&pool, &new, &mut fill).expect("a new vault");
    drop(pool);
    blank.iter().map(|disk| disk.image()).collect()
}

/// Opens a vault with an index of the caller's.
pub(crate) fn open(disks: Vec<Arc<dyn Disk>>, access: Access, index: Arc<dyn Index>, env: &Env) -> Result<Vault, VaultError> {
    let mut pool = Pool::open(disks, access)?.with_io(Io::Sequential);
    pool.set_reserve(Reserve::Bytes(0));
    let unlock = Unlock::Passphrase(Zeroizing::new(PASSPHRASE.to_vec()));
    Sealed::open(Arc::new(pool), env.clone())?.unlock_with(&unlock, index, &NoProgress)
}

/// Opens images of disks.
pub(crate) fn open_images(images: &[MemoryDisk], access: Access, env: &Env) -> Result<Vault, VaultError> {
    let disks = images.iter().map(|image| Arc::new(image.image()) as Arc<dyn Disk>).collect();
    open(disks, access, Arc::new(MemoryIndex::default()), env)
}

pub(crate) fn shared(images: Vec<MemoryDisk>) -> Vec<Arc<MemoryDisk>> {
    images.into_iter().map(Arc::new).collect()
}

pub(crate) fn dynamic(disks: &[Arc<MemoryDisk>]) -> Vec<Arc<dyn Disk>> {
    disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Disk>).collect()
}

pub(crate) fn backup(vault: &Vault, tree: &Tree) -> Result<BackupReport, VaultError> {
    let options = BackupOptions { name: "share".to_owned(), level: 1, reread: keepwell_vault::Reread::NONE, intended: false };
    vault.backup(&TreeSource::new(tree), &options, &NoProgress)
}

/// What a restored snapshot lacks of a tree, if anything.
pub(crate) fn difference(vault: &Vault, snapshot: &Snapshot, tree: &Tree) -> Option<String> {
    let target = TreeTarget::default();
    match vault.restore(snapshot, &RestoreOptions::default(), &target, &NoProgress) {
        Err(error) => Some(format!("the restore failed: {error}")),
        Ok(report) => match report.missing.first() {
            Some(trouble) => Some(format!("{} is lost: {}", trouble.key, trouble.text)),
            None => target.difference(tree),
        },
    }
}

pub(crate) fn new_disk_id(seed: u64) -> DiskId {
    let mut id = [0xee; 16];
    id[..8].copy_from_slice(&seed.to_le_bytes());
    DiskId(id)
}
