//! Keeps the process's memory to itself: no core dump, no tracing by others, nothing swapped out, little left behind.
//!
//! Owns three settings of the process and one broom. What the system refuses is a warning, not a failure: a box that restores is worth more.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use zeroize::Zeroize as _;

/// Less than this may be locked: then locking all of it would make later allocations fail.
const LOCK_MIN: u64 = 512 << 20;

/// What could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryWarning {
    /// Core dumps.
    #[error("the system does not let keyd switch off its core dumps: a crash may leave keys on the state disk")]
    CoreDumps,
    /// Locking.
    #[error("the system does not let keyd lock its memory (LimitMEMLOCK): keys may be swapped out, so the box should have no swap")]
    Locking,
}

/// To be called first thing, before there is any key or thread. Gives back what was refused.
pub fn seclude() -> Vec<MemoryWarning> {
    let dumps = set_dumpable(false).and_then(|()| setrlimit(Resource::RLIMIT_CORE, 0, 0)).map_err(|_| MemoryWarning::CoreDumps);
    let locked = lock().map_err(|_| MemoryWarning::Locking);
    [dumps, locked].into_iter().filter_map(Result::err).collect()
}

/// Overwrites what functions that have returned left on this thread's stack below its caller: moving a key copies it, and only the last copy is
/// wiped by its owner.
#[inline(never)]
pub fn wipe_stack() {
    /// Deeper than any verb of ours goes; a thread has 2 MiB.
    const DEPTH: usize = 512 << 10;
    let mut below = [0_u8; DEPTH];
    std::hint::black_box(&mut below).zeroize();
}

fn lock() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard)?;
    // Root is not bound by the limit (mlock(2), CAP_IPC_LOCK).
    if hard < LOCK_MIN && !nix::unistd::geteuid().is_root() {
        return Err(nix::errno::Errno::EPERM);
    }
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
}
