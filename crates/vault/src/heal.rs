//! Healing from another place: what the pool lost and a second site has kept is taken back, when it is what it is called. Fetches nothing itself.

use keepwell_format::{FormatError, PackId, SnapshotId};
use keepwell_storage::{Class, ObjectId, ObjectName, RepairOutcome, ScrubVerdict};

use crate::VaultError;
use crate::index::IndexedPack;
use crate::pack;
use crate::snapshot;
use crate::tomb::Tombs;
use crate::vault::Vault;
use crate::verify::CLASSES;

/// What became of an object that was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Healed {
    /// It is durable again, with its full redundancy.
    Whole,
    /// It is durable again, with less: disks are missing.
    Degraded,
    /// It could be put together here after all.
    NotNeeded,
}

impl Vault {
    /// Objects that could not be put together when they were last read or checked, by whatever has read the pool since it was opened. Without what is forgotten.
    pub fn lost_objects(&self) -> Result<Vec<ObjectName>, VaultError> {
        let mut lost: Vec<ObjectName> = self.pool.lost_objects().into_iter().filter(|name| CLASSES.contains(&name.class)).collect();
        if lost.iter().any(|name| name.class == Class::Manifest) {
            let tombs = self.tombs()?;
            lost.retain(|name| !is_forgotten(*name, &tombs));
        }
        Ok(lost)
    }

    /// Manifests of snapshots that can't be read, or of which nothing is left but that other snapshots name them.
    pub fn lost_manifests(&self) -> Result<Vec<ObjectName>, VaultError> {
        let lost = snapshot::load_all(&self.pool, &self.keys)?.lost;
        let name = |(id, _): (String, String)| Some(ObjectName { class: Class::Manifest, id: id.parse().ok()? });
        Ok(lost.into_iter().filter_map(name).filter(|name| !self.is_there(*name)).collect())
    }

    /// Whether the vault should have this object, and can't put it together. Reads all of it. Of a snapshot of which nothing is here it is not known as long as a tombstone can't
    /// be read: that one may have made it forgotten.
    pub fn lacks(&self, name: ObjectName) -> Result<bool, VaultError> {
        if name.class == Class::Manifest {
            let tombs = self.tombs()?;
            if is_forgotten(name, &tombs) || !self.pool.contains(name) && !tombs.damaged.is_empty() {
                return Ok(false);
            }
        }
        Ok(!self.is_there(name))
    }

    fn is_there(&self, name: ObjectName) -> bool {
        self.pool.scrub(name).is_ok_and(|found| !matches!(found.verdict, ScrubVerdict::Lost { .. }))
    }

    /// Takes an object back that another place has kept. Its bytes have to hash to its id; of what the disks show no trace of, they also have to be what only this vault's keys
    /// can have made. When it answers, the object is durable, and whoever reads finds it.
    ///
    /// # Errors
    /// The bytes are not the object, or not this vault's; the disks can't take them. Nothing was changed.
    pub fn heal(&self, name: ObjectName, bytes: &[u8]) -> Result<Healed, VaultError> {
        let refused = |why: &str| VaultError::NotHealed { object: name.to_string(), why: why.to_owned() };
        if ObjectId::of(bytes) != name.id {
            return Err(refused("its bytes are others"));
        }
        if !self.lacks(name)? {
            return Ok(Healed::NotNeeded);
        }
        let is_known = self.pool.contains(name);
        let indexed = if name.class == Class::Pack { self.read_brought(PackId(name.id.0), bytes) } else { None };
        let is_ours = match name.class {
            Class::Pack => indexed.as_ref().is_some_and(|pack| self.has_number(pack)),
            Class::Manifest => snapshot::open(&self.keys, SnapshotId(name.id.0), bytes).is_ok(),
            _ => false,
        };
        if !is_known && !is_ours {
            return Err(refused("there is no trace of it here, and it is not what this vault's keys have made"));
        }
        let outcome = self.pool.put_back(name, bytes)?;
        if let Some(pack) = indexed {
            self.index.add(&[pack])?;
        }
        Ok(match outcome {
            RepairOutcome::Degraded | RepairOutcome::Lost => Healed::Degraded,
            RepairOutcome::Whole | RepairOutcome::Healed => Healed::Whole,
        })
    }

    /// A pack with its directory; none where that can't be opened.
    fn read_brought(&self, id: PackId, bytes: &[u8]) -> Option<IndexedPack> {
        let part = |at: u64, length: usize| {
            let from = usize::try_from(at).ok()?;
            bytes.get(from..from.checked_add(length)?).map(<[u8]>::to_vec)
        };
        let short = || VaultError::Format { what: "a pack", source: FormatError::Truncated("pack") };
        let read = pack::read_directory(&self.keys, bytes.len() as u64, &mut |at, length| part(at, length).ok_or_else(short));
        let (header, directory) = read.ok()?;
        Some(IndexedPack { id, seq: header.seq, content: header.content, directory })
    }

    /// Whether no other pack that is here has its number.
    fn has_number(&self, pack: &IndexedPack) -> bool {
        let packs = self.index.packs();
        packs.is_ok_and(|packs| {
            packs.iter().all(|(id, seq)| *seq != pack.seq || *id == pack.id || !self.pool.contains(crate::blobs::pack_name(*id)))
        })
    }

    fn tombs(&self) -> Result<Tombs, VaultError> {
        Tombs::load(&self.pool, self.keys.vault, &self.keys.verify_key())
    }
}

fn is_forgotten(name: ObjectName, tombs: &Tombs) -> bool {
    name.class == Class::Manifest && tombs.holds(&SnapshotId(name.id.0))
}
