//! A source that makes packs and snapshots as a vault does, and a receiver on disks in memory.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use keepwell_crypt::{Secret, Signer};
use keepwell_format::{Epoch, Manifest, PackContent, PackHeader, PackId, PackSeq, SeqRanges, SnapshotId, VaultId};
use keepwell_offsite::{Keeping, Moment, Put, Refused, Tenant, Terms, objects_for};
use keepwell_storage::{Access, Disk, Io, MemoryDisk, Pool, PoolIds};
use keepwell_wire::snapshots::{PackRef, SnapshotRef, fingerprint};
use keepwell_wire::{Class, KeyName, Receipt};

pub const VAULT: VaultId = VaultId([7; 16]);
pub const RECEIVER: KeyName = KeyName([0x44; 32]);

/// Seconds of elapsed time, with a wall clock that nothing goes by.
pub fn at(elapsed: u64) -> Moment {
    Moment { wall: 1_790_000_000, elapsed }
}

/// Who sends: everything it ever made.
pub struct Source {
    signer: Signer,
    pub packs: BTreeMap<u64, Vec<u8>>,
    pub manifests: Vec<Manifest>,
    made: u64,
}

impl Source {
    pub fn new() -> Self {
        Self { signer: Signer::from_seed(&Secret::from_bytes([1; 32])), packs: BTreeMap::new(), manifests: Vec::new(), made: 0 }
    }

    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.signer.sign(bytes)
    }

    pub fn verify_key(&self) -> [u8; 32] {
        self.signer.verify_key()
    }

    /// A pack of so many bytes after its header, whose content nobody has seen before.
    pub fn pack(&mut self, bytes: usize) -> u64 {
        self.made += 1;
        let pack = pack(VAULT, self.made, bytes);
        self.packs.insert(self.made, pack);
        self.made
    }

    /// A snapshot that needs these packs.
    pub fn snapshot(&mut self, needs: impl IntoIterator<Item = u64>) -> Manifest {
        let manifest = self.signed(self.manifests.len() as u64 + 1, needs.into_iter().map(PackSeq).collect());
        self.manifests.push(manifest.clone());
        manifest
    }

    pub fn signed(&self, sequence: u64, needs: SeqRanges) -> Manifest {
        let previous = self.manifests.last().map_or(SnapshotId([0; 32]), |last| SnapshotId(*blake3::hash(&last.encode()).as_bytes()));
        let sealed = sequence.to_le_bytes().to_vec();
        let mut manifest = Manifest { vault: VAULT, epoch: Epoch(1), sequence, previous, received: 0, needs, sealed, signature: [0; 64] };
        manifest.signature = self.signer.sign(&manifest.signed());
        manifest
    }

    /// What it says of a snapshot.
    pub fn reference(&self, manifest: &Manifest) -> SnapshotRef {
        SnapshotRef { manifest: SnapshotId(id(&manifest.encode())), packs: fingerprint(self.refs(manifest)) }
    }

    pub fn refs(&self, manifest: &Manifest) -> Vec<PackRef> {
        let known = manifest.needs.iter().filter_map(|seq| self.packs.get(&seq.0).map(|pack| (seq, pack)));
        known.map(|(seq, pack)| PackRef { seq, id: PackId(id(pack)), length: pack.len() as u64 }).collect()
    }

    /// Sends all of a snapshot and gets its receipt.
    pub fn sends(&self, tenant: &mut Tenant, manifest: &Manifest, now: Moment) -> Result<Receipt, Refused> {
        for seq in manifest.needs.iter() {
            let pack = &self.packs[&seq.0];
            tenant.put(Class::Pack, id(pack), pack, now)?;
        }
        let bytes = manifest.encode();
        tenant.put(Class::Manifest, id(&bytes), &bytes, now)?;
        let receipt = tenant.accept(&self.reference(manifest), now, sign)?;
        Ok(Receipt::decode(&receipt).unwrap().0)
    }

    /// That a snapshot comes back from there with every pack, byte for byte.
    pub fn restores(&self, tenant: &mut Tenant, manifest: &Manifest) -> Result<(), String> {
        let bytes = manifest.encode();
        let read = tenant.read(Class::Manifest, id(&bytes), 0, bytes.len()).map_err(|error| error.to_string())?;
        if read != bytes {
            return Err("another manifest".into());
        }
        for seq in manifest.needs.iter() {
            let pack = &self.packs[&seq.0];
            let read = tenant.read(Class::Pack, id(pack), 0, pack.len()).map_err(|error| format!("pack {}: {error}", seq.0))?;
            if read != *pack {
                return Err(format!("pack {} is another", seq.0));
            }
        }
        Ok(())
    }
}

/// A pack as a stranger without keys sees one.
pub fn pack(vault: VaultId, seq: u64, bytes: usize) -> Vec<u8> {
    let header = PackHeader { content: PackContent::Data, epoch: Epoch(1), vault, seq: PackSeq(seq) };
    let mut pack = header.encode().to_vec();
    pack.resize(PackHeader::LEN + bytes, 0);
    blake3::Hasher::new().update(&seq.to_le_bytes()).finalize_xof().fill(&mut pack[PackHeader::LEN..]);
    pack
}

pub fn id(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

pub fn receipt_key() -> Signer {
    Signer::from_seed(&Secret::from_bytes([2; 32]))
}

pub fn sign(bytes: &[u8]) -> [u8; 64] {
    receipt_key().sign(bytes)
}

pub fn terms(quota: u64, keepers: [u32; 4]) -> Terms {
    Terms {
        receiver: RECEIVER,
        verify_key: Source::new().verify_key(),
        quota,
        objects: objects_for(quota),
        keeping: Keeping::new(0, keepers),
    }
}

pub fn memory(count: usize) -> Vec<Arc<MemoryDisk>> {
    (1..=count).map(|n| Arc::new(MemoryDisk::new(format!("disk-{n}")))).collect()
}

pub fn dynamic<D: Disk + 'static>(disks: &[Arc<D>]) -> Vec<Arc<dyn Disk>> {
    disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Disk>).collect()
}

pub fn create<D: Disk + 'static>(disks: &[Arc<D>], terms: Terms) -> Tenant {
    let ids = PoolIds { vault: VAULT.0, disks: (1..=u8::try_from(disks.len()).unwrap()).map(|n| [n; 16]).collect() };
    let layout = format!("{}+1", disks.len() - 1).parse().unwrap();
    let pool = Pool::create(dynamic(disks), ids, layout).unwrap().with_io(Io::Sequential);
    Tenant::open(pool, terms, at(0)).unwrap()
}

pub fn open<D: Disk + 'static>(disks: &[Arc<D>], terms: Terms, now: Moment) -> Tenant {
    Tenant::open(Pool::open(dynamic(disks), Access::Write).unwrap().with_io(Io::Sequential), terms, now).unwrap()
}

pub fn stored(put: Result<Put, Refused>) -> bool {
    matches!(put, Ok(Put::Stored))
}
