//! Tombstones (`docs/format.md` 9.1): which snapshots are forgotten, in an envelope that anyone can read, and why, in the sealed body. Checks no signature.

use crate::codec::{Reader, Writer};
use crate::{Epoch, FormatError, SnapshotId, VaultId};

/// Most snapshots that a tombstone names: it stays small enough for whole copies.
pub const MAX_GONE: usize = 2048;
/// Most bytes of a reason.
pub const MAX_REASON: usize = 1024;

const MAGIC: &[u8; 8] = b"KWTOMB\0\0";
const BODY: &str = "tombstone body";

/// A snapshot that is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Which.
    pub snapshot: SnapshotId,
    /// The sequence of its manifest: it is never given again.
    pub sequence: u64,
    /// The snapshot that its manifest names as the one before: that one is missed still if its manifest is gone.
    pub previous: SnapshotId,
}

/// What makes snapshots forgotten: they are when this is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The vault.
    pub vault: VaultId,
    /// Whose epoch key sealed the body.
    pub epoch: Epoch,
    /// One more than that of the newest tombstone before this one.
    pub sequence: u64,
    /// Receipt time: seconds since 1970-01-01 UTC.
    pub received: i64,
    /// The first pack number after all that the snapshots name: those below are never given again.
    pub packs: u64,
    /// 1 to [`MAX_GONE`] snapshots, their ids ascending.
    pub gone: Vec<Gone>,
    /// The sealed [`TombstoneBody`].
    pub sealed: Vec<u8>,
    /// Ed25519, over [`Tombstone::signed`].
    pub signature: [u8; 64],
}

impl Tombstone {
    /// All before the sealed body: what the body is bound to. Uses neither `sealed` nor `signature`.
    pub fn head(&self) -> Vec<u8> {
        self.head_writer(0).into_bytes()
    }

    /// All before the signature: what is signed. Does not use `signature`.
    pub fn signed(&self) -> Vec<u8> {
        let mut out = self.head_writer(self.sealed.len() + 80);
        out.bytes(&self.sealed);
        out.into_bytes()
    }

    /// The tombstone's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.signed();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Parses a tombstone.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("tombstone", bytes);
        reader.magic(MAGIC)?;
        let tombstone = Self {
            vault: reader.vault()?,
            epoch: reader.epoch()?,
            sequence: reader.u64()?,
            received: reader.i64()?,
            packs: reader.u64()?,
            gone: read_gone(&mut reader)?,
            sealed: reader.bytes()?.to_vec(),
            signature: reader.array()?,
        };
        reader.check(tombstone.packs <= 1 << 63, "pack numbers are below 2^63")?;
        reader.finish()?;
        Ok(tombstone)
    }

    fn head_writer(&self, more: usize) -> Writer {
        let mut out = Writer::with_capacity(64 + 72 * self.gone.len() + more);
        out.magic(MAGIC).raw(&self.vault.0).epoch(self.epoch).u64(self.sequence).i64(self.received).u64(self.packs);
        out.count(self.gone.len());
        for gone in &self.gone {
            out.raw(&gone.snapshot.0).u64(gone.sequence).raw(&gone.previous.0);
        }
        out
    }
}

fn read_gone(reader: &mut Reader<'_>) -> Result<Vec<Gone>, FormatError> {
    let count = reader.count(2 * SnapshotId::LEN + 8)?;
    reader.check((1..=MAX_GONE).contains(&count), "it names no snapshot, or more than 2,048")?;
    let mut gone: Vec<Gone> = Vec::with_capacity(count);
    for _ in 0..count {
        let next = Gone { snapshot: SnapshotId(reader.array()?), sequence: reader.u64()?, previous: SnapshotId(reader.array()?) };
        reader.check(gone.last().is_none_or(|last| last.snapshot < next.snapshot), "its snapshots do not ascend")?;
        gone.push(next);
    }
    Ok(gone)
}

/// What a tombstone says to who has the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TombstoneBody {
    /// Why: the policy's words, or a person's. At most [`MAX_REASON`] bytes.
    pub reason: String,
    /// What wrote it, with its version.
    pub program: String,
}

impl TombstoneBody {
    /// The body's bytes, before sealing.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(64 + self.reason.len());
        out.text(&self.reason).text(&self.program);
        out.into_bytes()
    }

    /// Parses an opened body.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(BODY, bytes);
        let body = Self { reason: reader.text()?, program: reader.text()? };
        reader.check(body.reason.len() <= MAX_REASON, "a reason of more than 1,024 bytes")?;
        reader.finish()?;
        Ok(body)
    }
}
