//! Fetches blobs: index, pool, open, decompress. Every place of a blob is tried, then the pack is put together from redundancy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keepwell_format::{BlobId, PackId};
use keepwell_storage::{Class, ObjectId, ObjectName, Pool, PoolError};

use super::windows::Windows;
use crate::VaultError;
use crate::index::{Index, Location};
use crate::keys::Keys;
use crate::pack::open_frame;

/// Reads blobs. Shared by threads.
pub(crate) struct BlobReader<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) keys: &'a Keys,
    pub(crate) index: &'a dyn Index,
    pub(crate) stats: ReadStats,
    /// The pack last put together from redundancy: neighbours are likely to be asked for next.
    rebuilt: Mutex<Option<(PackId, Arc<Vec<u8>>)>>,
    /// For whoever reads many small ones that lie together.
    windows: Option<Windows>,
}

/// What reading met with.
#[derive(Debug, Default)]
pub(crate) struct ReadStats {
    /// Reads that needed redundancy because something was damaged.
    pub(crate) healed: AtomicU64,
}

impl<'a> BlobReader<'a> {
    pub(crate) fn new(pool: &'a Pool, keys: &'a Keys, index: &'a dyn Index) -> Self {
        Self { pool, keys, index, stats: ReadStats::default(), rebuilt: Mutex::new(None), windows: None }
    }

    /// For many small ones that lie together.
    pub(crate) fn of_many(pool: &'a Pool, keys: &'a Keys, index: &'a dyn Index) -> Self {
        Self { windows: Some(Windows::default()), ..Self::new(pool, keys, index) }
    }

    /// The whole plaintext of a blob.
    pub(crate) fn fetch(&self, id: &BlobId) -> Result<Vec<u8>, VaultError> {
        let places = self.index.locate(id)?;
        let why = match self.try_places(&places) {
            Ok(plain) => return Ok(plain),
            Err(why) => why,
        };
        // The index is only a cache: a blob is lost when the packs say so.
        if let Some(index) = self.index.reread()? {
            let other = index.locate(id)?;
            if other != places
                && let Ok(plain) = self.try_places(&other)
            {
                self.stats.healed.fetch_add(1, Ordering::Relaxed);
                self.index.discard();
                return Ok(plain);
            }
        }
        Err(VaultError::BlobLost { id: id.short(), why })
    }

    fn try_places(&self, places: &[Location]) -> Result<Vec<u8>, String> {
        let mut why = "no pack that is there holds it".to_owned();
        for place in places {
            match self.fast(place) {
                Ok(plain) => return Ok(plain),
                Err(text) => why = text,
            }
        }
        for place in places {
            match self.rebuilt(place) {
                Ok(plain) => {
                    self.stats.healed.fetch_add(1, Ordering::Relaxed);
                    return Ok(plain);
                }
                Err(text) => why = text,
            }
        }
        Err(why)
    }

    /// Reads just the frame.
    fn fast(&self, place: &Location) -> Result<Vec<u8>, String> {
        let near = self.windows.as_ref().and_then(|windows| windows.read(self.pool, place.pack, place.offset, place.stored_len));
        // What is damaged there may be whole on another disk.
        if let Some(Ok(plain)) = near.map(|sealed| open_frame(self.keys, &place.frame, &sealed)) {
            return Ok(plain);
        }
        let sealed = self.pool.read_range(pack_name(place.pack), place.offset, place.stored_len as usize).map_err(|e| e.to_string())?;
        open_frame(self.keys, &place.frame, &sealed)
    }

    /// Puts the whole pack together from what verifies.
    fn rebuilt(&self, place: &Location) -> Result<Vec<u8>, String> {
        let pack = self.whole_pack(place.pack).map_err(|e| e.to_string())?;
        let from = usize::try_from(place.offset).map_err(|e| e.to_string())?;
        let sealed = pack.get(from..from.saturating_add(place.stored_len as usize)).ok_or("its pack is shorter than it should be")?;
        open_frame(self.keys, &place.frame, sealed)
    }

    fn whole_pack(&self, pack: PackId) -> Result<Arc<Vec<u8>>, PoolError> {
        let mut cached = self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((id, bytes)) = &*cached
            && *id == pack
        {
            return Ok(Arc::clone(bytes));
        }
        *cached = None;
        let bytes = Arc::new(self.pool.read_object(pack_name(pack))?.0);
        *cached = Some((pack, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

pub(crate) fn pack_name(pack: PackId) -> ObjectName {
    ObjectName { class: Class::Pack, id: ObjectId(pack.0) }
}
