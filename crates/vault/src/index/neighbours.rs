//! An index for whoever reads much of one catalog: its pages lie together in few packs, so with the place of one the places of all its
//! neighbours are learnt, from the pack's own directory. That takes as long as the pack is large, however large the vault is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock};

use keepwell_format::{BlobId, PackId, PackSeq};
use keepwell_storage::Pool;

use super::healing::read_pack;
use super::{Index, IndexedPack, Location};
use crate::VaultError;
use crate::keys::Keys;

/// Places that are remembered at most; 100 bytes each.
const MOST: usize = 256 << 10;
/// So many questions about blobs of a pack are dearer than its directory.
const WORTH: u32 = 16;

/// Asks another index, and remembers one place of each blob. Whoever can't read it there asks the other index.
pub(crate) struct Neighbours<'a> {
    index: &'a dyn Index,
    pool: &'a Pool,
    keys: &'a Keys,
    known: RwLock<HashMap<BlobId, Location>>,
    /// How often a pack was asked about that is not remembered. Without a number: its directory can't be read.
    asked: Mutex<HashMap<PackId, Option<u32>>>,
}

impl<'a> Neighbours<'a> {
    pub(crate) fn new(index: &'a dyn Index, pool: &'a Pool, keys: &'a Keys) -> Self {
        Self { index, pool, keys, known: RwLock::default(), asked: Mutex::default() }
    }

    fn is_worth_it(&self, pack: &PackId) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = asked.entry(*pack).or_insert(Some(0)) else { return false };
        *count = count.wrapping_add(1);
        count.is_multiple_of(WORTH)
    }

    fn learn(&self, pack: &PackId) {
        let Ok(read) = read_pack(self.pool, self.keys, *pack) else {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(*pack, None);
            return;
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + read.directory.entries.len() > MOST {
            known.clear();
        }
        known.extend(read.locations().take(MOST).map(|place| (place.frame.blob, place)));
    }
}

impl Index for Neighbours<'_> {
    fn locate(&self, blob: &BlobId) -> Result<Vec<Location>, VaultError> {
        let known = |known: &HashMap<BlobId, Location>| known.get(blob).copied();
        if let Some(place) = known(&self.known.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(vec![place]);
        }
        let places = self.index.locate(blob)?;
        if let Some(place) = places.first().filter(|place| self.is_worth_it(&place.pack)) {
            self.learn(&place.pack);
        }
        Ok(places)
    }

    fn packs(&self) -> Result<Vec<(PackId, PackSeq)>, VaultError> {
        self.index.packs()
    }

    fn add(&self, packs: &[IndexedPack]) -> Result<(), VaultError> {
        self.index.add(packs)
    }

    fn drop_packs(&self, packs: &[PackId]) -> Result<(), VaultError> {
        self.index.drop_packs(packs)
    }

    fn content(&self, pack: &PackId) -> Result<Vec<Location>, VaultError> {
        self.index.content(pack)
    }

    fn totals(&self) -> Result<(u64, u64), VaultError> {
        self.index.totals()
    }
}
