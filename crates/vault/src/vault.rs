//! A vault: without keys ([`Sealed`]) it can be checked and healed, with keys ([`Vault`]) it can be used. Opening brings the index in step with
//! the pool, because an index ahead of the pool would let new backups lean on packs that are gone.

use std::sync::Arc;

use keepwell_format::keys::{Keyring, Slots};
use keepwell_format::{Key, Kind, Node, SnapshotId, VaultId};
use keepwell_storage::{Class, DiskHealth, ObjectName, Pool, PoolHealth, Spread};

use crate::VaultError;
use crate::blobs::BlobReader;
use crate::catalog::Cursor;
use crate::env::{Env, Progress};
use crate::index::{Healing, Index, IndexPlace, SqliteIndex, catch_up};
use crate::keys::Keys;
use crate::report::VaultStats;
use crate::snapshot::{self, Snapshot};
use crate::tomb::Tombs;
use crate::turns::Turns;
use crate::unlock::{self, Unlock};

/// A vault without its keys.
#[derive(Debug)]
pub struct Sealed {
    pub(crate) pool: Arc<Pool>,
    pub(crate) env: Env,
    slots: Result<Slots, VaultError>,
}

/// A vault with its keys.
pub struct Vault {
    pub(crate) pool: Arc<Pool>,
    pub(crate) env: Env,
    pub(crate) keys: Arc<Keys>,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) turns: Turns,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Sealed {
    /// Takes a pool for a vault.
    pub fn open(pool: Arc<Pool>, env: Env) -> Result<Self, VaultError> {
        let slots = unlock::load_slots(&pool);
        if let Err(newer @ VaultError::Format { .. }) = slots {
            return Err(newer);
        }
        Ok(Self { pool, env, slots })
    }

    /// Its id.
    pub fn vault_id(&self) -> VaultId {
        VaultId(self.pool.vault())
    }

    /// What the program that has the keys needs to open it: the newest key slots and the sealed keyring.
    pub fn locks(&self) -> Result<(Slots, Keyring), VaultError> {
        let slots = self.slots.as_ref().map_err(|_| VaultError::NoSlots)?;
        Ok((slots.clone(), unlock::load_keyring(&self.pool)?))
    }

    /// Stores changed key slots, and removes older ones where the new ones are on every disk: what they opened by opens nothing any more.
    pub fn store_slots(&self, slots: &Slots) -> Result<(), VaultError> {
        store_slots(&self.pool, slots)
    }

    /// Opens it.
    pub fn unlock(self, with: &Unlock, place: IndexPlace, progress: &dyn Progress) -> Result<Vault, VaultError> {
        let keys = unlock::unlock(&self.pool, &self.slots?, with)?;
        let index = open_index(&place, keys.vault)?;
        Vault::assemble(self.pool, self.env, keys, index, progress)
    }

    /// Opens it with an index of the caller's.
    pub fn unlock_with(self, with: &Unlock, index: Arc<dyn Index>, progress: &dyn Progress) -> Result<Vault, VaultError> {
        let keys = unlock::unlock(&self.pool, &self.slots?, with)?;
        Vault::assemble(self.pool, self.env, keys, index, progress)
    }

    /// How big it is.
    pub fn stats(&self) -> Result<VaultStats, VaultError> {
        let signer = self.slots.as_ref().ok().map(|slots| slots.verify_key);
        pool_stats(&self.pool, signer.as_ref())
    }
}

/// An index file that can't be used costs time, not the restore.
fn open_index(place: &IndexPlace, vault: VaultId) -> Result<Arc<dyn Index>, VaultError> {
    match SqliteIndex::open(place, vault) {
        Ok(index) => Ok(Arc::new(index)),
        Err(error) => {
            tracing::warn!(%error, "the index file can't be used; going on with one in memory");
            Ok(Arc::new(SqliteIndex::open(&IndexPlace::Memory, vault)?))
        }
    }
}

fn store_slots(pool: &Pool, slots: &Slots) -> Result<(), VaultError> {
    pool.put(Class::Slots, Spread::Everywhere, &slots.encode())?;
    crate::tend::forget_old_slots(pool)?;
    Ok(())
}

/// A disk's state in words; with the reason where there is one.
pub(crate) fn describe(disk: &DiskHealth) -> String {
    match disk.failed.as_ref().or(Some(&disk.note)).filter(|note| !note.is_empty()) {
        Some(note) => format!("{}: {note}", disk.state),
        None => disk.state.to_string(),
    }
}

/// `signer` tells tombstones that hold.
fn pool_stats(pool: &Pool, signer: Option<&[u8; 32]>) -> Result<VaultStats, VaultError> {
    let mut stats = VaultStats::default();
    for id in pool.objects(Class::Pack) {
        stats.packs += 1;
        stats.pack_bytes += pool.len(ObjectName { class: Class::Pack, id }).unwrap_or(0);
    }
    let tombs = signer.map(|signer| Tombs::load(pool, VaultId(pool.vault()), signer)).transpose()?.unwrap_or_default();
    stats.snapshots = pool.objects(Class::Manifest).into_iter().filter(|id| !tombs.holds(&SnapshotId(id.0))).count() as u64;
    let health = pool.health();
    stats.degraded_objects = health.degraded_objects;
    stats.disk_bytes = pool.stored_bytes()?;
    stats.disks = health.disks.iter().map(|disk| (disk.name.clone(), describe(disk), disk.total_bytes, disk.free_bytes)).collect();
    Ok(stats)
}

