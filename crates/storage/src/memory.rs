//! A disk in memory: everything is durable at once. For tests, and as the image that a crash leaves.
//!
//! Contents are shared, so a clone of an image costs its names only. Never touches the file system.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::disk::{Disk, DiskError, DiskErrorKind, DiskLock, FileInfo, FileKind, Space};

/// Bytes of a file, shared between images.
pub type Bytes = Arc<Vec<u8>>;

/// A disk in memory.
#[derive(Debug)]
pub struct MemoryDisk {
    name: String,
    state: Mutex<Tree>,
}

/// Files and folders of a disk in memory.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, Bytes>,
    pub(crate) folders: BTreeSet<String>,
    pub(crate) capacity: u64,
    lock: Weak<()>,
}

/// What a test does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Flips one bit, counted from the start of the file (modulo its length).
    FlipBit(u64),
    /// Cuts the file to so many bytes.
    Truncate(u64),
    /// Removes the file.
    Delete,
}

impl Damage {
    /// What is left of a file; none when it is gone.
    pub fn apply(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::FlipBit(bit) => {
                let mut bytes = bytes.to_vec();
                if !bytes.is_empty() {
                    let bit = bit % (bytes.len() as u64 * 8);
                    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
                }
                Some(bytes)
            }
            Self::Truncate(len) => Some(bytes[..bytes.len().min(len as usize)].to_vec()),
            Self::Delete => None,
        }
    }
}

impl MemoryDisk {
    /// An empty disk of 1 TiB.
    pub fn new(name: impl Into<String>) -> Self {
        Self::from_tree(name, Tree::empty(1 << 40))
    }

    /// A copy with the same files, sharing their bytes; locks are not copied.
    pub fn image(&self) -> Self {
        Self::from_tree(self.name.clone(), Tree { lock: Weak::new(), ..self.tree().clone() })
    }

    /// Changes the capacity in bytes.
    pub fn set_capacity(&self, bytes: u64) {
        self.tree().capacity = bytes;
    }

    /// All paths, ascending.
    pub fn paths(&self) -> Vec<String> {
        self.tree().files.keys().cloned().collect()
    }

    /// All files: path and bytes. Two disks with equal contents hold the same.
    pub fn contents(&self) -> BTreeMap<String, Bytes> {
        self.tree().files.clone()
    }

    /// Damages a file; false when there is none.
    pub fn damage(&self, path: &str, damage: Damage) -> bool {
        let mut tree = self.tree();
        let Some(bytes) = tree.files.remove(path) else { return false };
        if let Some(left) = damage.apply(&bytes) {
            tree.files.insert(path.into(), Arc::new(left));
        }
        true
    }

    pub(crate) fn from_tree(name: impl Into<String>, tree: Tree) -> Self {
        Self { name: name.into(), state: Mutex::new(tree) }
    }

    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, kind: DiskErrorKind, path: &str) -> DiskError {
        DiskError::new(kind, &self.name, path)
    }
}

impl Tree {
    pub(crate) fn empty(capacity: u64) -> Self {
        Self { files: BTreeMap::new(), folders: BTreeSet::new(), capacity, lock: Weak::new() }
    }

    fn used(&self) -> u64 {
        self.files.values().map(|b| b.len() as u64).sum()
    }

    /// Whether the folder a path lies in is there.
    pub(crate) fn has_folder_of(&self, path: &str) -> bool {
        path.rsplit_once('/').is_none_or(|(folder, _)| self.folders.contains(folder))
    }
}

impl Disk for MemoryDisk {
    fn name(&self) -> &str {
        &self.name
    }

    fn list(&self, folder: &str) -> Result<Vec<FileInfo>, DiskError> {
        let tree = self.tree();
        Ok(listing(tree.files.iter().map(|(path, bytes)| (path.as_str(), bytes.len())), tree.folders.iter(), folder))
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let bytes = self.tree().files.get(path).cloned().ok_or_else(|| self.error(DiskErrorKind::NotFound, path))?;
        copy_range(&bytes, offset, buffer).ok_or_else(|| self.error(DiskErrorKind::Short, path))
    }

    fn len(&self, path: &str) -> Result<u64, DiskError> {
        self.tree().files.get(path).map(|b| b.len() as u64).ok_or_else(|| self.error(DiskErrorKind::NotFound, path))
    }

    fn write(&self, path: &str, parts: &[&[u8]]) -> Result<(), DiskError> {
        let mut tree = self.tree();
        if !tree.has_folder_of(path) {
            return Err(self.error(DiskErrorKind::NotFound, path));
        }
        let before = tree.files.remove(path).map_or(0, |b| b.len() as u64);
        let bytes = parts.concat();
        if tree.used() + bytes.len() as u64 > tree.capacity.max(before) {
            return Err(self.error(DiskErrorKind::Full, path));
        }
        tree.files.insert(path.into(), Arc::new(bytes));
        Ok(())
    }

    fn sync_file(&self, path: &str) -> Result<(), DiskError> {
        self.len(path).map(drop)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut tree = self.tree();
        let bytes = tree.files.remove(from).ok_or_else(|| self.error(DiskErrorKind::NotFound, from))?;
        tree.files.insert(to.into(), bytes);
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> Result<(), DiskError> {
        let there = folder.is_empty() || self.tree().folders.contains(folder);
        if there { Ok(()) } else { Err(self.error(DiskErrorKind::NotFound, folder)) }
    }

    fn make_folder(&self, folder: &str) -> Result<(), DiskError> {
        self.tree().folders.insert(folder.into());
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.tree().files.remove(path).map(drop).ok_or_else(|| self.error(DiskErrorKind::NotFound, path))
    }

    fn space(&self) -> Result<Space, DiskError> {
        let tree = self.tree();
        Ok(Space { total: tree.capacity, free: tree.capacity.saturating_sub(tree.used()) })
    }

    fn lock(&self) -> Result<DiskLock, DiskError> {
        take_lock(&mut self.tree().lock).ok_or_else(|| self.error(DiskErrorKind::Locked, ""))
    }
}

/// A lock that lives as long as its guard does.
pub(crate) fn take_lock(lock: &mut Weak<()>) -> Option<DiskLock> {
    if lock.upgrade().is_some() {
        return None;
    }
    let held = Arc::new(());
    *lock = Arc::downgrade(&held);
    Some(DiskLock::holding(held))
}

pub(crate) fn copy_range(bytes: &[u8], offset: u64, buffer: &mut [u8]) -> Option<()> {
    let start = usize::try_from(offset).ok()?;
    buffer.copy_from_slice(bytes.get(start..start.checked_add(buffer.len())?)?);
    Some(())
}

/// The entries of `folder` among all paths of a disk.
pub(crate) fn listing<'a>(
    files: impl Iterator<Item = (&'a str, usize)>,
    folders: impl Iterator<Item = &'a String>,
    folder: &str,
) -> Vec<FileInfo> {
    let mut found: Vec<FileInfo> = files
        .filter_map(|(path, len)| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            (parent == folder).then(|| FileInfo { name: name.into(), len: len as u64, kind: FileKind::File })
        })
        .collect();
    if folder.is_empty() {
        found.extend(folders.map(|name| FileInfo { name: name.clone(), len: 0, kind: FileKind::Folder }));
    }
    found.sort();
    found
}
