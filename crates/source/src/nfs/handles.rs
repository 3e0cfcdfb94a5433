//! Handles that were met lately, so that a file of the walk is opened without looking it up again. Bounded; holds nothing a server must keep.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use keepwell_format::Key;
use keepwell_format::node::FileId;
use keepwell_nfs::{Attributes, Handle, NfsError, Status};

use super::link::Link;

/// Files remembered: half of them at least are the latest.
const FILES: usize = 1 << 17;
/// Bytes of folders' keys remembered.
const FOLDER_BYTES: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct Handles {
    root: Handle,
    files: Mutex<Recent<FileId>>,
    folders: Mutex<Recent<Vec<u8>>>,
}

impl Handles {
    pub(super) fn new(root: Handle) -> Self {
        Self { root, files: Mutex::new(Recent::new(FILES)), folders: Mutex::new(Recent::new(FOLDER_BYTES)) }
    }

    pub(super) fn root(&self) -> &Handle {
        &self.root
    }

    pub(super) fn keep_file(&self, id: FileId, handle: Handle) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(id, handle, 1);
    }

    pub(super) fn file(&self, id: FileId) -> Option<Handle> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).get(&id)
    }

    pub(super) fn keep_folder(&self, key: &[u8], handle: Handle) {
        if !key.is_empty() {
            self.folders.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_vec(), handle, key.len() + 128);
        }
    }

    /// The folder with this encoded key, looked up from its nearest known ancestor if need be.
    pub(super) fn folder(&self, link: &Link, key: &[u8]) -> Result<Handle, NfsError> {
        let (mut folder, mut done) = self.nearest(key);
        while done < key.len() {
            let start = if done == 0 { 0 } else { done + 1 };
            let end = key[start..].iter().position(|b| *b == 0).map_or(key.len(), |at| start + at);
            (folder, _) = link.call(|export| export.begin_lookup(&folder, &key[start..end]))?;
            self.keep_folder(&key[..end], folder.clone());
            done = end;
        }
        Ok(folder)
    }

    /// Forgets a folder that turned out to be stale.
    pub(super) fn forget_folder(&self, key: &[u8]) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The entry with this key, looked up in its folder.
    pub(super) fn entry(&self, link: &Link, key: &Key) -> Result<(Handle, Attributes), NfsError> {
        let (folder, name) = split(key.as_bytes());
        let mut parent = self.folder(link, folder)?;
        if name.is_empty() {
            return link.call(|export| export.begin_attributes(&parent)).map(|seen| (parent, seen));
        }
        let (handle, seen) = match link.call(|export| export.begin_lookup(&parent, name)) {
            Err(error) if error.status() == Some(Status::STALE) => {
                self.forget_folder(folder);
                parent = self.folder(link, folder)?;
                link.call(|export| export.begin_lookup(&parent, name))?
            }
            other => other?,
        };
        let seen = match seen {
            Some(seen) => seen,
            None => link.call(|export| export.begin_attributes(&handle))?,
        };
        Ok((handle, seen))
    }

    /// The deepest known folder on the way to `key`, and how much of the key leads to it.
    fn nearest(&self, key: &[u8]) -> (Handle, usize) {
        let folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut end = key.len();
        while end > 0 {
            if let Some(folder) = folders.get(&key[..end]) {
                return (folder, end);
            }
            end = key[..end].iter().rposition(|b| *b == 0).unwrap_or(0);
        }
        (self.root.clone(), 0)
    }
}

/// Encoded key of the folder that holds the entry with this encoded key, and the entry's name.
pub(super) fn split(key: &[u8]) -> (&[u8], &[u8]) {
    match key.iter().rposition(|b| *b == 0) {
        Some(at) => (&key[..at], &key[at + 1..]),
        None => (&[], key),
    }
}

/// The latest handles by some id, in two generations of which the older is dropped as a whole.
#[derive(Debug)]
struct Recent<K> {
    young: HashMap<K, Handle>,
    old: HashMap<K, Handle>,
    weight: usize,
    most: usize,
}

impl<K: Eq + Hash + Clone> Recent<K> {
    fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), weight: 0, most }
    }

    fn insert(&mut self, id: K, handle: Handle, weight: usize) {
        if self.young.insert(id, handle).is_none() {
            self.weight += weight;
        }
        if self.weight > self.most / 2 {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
    }

    fn get<Q: Eq + Hash + ?Sized>(&self, id: &Q) -> Option<Handle>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.young.get(id).or_else(|| self.old.get(id)).cloned()
    }

    fn remove<Q: Eq + Hash + ?Sized>(&mut self, id: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        self.young.remove(id);
        self.old.remove(id);
    }
}
