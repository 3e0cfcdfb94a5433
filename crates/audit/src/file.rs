//! A file's header and the frame around each record (`docs/ledger.md` 3). Bytes in, values out; no I/O.

use crate::hash::{Hash, Head};
use crate::record::RECORD_MAX;

const MAGIC: &[u8; 8] = b"KWLEDGER";
const VERSION: u16 = 1;
/// Length of a header.
pub(crate) const HEADER_LEN: usize = 8 + 2 + 4 + 40 + 1 + 52 + 32;
/// What a frame adds to its record: length, its complement, hash.
pub(crate) const FRAME_EXTRA: usize = 4 + 4 + 32;
/// Longest frame.
pub(crate) const FRAME_MAX: usize = RECORD_MAX + FRAME_EXTRA;
/// A record without actor and fields.
const RECORD_MIN: usize = 1 + 8 + 32 + 12 + 16 + 2 + 2 + 1;
/// Disks write at least so much at once.
const SECTOR: usize = 512;
/// Fewer zeros than this may just be a record's.
const ZEROS_MIN: usize = 16;

/// A file that was found broken, as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Its number.
    pub(crate) file: u32,
    /// Where the first fault is.
    pub(crate) offset: u64,
    /// Its length.
    pub(crate) length: u64,
    /// BLAKE3 of all its bytes.
    pub(crate) digest: [u8; 32],
}

/// How a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The file's number, from 1.
    pub(crate) number: u32,
    /// The last record before it.
    pub(crate) previous: Head,
    /// Why it was begun, if the file before was broken.
    pub(crate) broken: Option<Broken>,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// A later version.
    Newer,
    /// Anything else.
    Damaged,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.number.to_le_bytes());
        out.extend(self.previous.seq.to_le_bytes());
        out.extend(self.previous.hash.0);
        out.push(self.broken.is_some().into());
        let broken = self.broken.unwrap_or(Broken { file: 0, offset: 0, length: 0, digest: [0; 32] });
        out.extend(broken.file.to_le_bytes());
        out.extend(broken.offset.to_le_bytes());
        out.extend(broken.length.to_le_bytes());
        out.extend(broken.digest);
        out.extend(Hash::of_header(&out).0);
        out
    }

    /// The hash that the first record of the file holds.
    pub(crate) fn hash(&self) -> Hash {
        Hash::of_header(&self.encode()[..HEADER_LEN - 32])
    }

    /// The header at the beginning of a file. All versions have its length and its hash at the end, so that a later one can be told from damage.
    pub(crate) fn decode(file: &[u8]) -> Result<Self, NoHeader> {
        let bytes = file.get(..HEADER_LEN).ok_or(NoHeader::Damaged)?;
        let (content, hash) = bytes.split_at(HEADER_LEN - 32);
        let fits = content.starts_with(MAGIC) && Hash::of_header(content).0 == hash;
        match u16::from_le_bytes([content[8], content[9]]) {
            VERSION if fits => Self::decode_content(bytes).ok_or(NoHeader::Damaged),
            later if fits && later > VERSION => Err(NoHeader::Newer),
            _ => Err(NoHeader::Damaged),
        }
    }

    fn decode_content(bytes: &[u8]) -> Option<Self> {
        let u32_at = |at: usize| bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b));
        let u64_at = |at: usize| bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b));
        let hash_at = |at: usize| bytes.get(at..)?.first_chunk().copied();
        let previous = Head { seq: u64_at(14)?, hash: Hash(hash_at(22)?) };
        let broken = Broken { file: u32_at(55)?, offset: u64_at(59)?, length: u64_at(67)?, digest: hash_at(75)? };
        let header = Self { number: u32_at(10)?, previous, broken: (bytes.get(54)? == &1).then_some(broken) };
        // One value has one encoding; its hash is a part of it.
        (header.encode() == bytes).then_some(header)
    }
}

/// A record with its frame.
pub(crate) fn frame(record: &[u8]) -> Vec<u8> {
    let length = record.len() as u32;
    let mut out = Vec::with_capacity(record.len() + FRAME_EXTRA);
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(record);
    out.extend(Hash::of_record(record).0);
    out
}

/// What is at a place where a frame should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framed<'a> {
    /// A record whose hash fits.
    Whole { record: &'a [u8], hash: Hash },
    /// The lengths are right, the hash is not.
    Changed { length: usize },
    /// The file ends before the frame does.
    Cut,
    /// No frame.
    None,
}

/// Reads the frame at the beginning of `bytes`, which are not empty.
pub(crate) fn framed(bytes: &[u8]) -> Framed<'_> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Framed::Cut };
    let Some((complement, rest)) = rest.split_first_chunk() else { return Framed::Cut };
    let length = u32::from_le_bytes(*length);
    if u32::from_le_bytes(*complement) != !length || !(RECORD_MIN..=RECORD_MAX).contains(&(length as usize)) {
        return Framed::None;
    }
    let Some((record, rest)) = rest.split_at_checked(length as usize) else { return Framed::Cut };
    let Some((stored, _)) = rest.split_first_chunk() else { return Framed::Cut };
    let hash = Hash::of_record(record);
    if hash.0 == *stored { Framed::Whole { record, hash } } else { Framed::Changed { length: length as usize + FRAME_EXTRA } }
}

/// Whether one write that the power cut may have left this at the end of a file: a sector of it was never written. `at` is its place in the file.
pub(crate) fn lacks_a_sector(at: usize, tail: &[u8]) -> bool {
    let first = (SECTOR - at % SECTOR).min(tail.len());
    let (first, rest) = tail.split_at(first);
    let unwritten = |sector: &[u8]| sector.len() >= ZEROS_MIN && sector.iter().all(|b| *b == 0);
    tail.len() <= FRAME_MAX && (unwritten(first) || rest.chunks(SECTOR).any(unwritten))
}
