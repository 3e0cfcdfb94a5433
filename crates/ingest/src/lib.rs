//! Trees over a socket: a [`Source`](keepwell_format::port::Source) or [`Target`](keepwell_format::port::Target) of one process, used by another
//! (`docs/ingest.md`).
//!
//! Owns frames, flow control and both ends. The caller has keys and trusts nothing that comes back; the answering end has a network, and nothing
//! in the protocol lets it ask for anything. Knows no kind of share, no vault, no API.

mod answer;
mod call;
mod error;
mod frame;
pub mod fuzz;
mod message;
mod order;
mod outlet;
mod rights;

use std::time::Duration;

pub use answer::{Doors, WarnedTarget, answer};
pub use call::{Call, Canceller, RemoteSource, RemoteTarget};
pub use error::{IngestError, Refusal};
pub use order::{Opening, SourceOrder, TargetOrder, Warned};
pub use rights::{CheckOrder, Checked, May};

/// The other end is given up when nothing comes from it for so long, or when it takes nothing for so long.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The answering end says so often that it is alive.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// The protocol's version. One image ships both ends, so another one is an error.
const VERSION: u16 = 1;
/// How far ahead a walk may run: entries that were not taken yet.
const WALK_ENTRIES: usize = 4096;
/// The same in bytes of frames; one frame alone may be as long as frames are.
const WALK_BYTES: usize = 4 << 20;
/// Entries of one frame.
const BATCH: usize = 512;
/// How many entries back a file may still be opened.
const OPENABLE: usize = 8192;
/// How far a read may run ahead.
const READ_WINDOW: u64 = 2 << 20;
/// How far writes to a file may run ahead.
const WRITE_WINDOW: u64 = 4 << 20;
/// What a data frame or hole takes of a window at least.
const LEAST_COST: u64 = 4096;
/// Reads, writes and requests that may be under way.
const MOST_CHANNELS: usize = 4096;

/// What so many bytes take of a window.
const fn cost(bytes: usize) -> u64 {
    let bytes = bytes as u64;
    if bytes < LEAST_COST { LEAST_COST } else { bytes }
}

/// A lock whose holder never panics with it in disorder.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