impl Vault {
    fn assemble(pool: Arc<Pool>, env: Env, keys: Keys, index: Arc<dyn Index>, progress: &dyn Progress) -> Result<Self, VaultError> {
        let keys = Arc::new(keys);
        let index = Arc::new(Healing::new(index, Arc::clone(&pool), Arc::clone(&keys)));
        let vault = Self { pool, env, keys, index, turns: Turns::default() };
        vault.reconcile(progress)?;
        Ok(vault)
    }

    /// Brings the index in step with the pool.
    pub(crate) fn reconcile(&self, progress: &dyn Progress) -> Result<(), VaultError> {
        catch_up(&*self.index, &self.pool, &self.keys, progress)
    }

    /// Its id.
    pub fn id(&self) -> VaultId {
        self.keys.vault
    }

    /// The newest key slots that are in the pool.
    pub fn slots(&self) -> Result<Slots, VaultError> {
        unlock::load_slots(&self.pool)
    }

    /// As [`Sealed::store_slots`], while it is open.
    pub fn store_slots(&self, slots: &Slots) -> Result<(), VaultError> {
        store_slots(&self.pool, slots)
    }

    /// The disks, and what they are to the vault.
    pub fn disks(&self) -> PoolHealth {
        self.pool.health()
    }

    /// Ids of all manifests in the pool, forgotten ones too: cheap, and another list when there is something new.
    pub fn manifests(&self) -> Vec<SnapshotId> {
        self.pool.objects(Class::Manifest).into_iter().map(|id| SnapshotId(id.0)).collect()
    }

    /// All snapshots, oldest first, without what is forgotten.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, VaultError> {
        Ok(snapshot::load_all(&self.pool, &self.keys)?.snapshots)
    }

    /// The snapshot that a person means: an id, a unique beginning of one, `latest`, or `NAME@latest`.
    pub fn resolve(&self, text: &str) -> Result<Snapshot, VaultError> {
        let loaded = snapshot::load_all(&self.pool, &self.keys)?;
        snapshot::resolve(&loaded.snapshots, text).map_err(|error| {
            let is_meant = |id: &str| !text.is_empty() && id.starts_with(text);
            if let Some((id, why)) = loaded.lost.iter().find(|(id, _)| is_meant(id)) {
                return VaultError::NoSnapshot(format!("snapshot {id} is there but can't be read: {why}"));
            }
            match loaded.tombs.gone().map(|gone| gone.snapshot.to_string()).find(|id| is_meant(id)) {
                Some(id) => VaultError::NoSnapshot(format!("snapshot {id} is forgotten")),
                None => error,
            }
        })
    }

    /// Visits what lies directly in `folder`, or the entry itself when it is no folder.
    pub fn list(
        &self,
        snapshot: &Snapshot,
        folder: &Key,
        visit: &mut dyn FnMut(&Key, &Node) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let reader = self.reader();
        let mut cursor = Cursor::new(&reader, snapshot, folder);
        let Some((_, node)) = cursor.next()?.filter(|(key, _)| key == folder) else {
            return Err(VaultError::NoPath(folder.to_string()));
        };
        if node.kind != Kind::Folder {
            return visit(folder, &node);
        }
        let depth = folder.components().count();
        while let Some((key, node)) = cursor.next()? {
            if !key.is_in(folder) {
                break;
            }
            if key.components().count() == depth + 1 {
                visit(&key, &node)?;
            } else {
                cursor = Cursor::new(&reader, snapshot, &behind(&key, depth + 1));
            }
        }
        Ok(())
    }

    /// Visits every entry of a snapshot, in the order of their keys.
    pub fn walk(&self, snapshot: &Snapshot, visit: &mut dyn FnMut(&Key, &Node)) -> Result<(), VaultError> {
        let reader = self.reader();
        let mut cursor = Cursor::new(&reader, snapshot, &Key::root());
        while let Some((key, node)) = cursor.next()? {
            visit(&key, &node);
        }
        Ok(())
    }

    /// How big the vault is.
    pub fn stats(&self) -> Result<VaultStats, VaultError> {
        let mut stats = pool_stats(&self.pool, Some(&self.keys.verify_key()))?;
        let (blobs, bytes) = self.index.totals()?;
        stats.blobs = Some(blobs);
        stats.plain_bytes = Some(bytes);
        Ok(stats)
    }

    /// Visits every sealed frame, as it lies in its pack. For checks of the vault's ciphertext.
    pub fn for_each_frame(&self, visit: &mut dyn FnMut(&[u8])) -> Result<(), VaultError> {
        for (pack, _) in self.index.packs()? {
            for place in self.index.content(&pack)? {
                visit(&self.pool.read_range(crate::blobs::pack_name(pack), place.offset, place.stored_len as usize)?);
            }
        }
        Ok(())
    }

    pub(crate) fn reader(&self) -> BlobReader<'_> {
        BlobReader::new(&self.pool, &self.keys, &*self.index)
    }
}

/// The first possible key behind the folder that `key`'s first `depth` components name.
fn behind(key: &Key, depth: usize) -> Key {
    let mut bytes = key.components().take(depth).collect::<Vec<_>>().join(&0);
    bytes.push(1);
    Key::from_bytes(bytes).expect("a longer name is a name")
}
