//! A disk that fails as disks do, and the same way each time: for tests and the simulator.
//!
//! It never touches the file system and has no randomness but its seeds. Assumptions about media:
//!
//! - Time is the sequence of calls. A crash happens between two calls; as unsynced data may reach the medium at any moment, a
//!   crash within a call leaves nothing that one of the two does not.
//! - A file's content is safe after `sync_file` and until it is written again. Before that a crash leaves the bytes of the last sync
//!   (or none), all new ones, new ones cut at a sector (512 bytes), or any mixture of old and new sectors; where there were
//!   no old ones, zeros. Sectors are never torn, and the medium does not invent bytes.
//! - A change of a name (a file made, renamed, removed; a folder made) is safe after `sync_folder` of its folder. Before that each is
//!   lost or kept on its own, in any combination: a later one may be kept where an earlier one is lost. Syncing a file does not make its name safe.
//! - A rename is atomic: the new name shows the old file or the new one.
//! - What is synced stays until it is damaged on purpose: flipped bits, cut or deleted files, files that can't be read.
//! - A full disk keeps what fitted of the write that failed. A disk that is gone or read-only keeps everything.

mod machine;
mod media;
mod seed;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub use machine::{Machine, Op, OpKind};

use crate::disk::{Disk, DiskError, DiskErrorKind, DiskLock, FileInfo, Space};
use crate::memory::{Damage, MemoryDisk, Tree, copy_range, listing, take_lock};
use media::Media;
use seed::Seed;

/// What a disk as a whole lets one do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// Everything.
    #[default]
    Healthy,
    /// Reading only.
    ReadOnly,
    /// Nothing: unplugged. What was not synced stays in the cache until a power cycle.
    Gone,
}

/// A disk of a [`Machine`].
pub struct FaultyDisk {
    name: String,
    machine: Arc<Machine>,
    state: Mutex<State>,
}

struct State {
    media: Media,
    capacity: u64,
    condition: Condition,
    unreadable: BTreeSet<String>,
    lock: Weak<()>,
}

impl FaultyDisk {
    /// An empty disk of 1 TiB.
    pub fn new(machine: &Arc<Machine>, name: impl Into<String>) -> Self {
        Self::with_media(machine, name.into(), Media::default(), 1 << 40)
    }

    /// A disk that holds, durably, what an image holds.
    pub fn from_image(machine: &Arc<Machine>, image: &MemoryDisk) -> Self {
        let tree = image.tree();
        Self::with_media(machine, image.name().into(), Media::from_tree(&tree), tree.capacity)
    }

    /// What would be on the disk if the power failed now. Cheap: contents are shared. No I/O.
    pub fn crash_image(&self, seed: u64) -> MemoryDisk {
        let state = self.state();
        MemoryDisk::from_tree(self.name.clone(), state.media.after_crash(&mut Seed::new(seed, &self.name), state.capacity))
    }

    /// What is on the disk now, as if all of it were synced. No I/O.
    pub fn live_image(&self) -> MemoryDisk {
        let state = self.state();
        let mut tree = Tree::empty(state.capacity);
        tree.folders = state.media.folders().cloned().collect();
        let paths: Vec<String> = state.media.paths().map(|(path, _)| path.to_owned()).collect();
        tree.files = paths.into_iter().filter_map(|path| Some((path.clone(), state.media.read(&path)?))).collect();
        MemoryDisk::from_tree(self.name.clone(), tree)
    }

    /// The power fails and comes back: the disk holds its [`FaultyDisk::crash_image`], and locks are gone. The machine goes on after
    /// [`Machine::restart`].
    pub fn power_cycle(&self, seed: u64) {
        let mut state = self.state();
        let tree = state.media.after_crash(&mut Seed::new(seed, &self.name), state.capacity);
        state.media = Media::from_tree(&tree);
        state.lock = Weak::new();
    }

    /// Damages a file, durably; false when there is none.
    pub fn damage(&self, path: &str, damage: Damage) -> bool {
        self.state().media.damage(path, |bytes| damage.apply(bytes))
    }

    /// From now on reads of this file fail.
    pub fn make_unreadable(&self, path: &str) {
        self.state().unreadable.insert(path.into());
    }

    /// Changes what the disk lets one do.
    pub fn set_condition(&self, condition: Condition) {
        self.state().condition = condition;
    }

    /// Changes the capacity in bytes.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// All paths, ascending.
    pub fn paths(&self) -> Vec<String> {
        self.state().media.paths().map(|(path, _)| path.to_owned()).collect()
    }

