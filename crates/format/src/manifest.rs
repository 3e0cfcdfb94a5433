//! Snapshot manifests (`docs/format.md` 9): the envelope that anyone can read, and the sealed body. Checks no signature.

pub use crate::seq::SeqRanges;

use crate::codec::{Reader, Writer};
use crate::entry::{read_gap, write_gap};
use crate::page::MAX_LEVEL;
use crate::port::Encoding;
use crate::{BlobId, Epoch, FormatError, Gap, Key, SnapshotId, Time, VaultId};

/// Most gaps that a manifest names.
pub const MAX_GAPS: usize = 100;

const MAGIC: &[u8; 8] = b"KWMANIF\0";
const BODY: &str = "manifest body";
/// Shortest gap: two lengths and a reason.
const LEAST_GAP: usize = 3;

/// What makes a snapshot: it exists when this is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The vault.
    pub vault: VaultId,
    /// Whose epoch key sealed the body.
    pub epoch: Epoch,
    /// One more than that of `previous`.
    pub sequence: u64,
    /// The newest manifest of the vault before this one, or none.
    pub previous: SnapshotId,
    /// Receipt time: seconds since 1970-01-01 UTC.
    pub received: i64,
    /// All packs that the snapshot uses, or more.
    pub needs: SeqRanges,
    /// The sealed [`ManifestBody`].
    pub sealed: Vec<u8>,
    /// Ed25519, over [`Manifest::signed`].
    pub signature: [u8; 64],
}

impl Manifest {
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

    /// The manifest's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.signed();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Parses a manifest.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("manifest", bytes);
        reader.magic(MAGIC)?;
        let manifest = Self {
            vault: reader.vault()?,
            epoch: reader.epoch()?,
            sequence: reader.u64()?,
            previous: SnapshotId(reader.array()?),
            received: reader.i64()?,
            needs: SeqRanges::read(&mut reader)?,
            sealed: reader.bytes()?.to_vec(),
            signature: reader.array()?,
        };
        reader.finish()?;
        Ok(manifest)
    }

    fn head_writer(&self, more: usize) -> Writer {
        let mut out = Writer::with_capacity(96 + 8 * self.needs.ranges().len() + more);
        out.magic(MAGIC).raw(&self.vault.0).epoch(self.epoch).u64(self.sequence).raw(&self.previous.0).i64(self.received);
        self.needs.write(&mut out);
        out
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Everything is there.
    Complete = 1,
    /// There are gaps.
    Partial = 2,
    /// Kept, but not accepted as the newest state.
    Held = 3,
}

/// Counts of a run.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Entries of the catalog.
    pub entries: u64,
    /// Regular files among them.
    pub files: u64,
    /// Folders among them.
    pub folders: u64,
    /// Sum of the sizes of all content.
    pub content_bytes: u64,
    /// Files taken from the base without reading them.
    pub unchanged_files: u64,
    /// Bytes read from the source.
    pub read_bytes: u64,
    /// Blobs that the vault did not have.
    pub new_blobs: u64,
    /// Bytes of their frames.
    pub new_stored_bytes: u64,
    /// Entries with a gap.
    pub gaps: u64,
    /// Files that changed while they were read.
    pub inconsistent: u64,
}

/// What a snapshot says of itself to who has the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestBody {
    /// The backup's name.
    pub name: String,
    /// URL-like, without secrets.
    pub source: String,
    /// Which tree it was.
    pub identity: String,
    /// How names are spelled.
    pub encoding: Encoding,
    /// How the run ended.
    pub outcome: Outcome,
    /// When the run began, by the vault's clock.
    pub started: Time,
    /// When it ended.
    pub finished: Time,
    /// Level of the root page.
    pub depth: u8,
    /// The catalog's root page.
    pub root: BlobId,
    /// The snapshot that unchanged entries were taken from, or none.
    pub base: SnapshotId,
    /// The first gaps, at most [`MAX_GAPS`].
    pub gaps: Vec<(Key, Gap)>,
    /// Counts.
    pub statistics: Statistics,
    /// What wrote it, with its version.
    pub program: String,
    /// Why it is held; empty unless the outcome is [`Outcome::Held`].
    pub held: String,
}

impl ManifestBody {
    /// The body's bytes, before sealing.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(512);
        out.text(&self.name).text(&self.source).text(&self.identity);
        out.u8(self.encoding as u8).u8(self.outcome as u8).time(self.started).time(self.finished);
        out.u8(self.depth).raw(&self.root.0).raw(&self.base.0);
        out.count(self.gaps.len());
        for (key, gap) in &self.gaps {
            out.bytes(key.as_bytes());
            write_gap(&mut out, gap);
        }
        write_statistics(&mut out, &self.statistics);
        out.text(&self.program).text(&self.held);
        out.into_bytes()
    }

    /// Parses an opened body.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(BODY, bytes);
        let body = Self {
            name: reader.text()?,
            source: reader.text()?,
            identity: reader.text()?,
            encoding: read_encoding(&mut reader)?,
            outcome: read_outcome(&mut reader)?,
            started: reader.time()?,
            finished: reader.time()?,
            depth: reader.u8()?,
            root: reader.blob()?,
            base: SnapshotId(reader.array()?),
            gaps: read_gaps(&mut reader)?,
            statistics: read_statistics(&mut reader)?,
            program: reader.text()?,
            held: reader.text()?,
        };
        reader
            .check(body.held.is_empty() != (body.outcome == Outcome::Held), "a held snapshot without a reason, or a reason without one")?;
        reader.check(body.depth <= MAX_LEVEL, "the catalog is too deep")?;
        reader.finish()?;
        Ok(body)
    }
}

fn read_encoding(reader: &mut Reader<'_>) -> Result<Encoding, FormatError> {
    match reader.u8()? {
        1 => Ok(Encoding::Bytes),
        2 => Ok(Encoding::Wtf8),
        _ => Err(reader.invalid("unknown encoding of names")),
    }
}

fn read_outcome(reader: &mut Reader<'_>) -> Result<Outcome, FormatError> {
    match reader.u8()? {
        1 => Ok(Outcome::Complete),
        2 => Ok(Outcome::Partial),
        3 => Ok(Outcome::Held),
        _ => Err(reader.invalid("unknown outcome")),
    }
}

fn read_gaps(reader: &mut Reader<'_>) -> Result<Vec<(Key, Gap)>, FormatError> {
    let count = reader.count(LEAST_GAP)?;
    reader.check(count <= MAX_GAPS, "more than 100 gaps")?;
    (0..count).map(|_| Ok((reader.key()?, read_gap(reader)?))).collect()
}

fn write_statistics(out: &mut Writer, s: &Statistics) {
    for count in [s.entries, s.files, s.folders, s.content_bytes, s.unchanged_files] {
        out.varint(count);
    }
    for count in [s.read_bytes, s.new_blobs, s.new_stored_bytes, s.gaps, s.inconsistent] {
        out.varint(count);
    }
}

fn read_statistics(reader: &mut Reader<'_>) -> Result<Statistics, FormatError> {
    Ok(Statistics {
        entries: reader.varint()?,
        files: reader.varint()?,
        folders: reader.varint()?,
        content_bytes: reader.varint()?,
        unchanged_files: reader.varint()?,
        read_bytes: reader.varint()?,
        new_blobs: reader.varint()?,
        new_stored_bytes: reader.varint()?,
        gaps: reader.varint()?,
        inconsistent: reader.varint()?,
    })
}
