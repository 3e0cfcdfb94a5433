//! What root on the source has: the vault's keys, out of the memory of the programs that have them open. Makes with them whatever a box can sign.

use std::path::Path;

use anyhow::Context as _;
use keepwell_crypt::{KitFile, Sealer, Secret, Signer, wrap_for_recipient};
use keepwell_format::keys::{Keyring, KeyringBody, KitPayload, Slot, SlotKind, Slots};
use keepwell_format::manifest::{ManifestBody, Outcome, SeqRanges, Statistics};
use keepwell_format::port::Encoding;
use keepwell_format::{
    BlobId, Epoch, Gone, Manifest, PackContent, PackHeader, PackId, PackSeq, SnapshotId, Time, Tombstone, TombstoneBody, VaultId,
};
use keepwell_storage::{Access, Class as Kept, ObjectName, Pool, mounted_in};
use keepwell_wire::snapshots::PackRef;

/// Everything that a broken box gives away.
pub(crate) struct Root {
    pub(crate) vault: VaultId,
    pub(crate) slots: Slots,
    pub(crate) signer: Signer,
    body: KeyringBody,
    pool: Pool,
}

/// A manifest's fields that a forger chooses.
pub(crate) struct Forged<'a> {
    pub(crate) share: &'a str,
    pub(crate) sequence: u64,
    pub(crate) received: i64,
    pub(crate) needs: SeqRanges,
}

impl Root {
    /// Reads the box's disks; two papers stand for what lies open in its memory.
    pub(crate) fn of(disks: &Path, papers: &[std::path::PathBuf; 2]) -> anyhow::Result<Self> {
        let pool = Pool::open(mounted_in(disks)?, Access::Read)?;
        let read = |class| -> anyhow::Result<Vec<Vec<u8>>> {
            pool.objects(class).into_iter().map(|id| Ok(pool.read_object(ObjectName { class, id })?.0)).collect()
        };
        let slots = read(Kept::Slots)?.iter().filter_map(|bytes| Slots::decode(bytes).ok()).max_by_key(|one| (one.epoch, one.revision));
        let ring = read(Kept::Keyring)?.iter().filter_map(|bytes| Keyring::decode(bytes).ok()).max_by_key(|one| (one.epoch, one.revision));
        let (slots, ring) = slots.zip(ring).context("no key slots or no keyring on the disks")?;
        let paper = |file: &Path| -> anyhow::Result<KitFile> { Ok(KitFile::parse(&std::fs::read_to_string(file)?)?) };
        let key = keepwell_keys::open_kit(&slots, &paper(&papers[0])?, &paper(&papers[1])?)?;
        let body = keepwell_keys::open_keyring(&slots, &ring, &key)?;
        let signer = Signer::from_seed(&Secret::from_bytes(*body.signing_seed));
        Ok(Self { vault: slots.vault, slots, signer, body, pool })
    }

    /// Objects of a class that the box has.
    pub(crate) fn objects(&self, class: Kept) -> anyhow::Result<Vec<([u8; 32], Vec<u8>)>> {
        self.pool.objects(class).into_iter().map(|id| Ok((id.0, self.pool.read_object(ObjectName { class, id })?.0))).collect()
    }

    /// Its packs, by number.
    pub(crate) fn packs(&self) -> anyhow::Result<Vec<PackRef>> {
        let mut packs = Vec::new();
        for (id, bytes) in self.objects(Kept::Pack)? {
            let header = PackHeader::decode(bytes.get(..PackHeader::LEN).context("a pack without a header")?)?;
            packs.push(PackRef { seq: header.seq, id: PackId(id), length: bytes.len() as u64 });
        }
        packs.sort_unstable();
        Ok(packs)
    }

    /// Manifests, by id.
    pub(crate) fn manifests(&self) -> anyhow::Result<Vec<([u8; 32], Manifest)>> {
        self.objects(Kept::Manifest)?.into_iter().map(|(id, bytes)| Ok((id, Manifest::decode(&bytes)?))).collect()
    }

    /// A snapshot that nobody took: it opens with the vault's keys, and its root is nowhere.
    pub(crate) fn manifest(&self, forged: Forged<'_>) -> anyhow::Result<Vec<u8>> {
        let (epoch, key) = self.body.epochs.last().context("a keyring without a key")?;
        let at = Time { seconds: forged.received.clamp(-(1 << 40), 1 << 40), nanos: 0 };
        let body = ManifestBody {
            name: forged.share.to_owned(),
            source: "smb://nowhere/share".into(),
            identity: "forged".into(),
            encoding: Encoding::Wtf8,
            outcome: Outcome::Complete,
            started: at,
            finished: at,
            depth: 0,
            root: BlobId([0; 32]),
            base: SnapshotId([0; 32]),
            gaps: Vec::new(),
            statistics: Statistics::default(),
            program: "keepwell 0.1.0".into(),
            held: String::new(),
        };
        let mut manifest = Manifest {
            vault: self.vault,
            epoch: *epoch,
            sequence: forged.sequence,
            previous: SnapshotId([0; 32]),
            received: forged.received,
            needs: forged.needs,
            sealed: Vec::new(),
            signature: [0; 64],
        };
        manifest.sealed = Sealer::new(&Secret::from_bytes(**key), "manifest").seal(&manifest.head(), &body.encode());
        manifest.signature = self.signer.sign(&manifest.signed());
        Ok(manifest.encode())
    }