    fn with_media(machine: &Arc<Machine>, name: String, media: Media, capacity: u64) -> Self {
        let state = State { media, capacity, condition: Condition::Healthy, unreadable: BTreeSet::new(), lock: Weak::new() };
        Self { name, machine: Arc::clone(machine), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers the call first, without holding the state: the hook may take images.
    fn begin(&self, kind: OpKind, path: &str, written: &[&[u8]]) -> Result<MutexGuard<'_, State>, DiskError> {
        self.machine.pass(&self.name, kind, path, written)?;
        let state = self.state();
        match state.condition {
            Condition::Gone => Err(self.error(DiskErrorKind::Gone, path)),
            Condition::ReadOnly if kind.changes() => Err(self.error(DiskErrorKind::ReadOnly, path)),
            _ => Ok(state),
        }
    }

    fn error(&self, kind: DiskErrorKind, path: &str) -> DiskError {
        DiskError::new(kind, &self.name, path)
    }

    fn missing(&self, path: &str) -> impl FnOnce() -> DiskError {
        let error = self.error(DiskErrorKind::NotFound, path);
        move || error
    }
}

impl Disk for FaultyDisk {
    fn name(&self) -> &str {
        &self.name
    }

    fn list(&self, folder: &str) -> Result<Vec<FileInfo>, DiskError> {
        let state = self.begin(OpKind::List, folder, &[])?;
        Ok(listing(state.media.paths(), state.media.folders(), folder))
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let state = self.begin(OpKind::Read, path, &[])?;
        if state.unreadable.contains(path) {
            return Err(self.error(DiskErrorKind::Io, path));
        }
        let bytes = state.media.read(path).ok_or_else(self.missing(path))?;
        copy_range(&bytes, offset, buffer).ok_or_else(|| self.error(DiskErrorKind::Short, path))
    }

    fn len(&self, path: &str) -> Result<u64, DiskError> {
        let state = self.begin(OpKind::Len, path, &[])?;
        state.media.read(path).map(|bytes| bytes.len() as u64).ok_or_else(self.missing(path))
    }

    fn write(&self, path: &str, parts: &[&[u8]]) -> Result<(), DiskError> {
        let mut state = self.begin(OpKind::Write, path, parts)?;
        if !state.media.has_folder_of(path) {
            return Err(self.error(DiskErrorKind::NotFound, path));
        }
        let mut bytes = parts.concat();
        let before = state.media.read(path).map_or(0, |old| old.len() as u64);
        let room = state.capacity.saturating_sub(state.media.used() - before);
        let fits = bytes.len() as u64 <= room;
        bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        state.media.write(path, bytes);
        state.unreadable.remove(path);
        if fits { Ok(()) } else { Err(self.error(DiskErrorKind::Full, path)) }
    }

    fn sync_file(&self, path: &str) -> Result<(), DiskError> {
        self.begin(OpKind::SyncFile, path, &[])?.media.sync_file(path).ok_or_else(self.missing(path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut state = self.begin(OpKind::Rename, &format!("{from} -> {to}"), &[])?;
        state.unreadable.remove(to);
        state.media.rename(from, to).ok_or_else(self.missing(from))
    }

    fn sync_folder(&self, folder: &str) -> Result<(), DiskError> {
        let mut state = self.begin(OpKind::SyncFolder, folder, &[])?;
        if !state.media.has_folder_of(&format!("{folder}/")) {
            return Err(self.error(DiskErrorKind::NotFound, folder));
        }
        state.media.sync_folder(folder);
        Ok(())
    }

    fn make_folder(&self, folder: &str) -> Result<(), DiskError> {
        self.begin(OpKind::MakeFolder, folder, &[])?.media.make_folder(folder);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.begin(OpKind::Remove, path, &[])?.media.remove(path).ok_or_else(self.missing(path))
    }

    fn space(&self) -> Result<Space, DiskError> {
        let state = self.begin(OpKind::Space, "", &[])?;
        Ok(Space { total: state.capacity, free: state.capacity.saturating_sub(state.media.used()) })
    }

    fn lock(&self) -> Result<DiskLock, DiskError> {
        let mut state = self.begin(OpKind::Lock, "", &[])?;
        take_lock(&mut state.lock).ok_or_else(|| self.error(DiskErrorKind::Locked, ""))
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyDisk").field("name", &self.name).finish_non_exhaustive()
    }
}
