//! Packs: header, directory and trailer in the clear (`docs/format.md` 7). Sealing them is for `keepwell-crypt`.

use crate::blob::{BlobKind, Compression, FrameInfo, MAX_BLOB, WHOLE};
use crate::codec::{Reader, Writer};
use crate::{BlobId, Epoch, FormatError, PackSeq, VaultId};

/// Longest pack, in bytes.
pub const MAX_PACK: u64 = 64 << 20;
/// Length of the sealed trailer, in bytes.
pub const TRAILER_SEALED_LEN: usize = Trailer::LEN + SEAL_LEN as usize;

/// What sealing adds to a plaintext, in bytes.
const SEAL_LEN: u32 = 48;
const MAGIC: &[u8; 8] = b"KWPACK\0\0";
const DIRECTORY: &str = "pack directory";
const DIRECTORY_VERSION: u8 = 1;
const FLAG_KEEP_MAP: u8 = 1;
const FLAG_MEMBERS: u8 = 2;
/// Shortest entry: id, kind, compression, three varints, flags.
const LEAST_ENTRY: usize = 38;
/// Shortest member: id and two varints.
const LEAST_MEMBER: usize = 34;

/// Which kinds of blobs a pack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PackContent {
    /// Content of files.
    Data = 1,
    /// Catalog and extent pages.
    Metadata = 2,
}

impl PackContent {
    /// The packs for blobs of this kind.
    pub const fn of(kind: BlobKind) -> Self {
        match kind {
            BlobKind::Page | BlobKind::Extents => Self::Metadata,
            BlobKind::Data | BlobKind::Bundle | BlobKind::Signatures => Self::Data,
        }
    }
}

/// The first bytes of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackHeader {
    /// What it holds.
    pub content: PackContent,
    /// Epoch of directory and trailer.
    pub epoch: Epoch,
    /// The vault.
    pub vault: VaultId,
    /// Its number, below 2^63.
    pub seq: PackSeq,
}

impl PackHeader {
    /// Length in bytes; the first frame lies here.
    pub const LEN: usize = 64;

    /// The header's bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = Writer::with_capacity(Self::LEN);
        out.magic(MAGIC).u8(self.content as u8).u8(0).epoch(self.epoch).raw(&self.vault.0).u64(self.seq.0).zeros(24);
        out.as_bytes().try_into().expect("the fields above are 64 bytes")
    }

    /// Parses exactly [`Self::LEN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("pack", bytes);
        reader.magic(MAGIC)?;
        let content = match reader.u8()? {
            1 => PackContent::Data,
            2 => PackContent::Metadata,
            _ => return Err(reader.invalid("unknown content")),
        };
        reader.zeros(1)?;
        let (epoch, vault, seq) = (reader.epoch()?, reader.vault()?, PackSeq(reader.u64()?));
        reader.check(seq.0 < 1 << 63, "the pack's number is out of bounds")?;
        reader.zeros(24)?;
        reader.finish()?;
        Ok(Self { content, epoch, vault, seq })
    }
}

/// A small file in a bundle (reserved).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id that its content would have as a `data` blob.
    pub content: BlobId,
    /// Where in the bundle's plaintext.
    pub offset: u32,
    /// Bytes, > 0.
    pub length: u32,
}

/// One frame of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// What it is.
    pub frame: FrameInfo,
    /// Bytes of the sealed frame.
    pub stored_len: u32,
    /// What lies in it, if it is a bundle.
    pub members: Vec<Member>,
}

/// What lies in a pack, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Frames, the first at offset [`PackHeader::LEN`].
    pub entries: Vec<DirectoryEntry>,
}

impl Directory {
    /// The directory's bytes, with `padding` zeros.
    pub fn encode(&self, padding: usize) -> Vec<u8> {
        let mut out = Writer::with_capacity(6 + self.entries.len() * 48 + padding);
        out.u8(DIRECTORY_VERSION).count(self.entries.len());
        self.entries.iter().for_each(|entry| write_entry(&mut out, entry));
        out.zeros(padding);
        out.into_bytes()
    }

    /// Parses a directory and the zeros after it.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(DIRECTORY, bytes);
        match reader.u8()? {
            DIRECTORY_VERSION => {}
            0 => return Err(reader.invalid("version 0")),
            found => return Err(FormatError::Newer { what: DIRECTORY, found: found.into(), known: DIRECTORY_VERSION.into() }),
        }
        let count = reader.count(LEAST_ENTRY)?;
        let mut entries = Vec::with_capacity(count);
        let mut end = PackHeader::LEN as u64;
        for _ in 0..count {
            let entry = read_entry(&mut reader)?;
            end += u64::from(entry.stored_len);
            reader.check(end <= MAX_PACK, "the frames are longer than a pack")?;
            entries.push(entry);
        }
        let rest = reader.remaining();
        reader.zeros(rest)?;
        Ok(Self { entries })
    }

    /// Each frame with its offset in the pack.
    pub fn positions(&self) -> impl Iterator<Item = (u64, &DirectoryEntry)> {
        self.entries.iter().scan(PackHeader::LEN as u64, |end, entry| {
            let offset = *end;
            *end += u64::from(entry.stored_len);
            Some((offset, entry))
        })
    }

    /// Where the directory lies: right after the last frame.
    pub fn offset(&self) -> u64 {
        self.entries.iter().fold(PackHeader::LEN as u64, |end, entry| end + u64::from(entry.stored_len))
    }
}

