//! The vault's keys in memory, as the few verbs that the engine needs of them. Raw keys never leave this file.

use std::collections::HashMap;
use std::fmt;

use keepwell_crypt::{CryptError, KeyedHash, Sealer, Secret, Signer};
use keepwell_format::blob::BlobKind;
use keepwell_format::keys::{ChunkSizes, KeyringBody};
use keepwell_format::{BlobId, Epoch, Key, VaultId};

/// Sealers of one epoch.
struct EpochKeys {
    frame: Sealer,
    directory: Sealer,
    trailer: Sealer,
    manifest: Sealer,
    tombstone: Sealer,
    state: Sealer,
}

/// Everything the engine does with keys.
pub(crate) struct Keys {
    pub(crate) vault: VaultId,
    /// The newest epoch: what is sealed now is sealed under it.
    pub(crate) epoch: Epoch,
    pub(crate) chunk: ChunkSizes,
    pub(crate) gear: Box<[u64; 256]>,
    pub(crate) gear_shifted: Box<[u64; 256]>,
    epochs: HashMap<Epoch, EpochKeys>,
    ids: [KeyedHash; 5],
    boundary: KeyedHash,
    order: KeyedHash,
    signer: Signer,
}

const KINDS: [BlobKind; 5] = [BlobKind::Data, BlobKind::Page, BlobKind::Extents, BlobKind::Bundle, BlobKind::Signatures];

impl Keys {
    pub(crate) fn new(vault: VaultId, body: &KeyringBody) -> Option<Self> {
        let epoch = body.epochs.last()?.0;
        let id_key = Secret::from_bytes(*body.blob_id_key);
        let page_key = Secret::from_bytes(*body.page_key);
        let epochs = body.epochs.iter().map(|(epoch, key)| (*epoch, EpochKeys::new(&Secret::from_bytes(**key)))).collect();
        let gear = Box::new(keepwell_crypt::gear_table(&Secret::from_bytes(*body.gear_key)));
        Some(Self {
            vault,
            epoch,
            chunk: body.chunk,
            gear_shifted: Box::new(gear.map(|g| g << 1)),
            gear,
            epochs,
            ids: KINDS.map(|kind| KeyedHash::derive(&format!("keepwell v1 blob id {}", kind.name()), &id_key)),
            boundary: KeyedHash::derive("keepwell v1 page boundary", &page_key),
            order: KeyedHash::derive("keepwell v1 frame order", &page_key),
            signer: Signer::from_seed(&Secret::from_bytes(*body.signing_seed)),
        })
    }

    pub(crate) fn blob_id(&self, kind: BlobKind, plain: &[u8]) -> BlobId {
        BlobId(self.ids[kind as usize - 1].hash(plain))
    }

    /// Whether a page of `level` ends after the entry with this key.
    pub(crate) fn ends_page(&self, level: u8, key: &Key) -> bool {
        let mut hasher = self.boundary.hasher();
        hasher.update(&[level]);
        hasher.update(key.as_bytes());
        let mean = if level == 0 { 32 } else { 128 };
        first_u64(&hasher.finish()).is_multiple_of(mean)
    }

    /// A number that says which of the packs being filled gets frame `number` of run `run`.
    pub(crate) fn deal(&self, run: u64, number: u64) -> u64 {
        let mut hasher = self.order.hasher();
        hasher.update(&run.to_le_bytes());
        hasher.update(&number.to_le_bytes());
        first_u64(&hasher.finish())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signer.sign(message)
    }

    pub(crate) fn verify_key(&self) -> [u8; 32] {
        self.signer.verify_key()
    }

    pub(crate) fn frame(&self, epoch: Epoch) -> Result<&Sealer, CryptError> {
        self.of(epoch).map(|keys| &keys.frame)
    }

    pub(crate) fn directory(&self, epoch: Epoch) -> Result<&Sealer, CryptError> {
        self.of(epoch).map(|keys| &keys.directory)
    }

    pub(crate) fn trailer(&self, epoch: Epoch) -> Result<&Sealer, CryptError> {
        self.of(epoch).map(|keys| &keys.trailer)
    }

    pub(crate) fn manifest(&self, epoch: Epoch) -> Result<&Sealer, CryptError> {
        self.of(epoch).map(|keys| &keys.manifest)
    }

    pub(crate) fn tombstone(&self, epoch: Epoch) -> Result<&Sealer, CryptError> {
        self.of(epoch).map(|keys| &keys.tombstone)
    }

    pub(crate) fn state(&self, epoch: Epoch) -> Result<&Sealer, CryptError> {
        self.of(epoch).map(|keys| &keys.state)
    }

    fn of(&self, epoch: Epoch) -> Result<&EpochKeys, CryptError> {
        self.epochs.get(&epoch).ok_or(CryptError::WrongKey)
    }
}

impl EpochKeys {
    fn new(key: &Secret) -> Self {
        Self {
            frame: Sealer::new(key, "frame"),
            directory: Sealer::new(key, "directory"),
            trailer: Sealer::new(key, "trailer"),
            manifest: Sealer::new(key, "manifest"),
            tombstone: Sealer::new(key, "tombstone"),
            state: Sealer::new(key, "state"),
        }
    }
}

pub(crate) fn first_u64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes of a 32-byte hash"))
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}, epoch {})", self.vault, self.epoch.0)
    }
}
