//! A snapshot is complete, says the source; is it? (`docs/wire.md` 6)

use keepwell_format::codec::{Reader, Writer};
use keepwell_format::{FormatError, PackId, PackSeq, SnapshotId};

/// Most seqs in an answer that some are missing.
pub const MAX_MISSING: usize = 1024;

/// Most packs in an answer to what there is.
pub const MAX_PACKS: usize = 16_384;

const WHAT: &str = "snapshot reference";

/// A pack of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackRef {
    /// Its number.
    pub seq: PackSeq,
    /// Its id.
    pub id: PackId,
    /// Its length in bytes.
    pub length: u64,
}

/// The fingerprint of a snapshot's packs, by ascending seq.
pub fn fingerprint(packs: impl IntoIterator<Item = PackRef>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"keepwell packs 1");
    for pack in packs {
        hasher.update(&pack.seq.0.to_le_bytes()).update(&pack.id.0).update(&pack.length.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Asks for a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRef {
    /// The snapshot.
    pub manifest: SnapshotId,
    /// The [`fingerprint`] of its packs.
    pub packs: [u8; 32],
}

impl SnapshotRef {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        [self.manifest.0, self.packs].concat()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let reference = Self { manifest: SnapshotId(reader.array()?), packs: reader.array()? };
        reader.finish()?;
        Ok(reference)
    }
}

/// The bytes of an answer that these packs are not there, ascending and at most [`MAX_MISSING`].
pub fn encode_missing(seqs: &[PackSeq]) -> Vec<u8> {
    let mut out = Writer::new();
    out.count(seqs.len());
    for seq in seqs {
        out.u64(seq.0);
    }
    out.into_bytes()
}

/// Parses them.
pub fn decode_missing(bytes: &[u8]) -> Result<Vec<PackSeq>, FormatError> {
    let mut reader = Reader::new(WHAT, bytes);
    let count = reader.count(8)?;
    reader.check(count <= MAX_MISSING, "too many seqs")?;
    let seqs: Vec<PackSeq> = (0..count).map(|_| reader.u64().map(PackSeq)).collect::<Result<_, _>>()?;
    reader.check(seqs.is_sorted_by(|a, b| a.0 < b.0), "seqs do not ascend")?;
    reader.finish()?;
    Ok(seqs)
}

/// The bytes of a list of packs, by ascending seq and at most [`MAX_PACKS`].
pub fn encode_packs(packs: &[PackRef]) -> Vec<u8> {
    let mut out = Writer::with_capacity(8 + 48 * packs.len());
    out.count(packs.len());
    for pack in packs {
        out.u64(pack.seq.0).raw(&pack.id.0).u64(pack.length);
    }
    out.into_bytes()
}

/// Parses them.
pub fn decode_packs(bytes: &[u8]) -> Result<Vec<PackRef>, FormatError> {
    let mut reader = Reader::new(PACKS, bytes);
    let count = reader.count(48)?;
    reader.check(count <= MAX_PACKS, "too many packs")?;
    let pack = |reader: &mut Reader<'_>| Ok(PackRef { seq: PackSeq(reader.u64()?), id: PackId(reader.array()?), length: reader.u64()? });
    let packs: Vec<PackRef> = (0..count).map(|_| pack(&mut reader)).collect::<Result<_, FormatError>>()?;
    reader.check(packs.is_sorted_by(|a, b| a.seq.0 < b.seq.0), "seqs do not ascend")?;
    reader.finish()?;
    Ok(packs)
}

const PACKS: &str = "list of packs";
