//! The pool: objects as shards on several disks.
//!
//! Owns which disk is what, which object lies where, and what the rest of the crate needs to say about it. The directories are
//! the truth; the listing in memory is read from them at open and follows each commit.

mod adopt;
mod aside;
mod change;
mod commit;
mod create;
mod depart;
mod health;
mod listing;
mod open;
mod place;
mod presence;
mod put_back;
mod read;
mod rebalance;
mod recover;
mod repair;
mod scrub;
mod settle;
mod supersede;
mod survey;
mod write;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use adopt::Adopted;
pub use change::{Change, ChangePlan};
pub use commit::CommitReport;
pub use create::PoolIds;
pub use depart::Departure;
pub use health::{DiskHealth, PoolHealth};
pub use listing::ShardRef;
pub use place::Reserve;
pub use read::ReadOutcome;
pub use repair::{Narrowing, RepairOutcome, RepairReport};
pub use scrub::{ScrubReport, ScrubVerdict, ShardCheck};
pub use survey::DiskState;
pub use write::Staged;

use crate::disk::{Disk, DiskError, DiskLock};
use crate::error::PoolError;
use crate::label::{Member, Role};
use crate::layout::Layout;
use crate::object::{Class, ObjectId, ObjectName};
use listing::{Entry, Listing, ShardAt};

/// What a pool is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Takes no lock and changes nothing.
    Read,
    /// The vault's only writer.
    Write,
}

/// How several disks are driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// Side by side.
    Parallel,
    /// One after the other, in slot order: the same calls in the same order in each run.
    Sequential,
}

/// A pool of disks that is open.
pub struct Pool {
    vault: [u8; 16],
    layout: RwLock<Layout>,
    access: Access,
    io: Io,
    reserve: Reserve,
    slots: RwLock<Vec<Slot>>,
    /// Disks that were given and have no place in the pool.
    strays: Mutex<Vec<Stray>>,
    listing: RwLock<Listing>,
    /// Numbers temporary names.
    temps: AtomicU64,
    /// Objects that could not be put together when they were last read or checked.
    lost: Mutex<BTreeSet<ObjectName>>,
}

/// A place in the pool, with or without a disk in it.
struct Slot {
    id: [u8; 16],
    role: Role,
    name: String,
    disk: Option<Arc<dyn Disk>>,
    state: DiskState,
    note: String,
    /// Why it takes no writes any more in this session.
    failed: Option<DiskError>,
    generation: u64,
    lock: Option<DiskLock>,
}

/// A disk that was given and has no place.
struct Stray {
    health: DiskHealth,
    disk: Arc<dyn Disk>,
    lock: Option<DiskLock>,
}

impl Slot {
    fn is_member(&self) -> bool {
        self.role != Role::Retired
    }

    fn readable(&self) -> Option<&Arc<dyn Disk>> {
        self.disk.as_ref().filter(|_| self.is_member() && matches!(self.state, DiskState::Present | DiskState::DamagedLabel))
    }

    /// The disk, if names on it can be changed: to finish, to label, to remove.
    fn changeable(&self) -> Option<&Arc<dyn Disk>> {
        self.disk.as_ref().filter(|_| self.is_member() && self.state == DiskState::Present && self.failed.is_none())
    }

    /// The disk, if it takes new shards.
    fn writable(&self) -> Option<&Arc<dyn Disk>> {
        self.changeable().filter(|_| self.role == Role::Active)
    }
}

impl Pool {
    /// Chooses how disks are driven; [`Io::Parallel`] unless told.
    #[must_use]
    pub fn with_io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// Sets what is kept free on each disk.
    pub fn set_reserve(&mut self, reserve: Reserve) {
        self.reserve = reserve;
    }

    /// The vault.
    pub fn vault(&self) -> [u8; 16] {
        self.vault
    }

    /// What it was opened for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The layout that objects are meant to have.
    pub fn layout(&self) -> Layout {
        *self.layout.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Objects of a class of which at least one shard is there, ascending.
    pub fn objects(&self, class: Class) -> Vec<ObjectId> {
        self.listing().objects(class)
    }

    /// Whether at least one shard of the object is there.
    pub fn contains(&self, name: ObjectName) -> bool {
        self.listing().get(name).is_some()
    }

    /// Files in the vault's folders that are not the vault's: disk and path, as found at open.
    pub fn foreign_files(&self) -> Vec<(String, String)> {
        self.listing().foreign.clone()
    }

    fn listing(&self) -> RwLockReadGuard<'_, Listing> {
        self.listing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn listing_mut(&self) -> RwLockWriteGuard<'_, Listing> {
        self.listing.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> RwLockReadGuard<'_, Vec<Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots_mut(&self) -> RwLockWriteGuard<'_, Vec<Slot>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn strays(&self) -> MutexGuard<'_, Vec<Stray>> {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool's places, as a label says them.
    fn members(&self) -> Vec<Member> {
        self.slots().iter().map(|slot| Member { disk: slot.id, role: slot.role }).collect()
    }

    /// Which places are of active disks, by slot: only their shards count for full redundancy.
    fn active(&self) -> Vec<bool> {
        self.slots().iter().map(|slot| slot.role == Role::Active).collect()
    }

    fn entry(&self, name: ObjectName) -> Result<Entry, PoolError> {
        self.listing().get(name).cloned().ok_or(PoolError::NoObject(name))
    }

    /// The disk in a slot, if it can be read.
    fn readable(&self, slot: u8) -> Option<Arc<dyn Disk>> {
        self.slots().get(usize::from(slot)).and_then(|s| s.readable().cloned())
    }

    /// From now on the disk gets no writes; what is on it is still read.
    fn mark_failed(&self, slot: u8, error: DiskError) {
        if let Some(slot) = self.slots_mut().get_mut(usize::from(slot)) {
            slot.failed.get_or_insert(error);
        }
    }

    fn check_write(&self) -> Result<(), PoolError> {
        if self.access == Access::Write { Ok(()) } else { Err(PoolError::ReadAccess) }
    }

    fn shard_ref(&self, name: ObjectName, at: ShardAt) -> ShardRef {
        let disk = self.slots().get(usize::from(at.slot)).map_or_else(String::new, |s| s.name.clone());
        ShardRef { disk, slot: at.slot, path: at.path(name) }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("layout", &self.layout()).field("access", &self.access).finish_non_exhaustive()
    }
}

/// What a place is called when nobody knows its disk's name.
fn place_name(slot: usize) -> String {
    format!("disk-{}", slot + 1)
}

/// Runs one job per disk and returns the results in the order of the jobs.
fn on_disks<T: Send, R: Send>(io: Io, jobs: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if io == Io::Sequential || jobs.len() < 2 {
        return jobs.into_iter().map(work).collect();
    }
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = jobs.into_iter().map(|job| scope.spawn(move || work(job))).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
