//! The index as plain maps. For the simulator, which forgets and rewinds it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keepwell_format::{BlobId, PackId, PackSeq};

use super::{Index, IndexedPack, Location};
use crate::VaultError;

/// An index that lives in memory. Cloning it keeps a copy of its present state.
#[derive(Debug, Default)]
pub struct MemoryIndex(Mutex<Maps>);

#[derive(Debug, Default, Clone)]
struct Maps {
    packs: BTreeMap<PackId, (PackSeq, Vec<Location>)>,
    blobs: HashMap<BlobId, Vec<Location>>,
}

impl MemoryIndex {
    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for MemoryIndex {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.maps().clone()))
    }
}

impl Index for MemoryIndex {
    fn packs(&self) -> Result<Vec<(PackId, PackSeq)>, VaultError> {
        Ok(self.maps().packs.iter().map(|(id, (seq, _))| (*id, *seq)).collect())
    }

    fn add(&self, packs: &[IndexedPack]) -> Result<(), VaultError> {
        let mut maps = self.maps();
        for pack in packs {
            let locations: Vec<Location> = pack.locations().collect();
            if maps.packs.insert(pack.id, (pack.seq, locations.clone())).is_none() {
                locations.into_iter().for_each(|l| maps.blobs.entry(l.frame.blob).or_default().push(l));
            }
        }
        Ok(())
    }

    fn drop_packs(&self, packs: &[PackId]) -> Result<(), VaultError> {
        let mut maps = self.maps();
        for pack in packs {
            for location in maps.packs.remove(pack).map(|(_, l)| l).unwrap_or_default() {
                if let Some(places) = maps.blobs.get_mut(&location.frame.blob) {
                    places.retain(|place| place.pack != *pack);
                    if places.is_empty() {
                        maps.blobs.remove(&location.frame.blob);
                    }
                }
            }
        }
        Ok(())
    }

    fn locate(&self, blob: &BlobId) -> Result<Vec<Location>, VaultError> {
        Ok(self.maps().blobs.get(blob).cloned().unwrap_or_default())
    }

    fn content(&self, pack: &PackId) -> Result<Vec<Location>, VaultError> {
        Ok(self.maps().packs.get(pack).map(|(_, locations)| locations.clone()).unwrap_or_default())
    }

    fn totals(&self) -> Result<(u64, u64), VaultError> {
        let maps = self.maps();
        let bytes = maps.blobs.values().filter_map(|places| places.first()).map(|l| u64::from(l.frame.plain_len)).sum();
        Ok((maps.blobs.len() as u64, bytes))
    }
}
