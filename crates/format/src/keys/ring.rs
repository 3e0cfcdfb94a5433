//! Keyrings: the keys of a vault, sealed with the vault key (`docs/format.md` 5.4).

use zeroize::Zeroizing;

use super::secret;
use crate::blob::MAX_BLOB;
use crate::codec::{Reader, Writer, varint_len};
use crate::{Epoch, FormatError, VaultId};

const MAGIC: &[u8; 8] = b"KWKEYRNG";
const BODY: &str = "keyring body";
/// Epoch and key.
const EPOCH_LEN: usize = 36;

/// A keyring as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    /// The vault.
    pub vault: VaultId,
    /// Epoch of the vault key that seals it.
    pub epoch: Epoch,
    /// Rises with every change within an epoch.
    pub revision: u32,
    /// The sealed [`KeyringBody`].
    pub sealed: Vec<u8>,
}

impl Keyring {
    /// All before the sealed body: what the body is bound to. Does not use `sealed`.
    pub fn head(&self) -> Vec<u8> {
        self.head_writer(0).into_bytes()
    }

    /// The keyring's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.head_writer(self.sealed.len() + 10);
        out.bytes(&self.sealed);
        out.into_bytes()
    }

    /// Parses a keyring.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("keyring", bytes);
        reader.magic(MAGIC)?;
        let keyring = Self { vault: reader.vault()?, epoch: reader.epoch()?, revision: reader.u32()?, sealed: reader.bytes()?.to_vec() };
        reader.finish()?;
        Ok(keyring)
    }

    fn head_writer(&self, more: usize) -> Writer {
        let mut out = Writer::with_capacity(34 + more);
        out.magic(MAGIC).raw(&self.vault.0).epoch(self.epoch).u32(self.revision);
        out
    }
}

/// How content is cut: bytes of the shortest, the usual and the longest chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSizes {
    /// Shortest, > 0.
    pub min: u32,
    /// On average.
    pub avg: u32,
    /// Longest, at most 16 MiB.
    pub max: u32,
}

/// A generation's key.
pub type EpochKey = (Epoch, Zeroizing<[u8; 32]>);

/// The keys of a vault.
#[expect(missing_debug_implementations, reason = "holds the vault's keys")]
pub struct KeyringBody {
    /// Keys blob ids and content ids.
    pub blob_id_key: Zeroizing<[u8; 32]>,
    /// Keys the chunker's table.
    pub gear_key: Zeroizing<[u8; 32]>,
    /// Keys page boundaries.
    pub page_key: Zeroizing<[u8; 32]>,
    /// Ed25519 seed that signs manifests.
    pub signing_seed: Zeroizing<[u8; 32]>,
    /// How content is cut.
    pub chunk: ChunkSizes,
    /// Epoch keys, ascending, at least one.
    pub epochs: Vec<EpochKey>,
}

impl KeyringBody {
    /// The body's bytes, before sealing.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // The exact capacity: growing would leave copies of the keys behind.
        let length = 4 * 32 + 12 + varint_len(self.epochs.len() as u64) + EPOCH_LEN * self.epochs.len();
        let mut out = Writer::with_capacity(length);
        for key in [&self.blob_id_key, &self.gear_key, &self.page_key, &self.signing_seed] {
            out.raw(&**key);
        }
        out.u32(self.chunk.min).u32(self.chunk.avg).u32(self.chunk.max).count(self.epochs.len());
        for (epoch, key) in &self.epochs {
            out.epoch(*epoch).raw(&**key);
        }
        debug_assert_eq!(out.len(), length);
        Zeroizing::new(out.into_bytes())
    }

    /// Parses an opened body.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(BODY, bytes);
        let body = Self {
            blob_id_key: secret(&mut reader)?,
            gear_key: secret(&mut reader)?,
            page_key: secret(&mut reader)?,
            signing_seed: secret(&mut reader)?,
            chunk: read_chunk_sizes(&mut reader)?,
            epochs: read_epochs(&mut reader)?,
        };
        reader.finish()?;
        Ok(body)
    }
}

fn read_chunk_sizes(reader: &mut Reader<'_>) -> Result<ChunkSizes, FormatError> {
    let chunk = ChunkSizes { min: reader.u32()?, avg: reader.u32()?, max: reader.u32()? };
    let ascend = 0 < chunk.min && chunk.min <= chunk.avg && chunk.avg <= chunk.max;
    reader.check(ascend && chunk.max as usize <= MAX_BLOB, "chunk sizes out of bounds")?;
    Ok(chunk)
}

fn read_epochs(reader: &mut Reader<'_>) -> Result<Vec<EpochKey>, FormatError> {
    let count = reader.count(EPOCH_LEN)?;
    let mut epochs: Vec<EpochKey> = Vec::with_capacity(count);
    for _ in 0..count {
        let epoch = reader.epoch()?;
        reader.check(epochs.last().is_none_or(|(last, _)| *last < epoch), "epochs do not ascend")?;
        epochs.push((epoch, secret(reader)?));
    }
    reader.check(!epochs.is_empty(), "no epoch key")?;
    Ok(epochs)
}