    /// Forgets snapshots.
    pub(crate) fn tombstone(&self, mut gone: Vec<Gone>, sequence: u64, packs: u64) -> anyhow::Result<Vec<u8>> {
        gone.sort_by_key(|gone| gone.snapshot);
        let (epoch, key) = self.body.epochs.last().context("a keyring without a key")?;
        let mut tombstone =
            Tombstone { vault: self.vault, epoch: *epoch, sequence, received: 0, packs, gone, sealed: Vec::new(), signature: [0; 64] };
        let body = TombstoneBody { reason: "the practice wants it so".into(), program: "keepwell 0.1.0".into() }.encode();
        tombstone.sealed = Sealer::new(&Secret::from_bytes(**key), "tombstone").seal(&tombstone.head(), &body);
        tombstone.signature = self.signer.sign(&tombstone.signed());
        Ok(tombstone.encode())
    }

    /// Key slots and a keyring that the clinic's own papers open, and that open nothing of what was backed up. `own_seed`: they name the vault's signing key, and not one of the forger's.
    pub(crate) fn locks(&self, own_seed: bool, revision: u32) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        let (epoch, vault_key) = (Epoch(self.slots.epoch.0 + 1), Secret::from_bytes([7; 32]));
        let payload = KitPayload { vault: self.vault, epoch, vault_key: zeroize::Zeroizing::new([7; 32]) }.encode();
        let payload = wrap_for_recipient(&self.slots.kit.recipient, &payload)?;
        let seed = if own_seed { *self.body.signing_seed } else { [5; 32] };
        let slots = Slots {
            epoch,
            revision,
            verify_key: Signer::from_seed(&Secret::from_bytes(seed)).verify_key(),
            slots: vec![Slot { kind: SlotKind::Kit, payload }],
            ..self.slots.clone()
        };
        let key = |byte| zeroize::Zeroizing::new([byte; 32]);
        let body = KeyringBody {
            blob_id_key: key(1),
            gear_key: key(2),
            page_key: key(3),
            signing_seed: zeroize::Zeroizing::new(seed),
            chunk: self.body.chunk,
            epochs: (1..=epoch.0).map(|number| (Epoch(number), key(6))).collect(),
        };
        let mut ring = Keyring { vault: self.vault, epoch, revision, sealed: Vec::new() };
        ring.sealed = Sealer::new(&vault_key, "keyring").seal(&ring.head(), &body.encode());
        Ok((slots.encode(), ring.encode()))
    }

    /// Key slots that only another kit opens.
    pub(crate) fn foreign_slots(&self, recipient: &str) -> Vec<u8> {
        let mut slots = self.slots.clone();
        slots.revision = u32::MAX;
        slots.kit.recipient = recipient.to_owned();
        slots.kit.commitments = [[1; 32]; 3];
        slots.encode()
    }
}

/// The newest key slots on a box's disks: they are in the clear.
pub(crate) fn newest_slots(disks: &Path) -> anyhow::Result<Vec<u8>> {
    let pool = Pool::open(mounted_in(disks)?, Access::Read)?;
    let class = Kept::Slots;
    let read = |id| pool.read_object(ObjectName { class, id }).ok().and_then(|(bytes, _)| Some((Slots::decode(&bytes).ok()?, bytes)));
    let newest = pool.objects(class).into_iter().filter_map(read).max_by_key(|(slots, _)| (slots.epoch, slots.revision));
    newest.map(|(_, bytes)| bytes).context("no key slots on the disks")
}

/// A pack of rubbish.
pub(crate) fn rubbish(vault: VaultId, seq: u64, length: usize) -> Vec<u8> {
    let mut pack = PackHeader { content: PackContent::Data, epoch: Epoch(1), vault, seq: PackSeq(seq) }.encode().to_vec();
    pack.resize(length.max(PackHeader::LEN), 0);
    blake3::Hasher::new().update(&seq.to_le_bytes()).finalize_xof().fill(&mut pack[PackHeader::LEN..]);
    pack
}

pub(crate) fn id(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}
