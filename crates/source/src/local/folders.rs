//! Open folders below a root: a bounded number, so trees may be thousands of levels deep.
//!
//! Must never follow a symbolic link, and never resolve more than one component at a time.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result};

/// Folders kept open at most; half of them are closed when there are more.
const OPEN_MAX: usize = 128;

/// The folders of one tree, by encoded key. Shared by threads.
#[derive(Debug)]
pub(super) struct Folders {
    root: Arc<OwnedFd>,
    opened: Mutex<Opened>,
}

#[derive(Debug, Default)]
struct Opened {
    by_key: HashMap<Vec<u8>, (Arc<OwnedFd>, u64)>,
    clock: u64,
}

impl Folders {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root: Arc::new(root), opened: Mutex::default() }
    }

    pub(super) fn root(&self) -> &Arc<OwnedFd> {
        &self.root
    }

    /// The folder with this encoded key, opened again from its nearest open ancestor if need be.
    pub(super) fn get(&self, key: &[u8]) -> Result<Arc<OwnedFd>> {
        let (mut folder, mut done) = self.nearest(key);
        while done < key.len() {
            let start = if done == 0 { 0 } else { done + 1 };
            let end = key[start..].iter().position(|b| *b == 0).map_or(key.len(), |at| start + at);
            folder = self.keep(&key[..end], open(&folder, &key[start..end])?);
            done = end;
        }
        Ok(folder)
    }

    /// Keeps a folder that was just opened.
    pub(super) fn keep(&self, key: &[u8], folder: OwnedFd) -> Arc<OwnedFd> {
        let folder = Arc::new(folder);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.clock += 1;
        let now = opened.clock;
        opened.by_key.insert(key.to_vec(), (Arc::clone(&folder), now));
        if opened.by_key.len() > OPEN_MAX {
            let mut ages: Vec<u64> = opened.by_key.values().map(|(_, used)| *used).collect();
            let (_, median, _) = ages.select_nth_unstable(OPEN_MAX / 2);
            let median = *median;
            opened.by_key.retain(|_, (_, used)| *used >= median);
        }
        folder
    }

    /// The deepest open folder on the way to `key`, and how much of the key leads to it.
    fn nearest(&self, key: &[u8]) -> (Arc<OwnedFd>, usize) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.clock += 1;
        let now = opened.clock;
        let mut end = key.len();
        while end > 0 {
            if let Some((folder, used)) = opened.by_key.get_mut(&key[..end]) {
                *used = now;
                return (Arc::clone(folder), end);
            }
            end = key[..end].iter().rposition(|b| *b == 0).unwrap_or(0);
        }
        (Arc::clone(&self.root), 0)
    }
}

/// Opens the folder `name` in `parent` for listing, leaving its access time alone where that is allowed.
pub(super) fn open(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(parent, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => openat(parent, name, flags, Mode::empty()),
        other => other,
    }
}

/// Encoded key of the folder that holds the entry with this encoded key, and the entry's name.
pub(super) fn split(key: &[u8]) -> (&[u8], &[u8]) {
    match key.iter().rposition(|b| *b == 0) {
        Some(at) => (&key[..at], &key[at + 1..]),
        None => (&[], key),
    }
}
