//! This box's own vault as its disks show it, without a key: which objects there are, and which packs a snapshot needs, both in the clear (`docs/format.md` 7, 9).

use std::collections::{BTreeSet, HashMap};

use keepwell_api::offsite::Offered;
use keepwell_format::{Manifest, PackHeader, PackId, SeqRanges, SnapshotId};
use keepwell_offsite::sampling::Known;
use keepwell_offsite::{Offer, kept};
use keepwell_storage::{ObjectId, ObjectName, Pool};
use keepwell_wire::snapshots::PackRef;
use keepwell_wire::{Class, Receipt};

use crate::sender::{SendError, Store};

/// Packs that snapshots of one round name together, at most: 48 bytes each in memory.
const MOST_REFS: usize = 1 << 20;

/// What is known of packs from one round to the next: a header is read once.
pub(crate) type Packs = HashMap<[u8; 32], PackRef>;

/// What a manifest says in the clear.
#[derive(Clone, Debug)]
pub(crate) struct Clear {
    length: u64,
    sequence: u64,
    needs: SeqRanges,
}

/// Manifests, which never change.
pub(crate) type Manifests = HashMap<[u8; 32], Clear>;

/// What is remembered of objects that never change.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    packs: Packs,
    manifests: Manifests,
}

/// The vault as it is now.
pub(crate) struct Own {
    pool: Pool,
    /// By number.
    packs: Vec<PackRef>,
    offers: Vec<Offer>,
}

/// A snapshot that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its id.
    pub(crate) manifest: [u8; 32],
    /// What vaultd says of it.
    pub(crate) offered: Offered,
}

impl Own {
    /// Looks at what is new in the pool.
    pub(crate) fn look(pool: Pool, remembered: &mut Remembered) -> Self {
        let here: BTreeSet<[u8; 32]> = pool.objects(kept(Class::Pack)).into_iter().map(|id| id.0).collect();
        remembered.packs.retain(|id, _| here.contains(id));
        for id in here {
            if remembered.packs.contains_key(&id) {
                continue;
            }
            let name = ObjectName { class: kept(Class::Pack), id: ObjectId(id) };
            let read = pool.len(name).and_then(|length| Ok((length, pool.read_range(name, 0, PackHeader::LEN)?)));
            // One that can't be read, or is no pack, can't be sent: the snapshots that need it wait until it is whole again.
            if let Ok((length, header)) = read
                && let Ok(header) = PackHeader::decode(&header)
                && header.vault.0 == pool.vault()
            {
                remembered.packs.insert(id, PackRef { seq: header.seq, id: PackId(id), length });
            }
        }
        let mut packs: Vec<PackRef> = remembered.packs.values().copied().collect();
        packs.sort_unstable();
        Self { pool, packs, offers: Vec::new() }
    }

    /// Takes on what is to be sent of what is wanted: what matters most first, and no more than memory has room for. The rest is for the next round.
    pub(crate) fn take_on(&mut self, wanted: &[Wanted], remembered: &mut Remembered, is_signed: impl Fn(&[u8; 32]) -> bool) -> bool {
        let mut known: Vec<(&Wanted, Clear)> =
            wanted.iter().filter_map(|one| Some((one, self.clear(&one.manifest, remembered)?))).collect();
        known.sort_by_key(|(_, clear)| std::cmp::Reverse(clear.sequence));
        let mut shares = BTreeSet::new();
        let (mut newest, older): (Vec<_>, Vec<_>) = known.into_iter().partition(|(one, _)| shares.insert(one.offered.share.clone()));
        newest.sort_by_key(|(one, _)| one.offered.tier);
        let (mut refs, mut all) = (0, true);
        self.offers.clear();
        for (one, clear) in newest.into_iter().chain(older).filter(|(one, _)| !is_signed(&one.manifest)) {
            let packs = self.packs_of(&clear.needs);
            refs += packs.len();
            if refs > MOST_REFS && !self.offers.is_empty() {
                all = false;
                break;
            }
            self.offers.push(Offer {
                manifest: SnapshotId(one.manifest),
                length: clear.length,
                sequence: clear.sequence,
                share: one.offered.share.clone(),
                tier: one.offered.tier,
                packs,
            });
        }
        all
    }

