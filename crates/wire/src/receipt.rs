//! What a receiver signs for (`docs/wire.md` 6). Signing and checking are the caller's.

use keepwell_format::codec::{Reader, Writer};
use keepwell_format::{FormatError, SnapshotId, VaultId};

use crate::KeyName;

const MAGIC: &[u8; 8] = b"KWRECPT\0";
const WHAT: &str = "receipt";

/// A snapshot is there with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Who keeps it.
    pub receiver: KeyName,
    /// Whose it is.
    pub vault: VaultId,
    /// The snapshot.
    pub manifest: SnapshotId,
    /// Its sequence.
    pub sequence: u64,
    /// Number of this receipt among the tenant's, from 1.
    pub number: u64,
    /// Hash of the one before; zeros for the first.
    pub previous: [u8; 32],
    /// When, by the receiver's clock, in seconds since 1970.
    pub received: i64,
    /// Seconds that the receiver knows to have gone by since it began to keep for this tenant.
    pub elapsed: u64,
    /// It is kept until so many have, at least.
    pub kept_until: u64,
    /// Packs that it needs.
    pub packs: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Receipt {
    /// Length with the signature, in bytes.
    pub const LEN: usize = 10 + 32 + 16 + 32 + 8 + 8 + 32 + 8 * 5 + 64;

    /// The bytes that are signed.
    pub fn signed(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(Self::LEN);
        out.magic(MAGIC).raw(&self.receiver.0).raw(&self.vault.0).raw(&self.manifest.0).u64(self.sequence).u64(self.number);
        out.raw(&self.previous).i64(self.received).u64(self.elapsed).u64(self.kept_until).u64(self.packs).u64(self.bytes);
        out.into_bytes()
    }

    /// All of it.
    pub fn encode(&self, signature: &[u8; 64]) -> Vec<u8> {
        let mut bytes = self.signed();
        bytes.extend_from_slice(signature);
        bytes
    }

    /// Parses a receipt, and tells its signature, which is not checked here.
    pub fn decode(bytes: &[u8]) -> Result<(Self, [u8; 64]), FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        reader.magic(MAGIC)?;
        let receipt = Self {
            receiver: KeyName(reader.array()?),
            vault: reader.vault()?,
            manifest: SnapshotId(reader.array()?),
            sequence: reader.u64()?,
            number: reader.u64()?,
            previous: reader.array()?,
            received: reader.i64()?,
            elapsed: reader.u64()?,
            kept_until: reader.u64()?,
            packs: reader.u64()?,
            bytes: reader.u64()?,
        };
        reader.check(receipt.number > 0, "number 0")?;
        reader.check((receipt.number == 1) == (receipt.previous == [0; 32]), "the first has none before it, and each other has one")?;
        reader.check(receipt.kept_until >= receipt.elapsed, "kept until before it came")?;
        let signature = reader.array()?;
        reader.finish()?;
        Ok((receipt, signature))
    }
}
