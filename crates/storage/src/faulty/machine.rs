//! The machine that faulty disks are in: numbers each I/O of all of them, tells it to a hook, fails it as planned, keeps a trace.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{DiskError, DiskErrorKind};

/// One call to a disk, before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// From 0, over all disks of the machine.
    pub number: u64,
    /// The disk.
    pub disk: String,
    /// What is done.
    pub kind: OpKind,
    /// To what: a path, or a folder.
    pub path: String,
}

/// Kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpKind {
    /// Lists a folder.
    List,
    /// Reads from a file.
    Read,
    /// Asks for a length.
    Len,
    /// Writes a file.
    Write,
    /// Syncs a file.
    SyncFile,
    /// Renames a file.
    Rename,
    /// Syncs a folder.
    SyncFolder,
    /// Makes a folder.
    MakeFolder,
    /// Removes a file.
    Remove,
    /// Asks for space.
    Space,
    /// Takes the lock.
    Lock,
}

impl OpKind {
    /// Whether it can change what a crash leaves behind.
    pub fn changes(self) -> bool {
        matches!(self, Self::Write | Self::SyncFile | Self::Rename | Self::SyncFolder | Self::MakeFolder | Self::Remove)
    }
}

type Hook = Box<dyn FnMut(&Op) + Send>;

/// Several faulty disks and what happens to them.
#[derive(Default)]
pub struct Machine {
    state: Mutex<State>,
    /// Apart from the state: a hook may ask the machine and its disks for anything but I/O.
    hook: Mutex<Option<Hook>>,
}

#[derive(Default)]
struct State {
    next: u64,
    crash_at: Option<u64>,
    crashed: bool,
    failures: Vec<(u64, DiskErrorKind)>,
    digest: blake3::Hasher,
    trace: Option<Vec<String>>,
}

impl Machine {
    /// A machine without disks; [`super::FaultyDisk::new`] adds them.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Number of the next I/O.
    pub fn ops(&self) -> u64 {
        self.state().next
    }

    /// Before I/O `number` the machine stops: it and all after it fail with [`DiskErrorKind::Gone`].
    pub fn crash_at(&self, number: u64) {
        self.state().crash_at = Some(number);
    }

    /// Whether it has stopped.
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// I/O `number` fails, once, and does nothing.
    pub fn fail_at(&self, number: u64, kind: DiskErrorKind) {
        self.state().failures.push((number, kind));
    }

    /// Calls `hook` before each I/O. It must not do I/O on a disk of this machine; it may take images of them.
    pub fn set_hook(&self, hook: impl FnMut(&Op) + Send + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
    }

    /// Takes the hook away.
    pub fn clear_hook(&self) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Keeps the trace as text from now on; its digest is kept always.
    pub fn keep_trace(&self) {
        self.state().trace.get_or_insert_default();
    }

    /// The calls since [`Machine::keep_trace`].
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone().unwrap_or_default()
    }

    /// Digest of all calls and of all bytes written so far. Two runs that did the same have the same.
    pub fn digest(&self) -> [u8; 32] {
        self.state().digest.finalize().into()
    }

    /// After the power has come back: disks answer again. See [`super::FaultyDisk::power_cycle`] for what is on them.
    pub fn restart(&self) {
        let mut state = self.state();
        (state.crashed, state.crash_at) = (false, None);
    }

    /// Passes one call: the hook hears of it, and it fails if that is planned.
    pub(super) fn pass(&self, disk: &str, kind: OpKind, path: &str, written: &[&[u8]]) -> Result<(), DiskError> {
        let op = self.number(disk, kind, path, written);
        if let Some(hook) = self.hook.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            hook(&op);
        }
        let mut state = self.state();
        if state.crash_at.is_some_and(|at| op.number >= at) {
            state.crashed = true;
        }
        if state.crashed {
            return Err(DiskError::new(DiskErrorKind::Gone, disk, path));
        }
        match state.failures.iter().find(|(number, _)| *number == op.number) {
            Some((_, kind)) => Err(DiskError::new(*kind, disk, path)),
            None => Ok(()),
        }
    }

    fn number(&self, disk: &str, kind: OpKind, path: &str, written: &[&[u8]]) -> Op {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let line = format!("{number} {disk} {kind:?} {path}");
        state.digest.update(line.as_bytes()).update(&[0]);
        for part in written {
            state.digest.update(part);
        }
        if let Some(trace) = state.trace.as_mut() {
            trace.push(line);
        }
        Op { number, disk: disk.into(), kind, path: path.into() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("ops", &self.ops()).field("crashed", &self.has_crashed()).finish_non_exhaustive()
    }
}