    /// Objects that receipts for these snapshots cover, as far as they are here: their packs and themselves.
    pub(crate) fn covered<'a>(&self, manifests: impl Iterator<Item = &'a [u8; 32]>, remembered: &mut Remembered) -> Vec<Known> {
        let mut needs = SeqRanges::new();
        let mut covered = Vec::new();
        for manifest in manifests {
            if let Some(clear) = self.clear(manifest, remembered) {
                needs.union(&clear.needs);
                covered.push(Known { class: Class::Manifest, id: *manifest, length: clear.length });
            }
        }
        covered.extend(self.packs_of(&needs).into_iter().map(|pack| Known { class: Class::Pack, id: pack.id.0, length: pack.length }));
        covered
    }

    /// Numbers that snapshots need for which receipts say that there were more packs, or other ones, than are here.
    pub(crate) fn short_of<'a>(&self, receipts: impl Iterator<Item = &'a Receipt>, remembered: &mut Remembered) -> SeqRanges {
        let mut short = SeqRanges::new();
        for receipt in receipts {
            let Some(clear) = self.clear(&receipt.manifest.0, remembered) else { continue };
            let here = self.packs_of(&clear.needs);
            if (here.len() as u64, here.iter().map(|pack| pack.length).sum()) != (receipt.packs, receipt.bytes) {
                short.union(&clear.needs);
            }
        }
        short
    }

    /// Whether it is here, as far as its header tells.
    pub(crate) fn has_pack(&self, pack: &PackRef) -> bool {
        self.packs.binary_search(pack).is_ok()
    }

    /// Objects that are few and open the rest: key slots, keyrings, tombstones.
    pub(crate) fn few(&self) -> Vec<Known> {
        let of = |class| self.ids(class).into_iter().filter_map(move |id| Some(Known { class, id, length: self.length(class, id)? }));
        [Class::Slots, Class::Keyring, Class::Tombstone].into_iter().flat_map(of).collect()
    }

    fn length(&self, class: Class, id: [u8; 32]) -> Option<u64> {
        self.pool.len(ObjectName { class: kept(class), id: ObjectId(id) }).ok()
    }

    fn packs_of(&self, needs: &SeqRanges) -> Vec<PackRef> {
        let at = |seq: u64| self.packs.partition_point(|pack| pack.seq.0 < seq);
        needs.ranges().iter().flat_map(|range| &self.packs[at(range.start)..at(range.end)]).copied().collect()
    }

    fn clear(&self, manifest: &[u8; 32], remembered: &mut Remembered) -> Option<Clear> {
        if let Some(known) = remembered.manifests.get(manifest) {
            return Some(known.clone());
        }
        let (bytes, _) = self.pool.read_object(ObjectName { class: kept(Class::Manifest), id: ObjectId(*manifest) }).ok()?;
        let Manifest { sequence, needs, .. } = Manifest::decode(&bytes).ok()?;
        let clear = Clear { length: bytes.len() as u64, sequence, needs };
        remembered.manifests.insert(*manifest, clear.clone());
        Some(clear)
    }
}

impl Store for Own {
    fn ids(&self, class: Class) -> Vec<[u8; 32]> {
        let mut ids: Vec<[u8; 32]> = self.pool.objects(kept(class)).into_iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids
    }

    fn read(&self, class: Class, id: &[u8; 32], memory: Vec<u8>) -> Result<Vec<u8>, SendError> {
        let name = ObjectName { class: kept(class), id: ObjectId(*id) };
        self.pool.read_object_into(name, memory).map(|(bytes, _)| bytes).map_err(|error| SendError::Own(error.to_string()))
    }

    fn offers(&self) -> Vec<Offer> {
        self.offers.clone()
    }
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own").field("packs", &self.packs.len()).field("offers", &self.offers.len()).finish_non_exhaustive()
    }
}
