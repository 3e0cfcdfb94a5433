//! What a receiver keeps for one other box: a pool of the tenant's own objects, and receipts for what is whole (`docs/wire.md` 4 to 7).

mod learning;
mod reading;
mod shortening;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keepwell_format::keys::Slots;
use keepwell_format::{Manifest, PackHeader, PackSeq, SeqRanges, SnapshotId, Tombstone, VaultId};
use keepwell_storage::{Class as Kept, Hashed, ObjectId, ObjectName, Pool, PoolError};
use keepwell_wire::challenge::{Answer, Challenge};
use keepwell_wire::snapshots::{MAX_MISSING, PackRef, SnapshotRef, fingerprint};
use keepwell_wire::survey::Survey;
use keepwell_wire::{Branch, Class, KeyName, Receipt, SliceProof};

use crate::keeping::{Keeping, Stamp};
use crate::numbers::Numbers;
use crate::refused::Refused;
use crate::set::SetRecord;
pub use shortening::{NoOrder, Ordered, Shortened, WAIT};

/// Bytes of a file system's block.
const BLOCK: u64 = 4096;

/// Objects of any tenant, however little it may fill: a practice that backs up ten shares every hour for 90 days has 90,000.
const OBJECTS_MIN: u64 = 1 << 17;
/// Bytes of quota for one object more. A box makes packs of 32 MiB, and of 4 MiB for what is in no file.
const OBJECT: u64 = 4 << 20;

/// How many objects go with a quota. Each takes some 400 bytes of the receiver's memory, whatever its length: the quota alone would let a tenant with 2 TB take 200 GB of that.
pub fn objects_for(quota: u64) -> u64 {
    OBJECTS_MIN + quota / OBJECT
}

/// What the tenant was promised, and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The receiver's own name, for receipts.
    pub receiver: KeyName,
    /// Checks the tenant's manifests and tombstones.
    pub verify_key: [u8; 32],
    /// Bytes of objects that are kept at most.
    pub quota: u64,
    /// Objects and receipts that are kept at most ([`objects_for`]).
    pub objects: u64,
    /// For how long.
    pub keeping: Keeping,
}

/// Now, as the receiver knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970, by its clock: for people.
    pub wall: i64,
    /// Seconds that have really gone by for this tenant: what keeping goes by.
    pub elapsed: u64,
}

/// How an object came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is durable now.
    Stored,
    /// It was there.
    Known,
}

/// One tenant.
pub struct Tenant {
    pool: Pool,
    terms: Terms,
    vault: VaultId,
    /// Packs by their number.
    packs: BTreeMap<u64, PackRef>,
    /// When a pack came that no accepted snapshot needs yet, in elapsed seconds.
    waiting: BTreeMap<u64, u64>,
    /// Lengths of everything that is kept, and their sum.
    lengths: BTreeMap<ObjectName, u64>,
    used: u64,
    /// What the directories show, and could not be read.
    lost: BTreeSet<ObjectName>,
    sets: BTreeMap<u64, Set>,
    /// Number of the receipt of each snapshot that was signed for.
    signed_for: BTreeMap<SnapshotId, u64>,
    /// Kits whose papers may speak for this box: those of all key slots that ever came.
    kits: BTreeSet<String>,
    /// Objects that were read with every check of late.
    checked: VecDeque<ObjectName>,
    numbers: Numbers,
    /// Orders that count, or will.
    shortened: Vec<Shortened>,
    /// Nothing more is taken.
    ended: bool,
}

/// A snapshot that was signed for.
struct Set {
    record: SetRecord,
    /// What it needs; none where its manifest can't be read now.
    needs: Option<SeqRanges>,
}

