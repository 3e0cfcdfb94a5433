//! What a disk holds, live and durable, and what a crash makes of the difference.
//!
//! Content and names are apart, as in a file system: a file's bytes are durable after its own sync, its name after its folder's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::seed::Seed;
use crate::memory::{Bytes, Tree};

/// Unit in which a write reaches the medium or does not.
const SECTOR: usize = 512;

/// Live and durable state of one disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Media {
    files: BTreeMap<u64, File>,
    live: Names,
    durable: Names,
    /// Changes of names since the last sync of their folder, oldest first.
    pending: Vec<Change>,
    next_file: u64,
}

#[derive(Debug, Clone, Default)]
struct Names {
    files: BTreeMap<String, u64>,
    folders: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct File {
    live: Bytes,
    /// As of its last sync; none: never synced.
    synced: Option<Bytes>,
}

#[derive(Debug, Clone)]
enum Change {
    Create(String, u64),
    Rename(String, String, u64),
    Remove(String),
    Folder(String),
}

impl Change {
    /// The folder whose sync makes it durable.
    fn folder(&self) -> &str {
        match self {
            Self::Create(path, _) | Self::Rename(_, path, _) | Self::Remove(path) => folder_of(path),
            Self::Folder(_) => "",
        }
    }
}

impl Media {
    /// All of `tree`, durable.
    pub(super) fn from_tree(tree: &Tree) -> Self {
        let mut media = Self::default();
        media.live.folders.clone_from(&tree.folders);
        for (path, bytes) in &tree.files {
            media.files.insert(media.next_file, File { live: Arc::clone(bytes), synced: Some(Arc::clone(bytes)) });
            media.live.files.insert(path.clone(), media.next_file);
            media.next_file += 1;
        }
        media.durable = media.live.clone();
        media
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, usize)> {
        self.live.files.iter().map(|(path, id)| (path.as_str(), self.files[id].live.len()))
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = &String> {
        self.live.folders.iter()
    }

    pub(super) fn has_folder_of(&self, path: &str) -> bool {
        folder_of(path).is_empty() || self.live.folders.contains(folder_of(path))
    }

    pub(super) fn used(&self) -> u64 {
        self.paths().map(|(_, len)| len as u64).sum()
    }

    pub(super) fn read(&self, path: &str) -> Option<Bytes> {
        Some(Arc::clone(&self.files[self.live.files.get(path)?].live))
    }

    pub(super) fn write(&mut self, path: &str, bytes: Vec<u8>) {
        let bytes = Arc::new(bytes);
        if let Some(id) = self.live.files.get(path) {
            if let Some(file) = self.files.get_mut(id) {
                file.live = bytes;
            }
            return;
        }
        let id = self.next_file;
        self.next_file += 1;
        self.files.insert(id, File { live: bytes, synced: None });
        self.live.files.insert(path.into(), id);
        self.pending.push(Change::Create(path.into(), id));
    }

    pub(super) fn sync_file(&mut self, path: &str) -> Option<()> {
        let file = self.files.get_mut(self.live.files.get(path)?)?;
        file.synced = Some(Arc::clone(&file.live));
        Some(())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Option<()> {
        let id = self.live.files.remove(from)?;
        self.live.files.insert(to.into(), id);
        self.pending.push(Change::Rename(from.into(), to.into(), id));
        Some(())
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<()> {
        self.live.files.remove(path)?;
        self.pending.push(Change::Remove(path.into()));
        Some(())
    }

    pub(super) fn make_folder(&mut self, folder: &str) {
        if self.live.folders.insert(folder.into()) {
            self.pending.push(Change::Folder(folder.into()));
        }
    }

    pub(super) fn sync_folder(&mut self, folder: &str) {
        let (now, later): (Vec<Change>, Vec<Change>) = self.pending.drain(..).partition(|change| change.folder() == folder);
        self.pending = later;
        now.into_iter().for_each(|change| self.durable.apply(change));
        let used: BTreeSet<u64> = self.live.files.values().chain(self.durable.files.values()).copied().collect();
        let pending: BTreeSet<u64> = self.pending.iter().filter_map(Change::file).collect();
        self.files.retain(|id, _| used.contains(id) || pending.contains(id));
    }

    /// Changes a file behind everybody's back, live and durable.
    pub(super) fn damage(&mut self, path: &str, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
        let Some(id) = self.live.files.get(path).copied() else { return false };
        match change(&self.files[&id].live) {
            Some(bytes) => {
                let bytes = Arc::new(bytes);
                self.files.insert(id, File { live: Arc::clone(&bytes), synced: Some(bytes) });
            }
            None => {
                self.live.files.remove(path);
                self.durable.files.remove(path);
                self.pending.retain(|change| change.file() != Some(id));
            }
        }
        true
    }

    /// What is on the medium when the power fails now.
    pub(super) fn after_crash(&self, seed: &mut Seed, capacity: u64) -> Tree {
        let mut names = self.durable.clone();
        let fate = seed.below(4);
        for change in &self.pending {
            let kept = match fate {
                0 => false,
                1 => true,
                _ => seed.below(2) == 0,
            };
            if kept {
                names.apply(change.clone());
            }
        }
        let mut tree = Tree::empty(capacity);
        for (path, id) in &names.files {
            if folder_of(path).is_empty() || names.folders.contains(folder_of(path)) {
                tree.files.insert(path.clone(), self.files[id].after_crash(seed));
            }
        }
        tree.folders = names.folders;
        tree
    }
}

impl Change {
    fn file(&self) -> Option<u64> {
        match self {
            Self::Create(_, id) | Self::Rename(_, _, id) => Some(*id),
            Self::Remove(_) | Self::Folder(_) => None,
        }
    }
}

impl Names {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Create(path, id) => drop(self.files.insert(path, id)),
            Change::Rename(from, to, id) => {
                self.files.remove(&from);
                self.files.insert(to, id);
            }
            Change::Remove(path) => drop(self.files.remove(&path)),
            Change::Folder(folder) => drop(self.folders.insert(folder)),
        }
    }
}

impl File {
    /// Synced bytes are safe. Others are lost, there, cut at a sector, or there in some sectors only.
    fn after_crash(&self, seed: &mut Seed) -> Bytes {
        let old = self.synced.as_ref();
        if old.is_some_and(|old| Arc::ptr_eq(old, &self.live) || *old == self.live) {
            return Arc::clone(&self.live);
        }
        match seed.below(4) {
            0 => old.map_or_else(Bytes::default, Arc::clone),
            1 => Arc::clone(&self.live),
            2 => {
                let sectors = self.live.len() / SECTOR + 1;
                Arc::new(self.live[..seed.below(sectors as u64) as usize * SECTOR].to_vec())
            }
            _ => Arc::new(mixed(old.map_or(&[], |old| old.as_slice()), &self.live, seed)),
        }
    }
}

/// Each sector new or old; old ones are zeros where there was nothing.
fn mixed(old: &[u8], new: &[u8], seed: &mut Seed) -> Vec<u8> {
    let mut bytes = new.to_vec();
    for (number, sector) in bytes.chunks_mut(SECTOR).enumerate() {
        if seed.below(2) == 0 {
            let before = old.get(number * SECTOR..).unwrap_or_default();
            let there = before.len().min(sector.len());
            sector[..there].copy_from_slice(&before[..there]);
            sector[there..].fill(0);
        }
    }
    bytes
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
