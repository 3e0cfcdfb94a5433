//! What the engine is given from outside: time, workers, and somebody to tell how far it is.

use std::fmt;
use std::sync::Arc;

use keepwell_format::Time;

use crate::restore::Mark;

/// The time of day, as far as anybody knows.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Time;
}

/// How much runs beside the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// Nothing: every step is done when it is asked for. For the simulator.
    Inline,
    /// So many worker threads, and reader threads as the source likes.
    Threads(usize),
}

/// The engine's surroundings.
#[derive(Clone)]
pub struct Env {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Parallelism.
    pub workers: Workers,
    /// Bytes a data pack is filled to.
    pub pack_target: usize,
    /// Packs that are made durable together.
    pub group: usize,
}

impl Env {
    /// Settings of production: packs of 32 MiB, up to 8 made durable together.
    pub fn new(clock: Arc<dyn Clock>, workers: Workers) -> Self {
        Self { clock, workers, pack_target: 32 << 20, group: 8 }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading the source and storing what is new.
    Backup,
    /// Writing files.
    Restore,
    /// Hashing shards.
    Scrub,
    /// Reading catalogs.
    Catalogs,
    /// Reading every file.
    Data,
    /// Rebuilding shards.
    Repair,
    /// Fetching what another box has kept.
    Fetch,
    /// Reading pack directories, because the index is gone or behind.
    Index,
}

/// Hears how far a run is. Calls come from several threads, cheap and often.
pub trait Progress: Send + Sync {
    /// A step begins; totals where they are known, else 0.
    fn begin(&self, step: Step, total_items: u64, total_bytes: u64) {
        let _ = (step, total_items, total_bytes);
    }
    /// So much more is done: entries or objects, and bytes.
    fn advance(&self, items: u64, bytes: u64) {
        let _ = (items, bytes);
    }
    /// Whether a restore should say where it is, so that it can go on from there if it is cut. Asked at each entry, with the number of those since the last mark. Who wants any
    /// wants one after [`Mark::WINDOW`] entries at the latest.
    fn wants_mark(&self, since: u32) -> bool {
        let _ = since;
        false
    }
    /// A restore is there.
    fn mark(&self, mark: &Mark<'_>) {
        let _ = mark;
    }
}

/// Nobody listens.
#[derive(Debug, Clone, Copy)]
pub struct NoProgress;

impl Progress for NoProgress {}