impl Tenant {
    /// Opens what is kept in a pool.
    pub fn open(pool: Pool, terms: Terms, now: Moment) -> Result<Self, Refused> {
        let vault = VaultId(pool.vault());
        let mut tenant = Self {
            pool,
            terms,
            vault,
            packs: BTreeMap::new(),
            waiting: BTreeMap::new(),
            lengths: BTreeMap::new(),
            used: 0,
            lost: BTreeSet::new(),
            sets: BTreeMap::new(),
            signed_for: BTreeMap::new(),
            kits: BTreeSet::new(),
            checked: VecDeque::new(),
            numbers: Numbers::default(),
            shortened: Vec::new(),
            ended: false,
        };
        for class in Class::ALL {
            for id in tenant.pool.objects(kept(class)) {
                tenant.take_in(ObjectName { class: kept(class), id }, now)?;
            }
        }
        for id in tenant.pool.objects(Kept::Set) {
            let name = ObjectName { class: Kept::Set, id };
            match tenant.pool.read_object(name) {
                Ok((bytes, _)) => {
                    let record = SetRecord::decode(&bytes)?;
                    tenant.know_length(name, bytes.len() as u64);
                    let needs = tenant.needs_of(record.receipt.manifest)?;
                    tenant.know_set(record, needs);
                }
                Err(PoolError::Lost { .. }) => drop(tenant.lost.insert(name)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(tenant)
    }

    /// Whether the papers of this kit may speak for the tenant: it is that of key slots that the tenant gave.
    pub fn knows_kit(&self, recipient: &str) -> bool {
        self.kits.contains(recipient)
    }

    /// What a snapshot needs; none where its manifest can't be read.
    fn needs_of(&mut self, manifest: SnapshotId) -> Result<Option<SeqRanges>, Refused> {
        match self.whole(ObjectName { class: Kept::Manifest, id: ObjectId(manifest.0) }) {
            Ok(bytes) => Ok(Some(Manifest::decode(&bytes)?.needs)),
            Err(Refused::NotHere) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Nothing more is taken from now on. What was promised is kept, and can be read, until it is over.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether nothing is kept any more that was promised, as all disks say: what is left is nobody's.
    pub fn is_over(&self) -> bool {
        self.ended && self.sets.is_empty() && self.pool.objects(Kept::Set).is_empty() && self.pool.health().is_whole()
    }

    /// Bytes of objects that are kept.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Whether an object of this length is to be sent: not when it is here, and refused where there is no room for it.
    pub fn wants(&self, class: Class, id: [u8; 32], length: u64) -> Result<bool, Refused> {
        let name = ObjectName { class: kept(class), id: ObjectId(id) };
        if self.has(name) { Ok(false) } else { self.has_room(name, length).map(|()| true) }
    }

    /// One that was lost has its room still: a tenant that is full is healed all the same.
    fn has_room(&self, name: ObjectName, length: u64) -> Result<(), Refused> {
        let (most, kept) = (self.terms.objects, self.lengths.len() as u64);
        // What was lost of what is promised is taken still.
        if self.ended && !self.lengths.contains_key(&name) {
            return Err(Refused::Ended);
        }
        if kept >= most && !self.lengths.contains_key(&name) {
            return Err(Refused::TooMany { most });
        }
        let (quota, used) = (self.terms.quota, self.used - self.lengths.get(&name).copied().map_or(0, room));
        if used.saturating_add(room(length)) > quota { Err(Refused::Quota { quota, used }) } else { Ok(()) }
    }

    /// Length of an object.
    pub fn length(&self, class: Class, id: [u8; 32]) -> Result<u64, Refused> {
        let name = ObjectName { class: kept(class), id: ObjectId(id) };
        self.lengths.get(&name).copied().filter(|_| self.has(name)).ok_or(Refused::NotHere)
    }

    /// Bytes of memory in which an object of this length is best taken: as many as its shards need.
    pub fn memory_for(&self, class: Class, length: u64) -> u64 {
        let layout = self.pool.plan_spread(kept(class).spread(), usize::try_from(length).unwrap_or(usize::MAX));
        layout.coded_len(length)
    }

    /// Takes an object whole. When it answers `Ok`, it is durable.
    pub fn put(&mut self, class: Class, id: [u8; 32], bytes: &[u8], now: Moment) -> Result<Put, Refused> {
        self.take(class, id, bytes.into(), now).map(|(put, _)| put)
    }

    /// The same with one that was hashed when it came; its memory is given back.
    pub fn take(&mut self, class: Class, id: [u8; 32], object: Hashed, now: Moment) -> Result<(Put, Vec<u8>), Refused> {
        let name = ObjectName { class: kept(class), id: ObjectId(id) };
        if self.has(name) {
            return Ok((Put::Known, object.into_memory()));
        }
        if object.id() != name.id {
            return Err(Refused::OtherBytes(name.id.short()));
        }
        let pack = self.looked_at(class, name.id, object.bytes())?;
        let length = object.bytes().len() as u64;
        self.has_room(name, length)?;
        let told = if matches!(class, Class::Slots | Class::Tombstone) { object.bytes().to_vec() } else { Vec::new() };
        let memory = if self.pool.contains(name) {
            self.pool.put_back(name, object.bytes())?;
            object.into_memory()
        } else {
            self.pool.put_hashed(name.class, name.class.spread(), object)?
        };
        self.lost.remove(&name);
        self.know_length(name, length);
        match class {
            Class::Slots => self.know_kit(&told)?,
            Class::Tombstone => self.know_tombstone(&told)?,
            _ => {}
        }
        if let Some(header) = pack {
            self.know_pack(header, name.id, length, now);
        }
        Ok((Put::Stored, memory))
    }

    /// That it is what it is called, as far as anybody without a key can tell.
    fn looked_at(&mut self, class: Class, id: ObjectId, bytes: &[u8]) -> Result<Option<PackHeader>, Refused> {
        let vault = match class {
            Class::Pack => {
                let header = PackHeader::decode(bytes.get(..PackHeader::LEN).unwrap_or(bytes))?;
                if self.is_taken(header.seq, id)? {
                    return Err(Refused::SeqTaken(header.seq.0));
                }
                self.numbers.check_pack(header.seq)?;
                return if header.vault == self.vault { Ok(Some(header)) } else { Err(Refused::OtherVault) };
            }
            Class::Manifest => {
                let manifest = Manifest::decode(bytes)?;
                self.signed(&manifest.signed(), &manifest.signature)?;
                self.numbers.check_manifest(&manifest)?;
                manifest.vault
            }
            Class::Tombstone => {
                let tombstone = Tombstone::decode(bytes)?;
                self.signed(&tombstone.signed(), &tombstone.signature)?;
                self.numbers.check_tombstone(&tombstone)?;
                tombstone.vault
            }
            Class::Keyring => keepwell_format::keys::Keyring::decode(bytes)?.vault,
            Class::Slots => {
                let slots = Slots::decode(bytes)?;
                // A box's own key never changes: slots that name another one are somebody else's.
                if slots.verify_key != self.terms.verify_key {
                    return Err(Refused::Unsigned);
                }
                slots.vault
            }
        };
        if vault == self.vault { Ok(None) } else { Err(Refused::OtherVault) }
    }

    fn signed(&self, bytes: &[u8], signature: &[u8; 64]) -> Result<(), Refused> {
        keepwell_crypt::verify(&self.terms.verify_key, bytes, signature).map_err(|_| Refused::Unsigned)
    }

    /// What is here of what is asked for.
    pub fn survey(&self, asked: &Survey) -> Vec<Branch> {
        let class = kept(asked.class);
        let ids: Vec<[u8; 32]> =
            self.pool.objects(class).into_iter().filter(|id| self.has(ObjectName { class, id: *id })).map(|id| id.0).collect();
        asked.prefixes.iter().map(|prefix| Branch::of(*prefix, &ids)).collect()
    }

    /// The proofs that are asked for.
    pub fn answer(&mut self, challenge: &Challenge) -> Result<Answer, Refused> {
        let mut proofs = Vec::with_capacity(challenge.asked.len());
        for asked in &challenge.asked {
            let name = ObjectName { class: kept(asked.class), id: ObjectId(asked.id) };
            let proof = match self.whole(name) {
                Ok(object) => SliceProof::of(&object, asked.slice),
                Err(Refused::NotHere) => None,
                Err(error) => return Err(error),
            };
            proofs.push(proof);
        }
        Ok(Answer { nonce: challenge.nonce, proofs })
    }

    /// Signs for a snapshot that is here with all that it needs; the same receipt for one that was signed for before.
    pub fn accept(&mut self, asked: &SnapshotRef, now: Moment, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Result<Vec<u8>, Refused> {
        if let Some(known) = self.signed_for.get(&asked.manifest).and_then(|number| self.sets.get(number)) {
            return Ok(known.record.receipt.encode(&known.record.signature));
        }
        let bytes = self.whole(ObjectName { class: Kept::Manifest, id: ObjectId(asked.manifest.0) })?;
        let manifest = Manifest::decode(&bytes)?;
        let packs = self.needed(&manifest.needs);
        if fingerprint(packs.iter().copied()) != asked.packs {
            return Err(self.missing(&manifest.needs));
        }
        let previous = self.sets.values().next_back().map(|set| &set.record);
        let receipt = Receipt {
            receiver: self.terms.receiver,
            vault: self.vault,
            manifest: asked.manifest,
            sequence: manifest.sequence,
            number: previous.map_or(0, |set| set.receipt.number) + 1,
            previous: previous.map_or([0; 32], |set| *blake3::hash(&set.receipt.encode(&set.signature)).as_bytes()),
            received: now.wall,
            elapsed: now.elapsed,
            kept_until: now.elapsed.saturating_add(self.floor(now)),
            packs: packs.len() as u64,
            bytes: packs.iter().map(|pack| pack.length).sum(),
        };
        let ids = |class| self.pool.objects(class).into_iter().map(|id| id.0).collect();
        let record = SetRecord { signature: sign(&receipt.signed()), receipt, slots: ids(Kept::Slots), keyrings: ids(Kept::Keyring) };
        let bytes = record.encode();
        let name = ObjectName { class: Kept::Set, id: ObjectId::of(&bytes) };
        self.has_room(name, bytes.len() as u64)?;
        self.pool.put(name.class, name.class.spread(), &bytes)?;
        self.know_length(name, bytes.len() as u64);
        let answer = record.receipt.encode(&record.signature);
        self.know_set(record, Some(manifest.needs));
        Ok(answer)
    }

    /// Receipts after one.
    pub fn receipts(&self, after: u64, most: usize) -> Vec<Vec<u8>> {
        self.sets.range(after.saturating_add(1)..).take(most).map(|(_, set)| set.record.receipt.encode(&set.record.signature)).collect()
    }

    /// Lets go what the promises no longer hold: how many snapshots and packs. Nothing else ever removes an object.
    pub fn expire(&mut self, now: Moment) -> Result<(usize, usize), Refused> {
        let stamps: Vec<Stamp> = self.sets.values().map(|set| self.stamp(&set.record.receipt, now)).collect();
        let floor = self.floor(now);
        let keeping = self.terms.keeping;
        let gone = if self.ended { keeping.over(&stamps, now.elapsed) } else { keeping.expired(&stamps, now.elapsed) };
        let mut manifests = Vec::new();
        for number in &gone {
            // The record goes first: what it needed is needed by nobody then, and a crash in between leaves something to remove, never something that is promised and not there.
            let Some(set) = self.sets.get(number) else { continue };
            let (name, manifest) = (ObjectName { class: Kept::Set, id: ObjectId::of(&set.record.encode()) }, set.record.receipt.manifest);
            self.remove(name)?;
            self.sets.remove(number);
            self.signed_for.remove(&manifest);
            manifests.push(manifest);
        }
        let needed = self.needed_by_all()?;
        let waits = |seq: &u64| self.waiting.get(seq).is_some_and(|came| came.saturating_add(floor) > now.elapsed);
        let free: Vec<PackRef> = self.packs.values().filter(|pack| !needed.contains(&pack.seq.0) && !waits(&pack.seq.0)).copied().collect();
        for pack in &free {
            self.remove(ObjectName { class: Kept::Pack, id: ObjectId(pack.id.0) })?;
            self.packs.remove(&pack.seq.0);
            self.waiting.remove(&pack.seq.0);
        }
        for manifest in manifests {
            self.remove(ObjectName { class: Kept::Manifest, id: ObjectId(manifest.0) })?;
        }
        Ok((gone.len(), free.len()))
    }

    fn remove(&mut self, name: ObjectName) -> Result<(), Refused> {
        self.pool.remove_expired(name)?;
        self.used -= self.lengths.remove(&name).map_or(0, room);
        Ok(())
    }

    /// Numbers of all packs that a signed snapshot needs. A manifest that can't be read needs all of them: nothing goes before it is whole again.
    fn needed_by_all(&mut self) -> Result<BTreeSet<u64>, Refused> {
        let unread: Vec<(u64, SnapshotId)> =
            self.sets.iter().filter(|(_, set)| set.needs.is_none()).map(|(number, set)| (*number, set.record.receipt.manifest)).collect();
        for (number, manifest) in unread {
            let needs = self.needs_of(manifest)?;
            if needs.is_none() {
                return Ok(self.packs.keys().copied().collect());
            }
            self.sets.entry(number).and_modify(|set| set.needs = needs);
        }
        let mut needs = SeqRanges::new();
        self.sets.values().filter_map(|set| set.needs.as_ref()).for_each(|one| needs.union(one));
        Ok(needs.ranges().iter().flat_map(|range| self.packs.range(range.clone())).map(|(seq, _)| *seq).collect())
    }

    /// The packs that can be given back, from a number on.
    pub fn packs(&self, from: u64, most: usize) -> Vec<PackRef> {
        let here = |pack: &&PackRef| self.has(ObjectName { class: Kept::Pack, id: ObjectId(pack.id.0) });
        self.packs.range(from..).map(|(_, pack)| pack).filter(here).take(most).copied().collect()
    }

    /// The packs that are here of those that a snapshot needs.
    fn needed(&self, needs: &SeqRanges) -> Vec<PackRef> {
        let within = |range: &std::ops::Range<u64>| self.packs.range(range.clone()).map(|(_, pack)| *pack);
        let packs = needs.ranges().iter().flat_map(within);
        packs.filter(|pack| self.has(ObjectName { class: Kept::Pack, id: ObjectId(pack.id.0) })).collect()
    }

    fn missing(&self, needs: &SeqRanges) -> Refused {
        let here: BTreeSet<u64> = self.needed(needs).iter().map(|pack| pack.seq.0).collect();
        let mut missing = Vec::new();
        for range in needs.ranges() {
            // A range may be as long as numbers go; what is here is not.
            let room = MAX_MISSING - missing.len();
            missing.extend(range.clone().filter(|seq| !here.contains(seq)).take(room).map(PackSeq));
        }
        if missing.is_empty() { Refused::OtherPacks } else { Refused::Missing(missing) }
    }

    fn has(&self, name: ObjectName) -> bool {
        !self.lost.contains(&name) && self.pool.is_readable(name)
    }

    /// What can't be read is not here any more, and can be sent again.
    fn not_read(&mut self, name: ObjectName, error: PoolError) -> Refused {
        match error {
            PoolError::Lost { .. } => {
                self.lost.insert(name);
                Refused::NotHere
            }
            other => other.into(),
        }
    }

    /// The receipt of the newest snapshot that is kept; none as long as there is none.
    pub fn newest(&self) -> Option<&Receipt> {
        self.sets.values().next_back().map(|set| &set.record.receipt)
    }

    /// Snapshots that were signed for and are kept.
    pub fn snapshots(&self) -> usize {
        self.sets.len()
    }

    /// The pool, for those that keep disks in order.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant").field("vault", &self.vault).field("sets", &self.sets.len()).finish_non_exhaustive()
    }
}

/// What an object counts: no file takes less than a block, and rubbish may come in small ones.
fn room(length: u64) -> u64 {
    length.next_multiple_of(BLOCK)
}

/// Where a pool keeps objects of a class.
pub fn kept(class: Class) -> Kept {
    match class {
        Class::Pack => Kept::Pack,
        Class::Manifest => Kept::Manifest,
        Class::Keyring => Kept::Keyring,
        Class::Slots => Kept::Slots,
        Class::Tombstone => Kept::Tombstone,
    }
}
