//! Tombstones (`docs/format.md` 9.1): which snapshots are forgotten. Needs no data key to tell, only the one that signatures are checked with. One that can't be
//! trusted counts as absent: rather too many snapshots than one too few.

use std::collections::BTreeMap;

use keepwell_format::tombstone::MAX_GONE;
use keepwell_format::{FormatError, Gone, SnapshotId, Tombstone, TombstoneBody, VaultId};
use keepwell_storage::{Class, ObjectId, ObjectName, Pool};

use crate::VaultError;
use crate::keys::Keys;

/// All tombstones of a pool.
#[derive(Debug, Default)]
pub(crate) struct Tombs {
    /// Each forgotten snapshot, and the tombstones that name it.
    gone: BTreeMap<SnapshotId, (Gone, Vec<ObjectId>)>,
    /// The highest sequence of a tombstone.
    newest: u64,
    /// The first number above all packs that forgotten snapshots name.
    packs: u64,
    /// Those that can't be read or trusted: id and why.
    pub(crate) damaged: Vec<(String, String)>,
}

impl Tombs {
    /// Reads them. One that a newer release wrote is an error: what it says must not be passed over.
    pub(crate) fn load(pool: &Pool, vault: VaultId, verify_key: &[u8; 32]) -> Result<Self, VaultError> {
        let mut tombs = Self::default();
        for id in pool.objects(Class::Tombstone) {
            match read(pool, vault, verify_key, id) {
                Ok(tombstone) => tombs.take(id, tombstone),
                Err(error) if error.is_newer() => return Err(error),
                Err(error) => tombs.damaged.push((id.to_string(), error.to_string())),
            }
        }
        Ok(tombs)
    }

    fn take(&mut self, id: ObjectId, tombstone: Tombstone) {
        self.newest = self.newest.max(tombstone.sequence);
        self.packs = self.packs.max(tombstone.packs);
        for gone in tombstone.gone {
            self.gone.entry(gone.snapshot).or_insert_with(|| (gone, Vec::new())).1.push(id);
        }
    }

    pub(crate) fn holds(&self, snapshot: &SnapshotId) -> bool {
        self.gone.contains_key(snapshot)
    }

    /// Forgotten snapshots.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &Gone> {
        self.gone.values().map(|(gone, _)| gone)
    }

    /// A forgotten snapshot, and the tombstones that name it.
    pub(crate) fn of(&self, snapshot: &SnapshotId) -> Option<(Gone, &[ObjectId])> {
        self.gone.get(snapshot).map(|(gone, by)| (*gone, by.as_slice()))
    }

    /// The highest number of a pack that a forgotten snapshot names.
    pub(crate) fn highest_pack(&self) -> u64 {
        self.packs.saturating_sub(1)
    }

    /// The objects that make these snapshots forgotten: `gone` in any order, `packs` the first number above all that they need.
    pub(crate) fn encode(&self, keys: &Keys, mut gone: Vec<Gone>, packs: u64, reason: &str, received: i64) -> Vec<Vec<u8>> {
        gone.sort_by_key(|gone| gone.snapshot);
        let body =
            TombstoneBody { reason: reason.to_owned(), program: concat!("keepwell ", env!("CARGO_PKG_VERSION")).to_owned() }.encode();
        let part = |(n, gone): (u64, &[Gone])| {
            let mut tombstone = Tombstone {
                vault: keys.vault,
                epoch: keys.epoch,
                sequence: self.newest + 1 + n,
                received,
                packs: packs.max(self.packs),
                gone: gone.to_vec(),
                sealed: Vec::new(),
                signature: [0; 64],
            };
            let sealer = keys.tombstone(keys.epoch).expect("the newest epoch is in the keyring");
            tombstone.sealed = sealer.seal(&tombstone.head(), &body);
            tombstone.signature = keys.sign(&tombstone.signed());
            tombstone.encode()
        };
        (0..).zip(gone.chunks(MAX_GONE)).map(part).collect()
    }
}

/// What a tombstone says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The tombstone's object.
    pub tombstone: ObjectId,
    /// When the vault received it, seconds since 1970.
    pub received: i64,
    /// The snapshots that it made forgotten, by id.
    pub snapshots: Vec<SnapshotId>,
    /// Why, or why that can't be told.
    pub reason: Result<String, String>,
}

/// All tombstones that hold, with what their sealed parts say; the oldest first.
pub(crate) fn read_all(pool: &Pool, keys: &Keys) -> Result<Vec<Forgotten>, VaultError> {
    let mut all = Vec::new();
    for id in pool.objects(Class::Tombstone) {
        let tombstone = match read(pool, keys.vault, &keys.verify_key(), id) {
            Ok(tombstone) => tombstone,
            Err(error) if error.is_newer() => return Err(error),
            Err(_) => continue,
        };
        let reason = open(keys, &tombstone).map(|body| body.reason).map_err(|error| error.to_string());
        let snapshots = tombstone.gone.iter().map(|gone| gone.snapshot).collect();
        all.push((tombstone.sequence, Forgotten { tombstone: id, received: tombstone.received, snapshots, reason }));
    }
    all.sort_by_key(|(sequence, one)| (*sequence, one.tombstone));
    Ok(all.into_iter().map(|(_, one)| one).collect())
}

/// Reads one; its object id is checked by the pool.
fn read(pool: &Pool, vault: VaultId, verify_key: &[u8; 32], id: ObjectId) -> Result<Tombstone, VaultError> {
    let broken = |source| VaultError::Format { what: "a tombstone", source };
    let (bytes, _) = pool.read_object(ObjectName { class: Class::Tombstone, id })?;
    let tombstone = Tombstone::decode(&bytes).map_err(broken)?;
    if tombstone.vault != vault {
        return Err(broken(FormatError::Invalid { what: "tombstone", why: "it belongs to another vault" }));
    }
    keepwell_crypt::verify(verify_key, &tombstone.signed(), &tombstone.signature)
        .map_err(|source| VaultError::Crypt { what: "a tombstone is not signed by this box", source })?;
    Ok(tombstone)
}

fn open(keys: &Keys, tombstone: &Tombstone) -> Result<TombstoneBody, VaultError> {
    let crypt = |what| move |source| VaultError::Crypt { what, source };
    let sealer = keys.tombstone(tombstone.epoch).map_err(crypt("a tombstone's reason is sealed with a key that the keyring lacks"))?;
    let body = sealer.open(&tombstone.head(), &tombstone.sealed).map_err(crypt("a tombstone's reason can't be opened"))?;
    TombstoneBody::decode(&body).map_err(|source| VaultError::Format { what: "a tombstone's reason", source })
}