/// Where the directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Of the sealed directory, in the pack.
    pub offset: u64,
    /// Of the sealed directory, in bytes.
    pub length: u32,
}

impl Trailer {
    /// Length in bytes, before sealing.
    pub const LEN: usize = 12;

    /// The trailer's bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..8].copy_from_slice(&self.offset.to_le_bytes());
        out[8..].copy_from_slice(&self.length.to_le_bytes());
        out
    }

    /// Parses exactly [`Self::LEN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("pack trailer", bytes);
        let (offset, length) = (reader.u64()?, reader.u32()?);
        let last = MAX_PACK - TRAILER_SEALED_LEN as u64;
        reader.check(offset >= PackHeader::LEN as u64 && offset <= last, "offset out of bounds")?;
        reader.check(length > SEAL_LEN && u64::from(length) <= last - offset, "length out of bounds")?;
        reader.finish()?;
        Ok(Self { offset, length })
    }
}

/// Zeros to add to the directory of a pack that is `unpadded` bytes long.
pub fn padding_for(unpadded: u64) -> u64 {
    let log = unpadded.max(1).ilog2();
    let unit = 1 << log.saturating_sub(4).clamp(12, 20);
    unpadded.next_multiple_of(unit) - unpadded
}

fn write_entry(out: &mut Writer, entry: &DirectoryEntry) {
    let frame = &entry.frame;
    out.raw(&frame.blob.0).u8(frame.kind as u8).u8(frame.compression as u8).varint(frame.epoch.0.into());
    out.varint(entry.stored_len.into()).varint(frame.plain_len.into());
    let keep_map = if frame.keep_map == WHOLE { 0 } else { FLAG_KEEP_MAP };
    let members = if entry.members.is_empty() { 0 } else { FLAG_MEMBERS };
    out.u8(keep_map | members);
    if keep_map != 0 {
        out.u64(frame.keep_map);
    }
    if members != 0 {
        out.count(entry.members.len());
        for member in &entry.members {
            out.raw(&member.content.0).varint(member.offset.into()).varint(member.length.into());
        }
    }
}

fn read_entry(reader: &mut Reader<'_>) -> Result<DirectoryEntry, FormatError> {
    let blob = reader.blob()?;
    let (kind, compression) = (BlobKind::try_from(reader.u8()?)?, Compression::try_from(reader.u8()?)?);
    let epoch = Epoch(reader.varint32()?);
    reader.check(epoch.0 != 0, "epoch 0")?;
    let (stored_len, plain_len) = (reader.varint32()?, reader.varint32()?);
    // zstd makes what it can't compress a little longer: 3 bytes a block of 128 KiB and its own header.
    reader.check(stored_len > SEAL_LEN && stored_len as usize <= MAX_BLOB + (MAX_BLOB >> 8), "stored length out of bounds")?;
    let flags = reader.u8()?;
    reader.check(flags & !(FLAG_KEEP_MAP | FLAG_MEMBERS) == 0, "unknown flag")?;
    let keep_map = if flags & FLAG_KEEP_MAP != 0 { reader.u64()? } else { WHOLE };
    reader.check(flags & FLAG_KEEP_MAP == 0 || keep_map != WHOLE, "a keep map says that the blob is whole")?;
    let frame = FrameInfo { blob, kind, compression, epoch, plain_len, keep_map };
    frame.check()?;
    let members = if flags & FLAG_MEMBERS != 0 { read_members(reader, &frame)? } else { Vec::new() };
    Ok(DirectoryEntry { frame, stored_len, members })
}

fn read_members(reader: &mut Reader<'_>, frame: &FrameInfo) -> Result<Vec<Member>, FormatError> {
    reader.check(frame.kind == BlobKind::Bundle, "members of a blob that is no bundle")?;
    let count = reader.count(LEAST_MEMBER)?;
    reader.check(count > 0, "a member list is empty")?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        let member = Member { content: reader.blob()?, offset: reader.varint32()?, length: reader.varint32()? };
        let end = u64::from(member.offset) + u64::from(member.length);
        reader.check(member.length > 0 && end <= frame.plain_len.into(), "a member lies outside its bundle")?;
        members.push(member);
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_are_padded_to_a_sixteenth() {
        for (unpadded, padded) in [(1, 4096), (4096, 4096), (4097, 8192), (65_537, 69_632), (1 << 20, 1 << 20), ((1 << 20) + 1, 1_114_112)]
        {
            assert_eq!(unpadded + padding_for(unpadded), padded, "{unpadded}");
        }
        assert_eq!(padding_for(MAX_PACK - 1), 1);
        assert_eq!(padding_for(0), 0);
    }

    #[test]
    fn trailers_point_into_the_pack() {
        let good = Trailer { offset: 64, length: 50 };
        assert_eq!(Trailer::decode(&good.encode()), Ok(good));
        for (offset, length) in [(63, 50), (64, 48), (u64::MAX, 50), (MAX_PACK - 100, 50), (64, u32::MAX)] {
            assert!(Trailer::decode(&Trailer { offset, length }.encode()).is_err(), "{offset} {length}");
        }
    }
}
