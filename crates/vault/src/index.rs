//! Where each blob lies. A cache: everything in it is read back from the packs' directories when it is gone, and rows whose pack is gone are
//! dropped at open. Holds keyed ids and positions, never a name.

mod healing;
mod memory;
mod neighbours;
mod sqlite;

use std::path::PathBuf;

use keepwell_format::blob::FrameInfo;
use keepwell_format::pack::{Directory, PackContent};
use keepwell_format::{BlobId, PackId, PackSeq};

pub(crate) use healing::{Healing, Unreadable, catch_up, unreadable};
pub use memory::MemoryIndex;
pub(crate) use neighbours::Neighbours;
pub use sqlite::SqliteIndex;

use crate::VaultError;

/// Where the index is kept.
#[derive(Clone, Debug)]
pub enum IndexPlace {
    /// In a file that may be deleted at any time.
    File(PathBuf),
    /// In memory, for as long as the vault is open.
    Memory,
}

/// One place a blob lies at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The pack.
    pub pack: PackId,
    /// Its number.
    pub seq: PackSeq,
    /// Where its frame begins in it.
    pub offset: u64,
    /// Bytes of the frame.
    pub stored_len: u32,
    /// What its frame needs to be opened.
    pub frame: FrameInfo,
}

/// A pack that is durable, as the index learns of it.
#[derive(Clone, Debug)]
pub struct IndexedPack {
    /// Its id.
    pub id: PackId,
    /// Its number.
    pub seq: PackSeq,
    /// Data or metadata.
    pub content: PackContent,
    /// Its frames.
    pub directory: Directory,
}

/// Known blobs and packs. Lookups come from many threads, changes from the coordinator only.
pub trait Index: Send + Sync {
    /// All packs, ascending by id.
    fn packs(&self) -> Result<Vec<(PackId, PackSeq)>, VaultError>;
    /// Adds packs, all or none.
    fn add(&self, packs: &[IndexedPack]) -> Result<(), VaultError>;
    /// Drops packs and all that lies in them, all or none.
    fn drop_packs(&self, packs: &[PackId]) -> Result<(), VaultError>;
    /// Every known place of a blob.
    fn locate(&self, blob: &BlobId) -> Result<Vec<Location>, VaultError>;
    /// What lies in a pack, ascending by offset.
    fn content(&self, pack: &PackId) -> Result<Vec<Location>, VaultError>;
    /// Number of blobs and their plaintext bytes.
    fn totals(&self) -> Result<(u64, u64), VaultError>;
    /// The same, read from the packs alone, where that can be had. For those who doubt what this one says.
    fn reread(&self) -> Result<Option<&dyn Index>, VaultError> {
        Ok(None)
    }
    /// It was caught telling something wrong: whoever opens it next finds it empty.
    fn discard(&self) {}
}

impl IndexedPack {
    /// Its frames with their places.
    pub fn locations(&self) -> impl Iterator<Item = Location> + '_ {
        self.directory.positions().map(|(offset, entry)| Location {
            pack: self.id,
            seq: self.seq,
            offset,
            stored_len: entry.stored_len,
            frame: entry.frame,
        })
    }
}
