//! The index as a vault uses it: one that fails or tells something wrong is replaced, for as long as the vault is open, by what the packs
//! themselves say. Never changes what others share in a way that only its own view of the pool justifies.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use keepwell_crypt::CryptError;
use keepwell_format::{BlobId, PackId, PackSeq};
use keepwell_storage::{Access, Class, Pool};

use super::sqlite::is_busy;
use super::{Index, IndexPlace, IndexedPack, Location, SqliteIndex};
use crate::VaultError;
use crate::blobs::pack_name;
use crate::env::{NoProgress, Progress, Step};
use crate::keys::Keys;
use crate::pack;

/// Packs that are told to the index at a time.
const BATCH: usize = 64;

/// An index with the packs to fall back on.
pub(crate) struct Healing {
    given: Arc<dyn Index>,
    pool: Arc<Pool>,
    keys: Arc<Keys>,
    /// Read from the packs alone. A second opinion on single blobs, as it lacks packs whose directory is damaged.
    reread: OnceLock<SqliteIndex>,
    /// The given index failed: from then on the other one answers.
    failed: AtomicBool,
    rereading: Mutex<()>,
}

impl Healing {
    pub(crate) fn new(given: Arc<dyn Index>, pool: Arc<Pool>, keys: Arc<Keys>) -> Self {
        Self { given, pool, keys, reread: OnceLock::new(), failed: AtomicBool::new(false), rereading: Mutex::new(()) }
    }

    fn ask<T>(&self, question: impl Fn(&dyn Index) -> Result<T, VaultError>) -> Result<T, VaultError> {
        if self.failed.load(Ordering::Acquire) {
            return question(self.reread_packs()?);
        }
        match question(&*self.given) {
            Err(error @ VaultError::Index { .. }) => {
                tracing::warn!(%error, "going on with what the packs say");
                if !is_busy(&error) {
                    self.given.discard();
                }
                let index = self.reread_packs()?;
                // It may have been read before this run's latest packs.
                catch_up(index, &self.pool, &self.keys, &NoProgress)?;
                self.failed.store(true, Ordering::Release);
                question(index)
            }
            other => other,
        }
    }

    fn reread_packs(&self) -> Result<&SqliteIndex, VaultError> {
        let _one_at_a_time = self.rereading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = self.reread.get() {
            return Ok(index);
        }
        let index = SqliteIndex::open(&IndexPlace::Memory, self.keys.vault)?;
        catch_up(&index, &self.pool, &self.keys, &NoProgress)?;
        Ok(self.reread.get_or_init(|| index))
    }

    /// A writer's index may know of packs that were not there yet when this pool was opened for reading.
    fn is_visible(&self, pack: PackId) -> bool {
        self.pool.access() == Access::Write || self.pool.contains(pack_name(pack))
    }
}

impl Index for Healing {
    fn packs(&self) -> Result<Vec<(PackId, PackSeq)>, VaultError> {
        let packs = self.ask(|index| index.packs())?;
        Ok(packs.into_iter().filter(|(id, _)| self.is_visible(*id)).collect())
    }

    fn add(&self, packs: &[IndexedPack]) -> Result<(), VaultError> {
        self.ask(|index| index.add(packs))
    }

    fn drop_packs(&self, packs: &[PackId]) -> Result<(), VaultError> {
        self.ask(|index| index.drop_packs(packs))
    }

    fn locate(&self, blob: &BlobId) -> Result<Vec<Location>, VaultError> {
        let places = self.ask(|index| index.locate(blob))?;
        Ok(places.into_iter().filter(|place| self.is_visible(place.pack)).collect())
    }

    fn content(&self, pack: &PackId) -> Result<Vec<Location>, VaultError> {
        self.ask(|index| index.content(pack))
    }

    fn totals(&self) -> Result<(u64, u64), VaultError> {
        self.ask(|index| index.totals())
    }

    fn reread(&self) -> Result<Option<&dyn Index>, VaultError> {
        Ok(Some(self.reread_packs()?))
    }

    fn discard(&self) {
        self.given.discard();
    }
}

/// A pack that can be put together, but whose directory can't be read.
pub(crate) struct Unreadable {
    pub(crate) id: PackId,
    pub(crate) why: String,
    /// It is not the pack's fault: the keyring lacks its key, or another one has it.
    pub(crate) lacks_key: bool,
}

/// All of those.
pub(crate) fn unreadable(pool: &Pool, keys: &Keys) -> Result<Vec<Unreadable>, VaultError> {
    let mut found = Vec::new();
    for id in pool.objects(Class::Pack) {
        match read_pack(pool, keys, PackId(id.0)) {
            Err(error) if error.is_newer() => return Err(error),
            Err(error @ (VaultError::Format { .. } | VaultError::Crypt { .. })) => {
                let lacks_key = matches!(error, VaultError::Crypt { source: CryptError::WrongKey, .. });
                found.push(Unreadable { id: PackId(id.0), why: error.to_string(), lacks_key });
            }
            // What can't be put together is found by its hashes.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(found)
}

/// Brings an index in step with the pool: drops packs that are gone, reads the directories of those it does not know. Leaves packs out whose
/// directory can't be read.
pub(crate) fn catch_up(index: &dyn Index, pool: &Pool, keys: &Keys, progress: &dyn Progress) -> Result<(), VaultError> {
    let present: BTreeSet<PackId> = pool.objects(Class::Pack).into_iter().map(|id| PackId(id.0)).collect();
    let known: BTreeSet<PackId> = index.packs()?.into_iter().map(|(id, _)| id).collect();
    let gone: Vec<PackId> = known.difference(&present).copied().collect();
    if !gone.is_empty() && pool.access() == Access::Write {
        index.drop_packs(&gone)?;
    }
    let new: Vec<PackId> = present.difference(&known).copied().collect();
    if new.len() > BATCH {
        progress.begin(Step::Index, new.len() as u64, 0);
    }
    for batch in new.chunks(BATCH) {
        let mut packs = Vec::with_capacity(batch.len());
        for id in batch {
            match read_pack(pool, keys, *id) {
                Ok(pack) => packs.push(pack),
                Err(error) if error.is_newer() => return Err(error),
                Err(error) => tracing::warn!(pack = %id, %error, "left out of the index"),
            }
        }
        index.add(&packs)?;
        if new.len() > BATCH {
            progress.advance(batch.len() as u64, 0);
        }
    }
    Ok(())
}

/// Reads a pack's directory: its two ends, or all of it from redundancy when those are damaged.
pub(super) fn read_pack(pool: &Pool, keys: &Keys, id: PackId) -> Result<IndexedPack, VaultError> {
    let name = pack_name(id);
    let len = pool.len(name)?;
    let quick = pack::read_directory(keys, len, &mut |at, n| Ok(pool.read_range(name, at, n)?));
    let (header, directory) = match quick {
        Ok(found) => found,
        Err(_) => {
            let (bytes, _) = pool.read_object(name)?;
            pack::read_directory(keys, bytes.len() as u64, &mut |at, n| slice(&bytes, at, n))?
        }
    };
    Ok(IndexedPack { id, seq: header.seq, content: header.content, directory })
}

fn slice(bytes: &[u8], at: u64, length: usize) -> Result<Vec<u8>, VaultError> {
    let short = || VaultError::Format { what: "a pack", source: keepwell_format::FormatError::Truncated("pack") };
    let from = usize::try_from(at).map_err(|_| short())?;
    bytes.get(from..from.saturating_add(length)).map(<[u8]>::to_vec).ok_or_else(short)
}
