//! The header of a shard file (`docs/format.md` 4): what lets a shard be checked without keys and without its neighbours.
//!
//! Bytes to a structure and back; strict, never does I/O.

use crate::layout::Layout;
use crate::object::{Class, ObjectId, ObjectName, ShardName};

/// Bytes of the header.
pub const HEADER_LEN: usize = 160;

const MAGIC: &[u8; 8] = b"KWSHARD\0";
const VERSION: u16 = 1;

/// A checked header. That the payload fits is another matter: [`ShardHeader::check_payload`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardHeader {
    /// The vault.
    pub vault: [u8; 16],
    /// The object.
    pub object: ObjectName,
    /// Which shard.
    pub index: u8,
    /// Of how many.
    pub layout: Layout,
    /// Length of the object in bytes.
    pub object_len: u64,
    /// BLAKE3 of the payload.
    pub payload_hash: [u8; 32],
}

/// What is wrong with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShardFault {
    /// There is no file although there should be one.
    #[error("missing")]
    Missing,
    /// The disk would not read it.
    #[error("can't be read")]
    Unreadable,
    /// The file is shorter or longer than its header says.
    #[error("has the wrong length")]
    Length,
    /// The header's checksum is wrong, or it is no shard.
    #[error("its header is damaged")]
    Header,
    /// The header is whole and says something else than the file's name, or something the format does not allow.
    #[error("its header does not fit: {0}")]
    Misfit(&'static str),
    /// Written by a later release.
    #[error("written by a newer release")]
    Newer,
    /// The payload's checksum is wrong.
    #[error("its content is damaged")]
    Payload,
    /// Its checksums are right, but it is no part of the object that its id names.
    #[error("its content belongs to no such object")]
    Object,
}

impl ShardHeader {
    /// Bytes of the payload.
    pub fn shard_len(&self) -> u64 {
        self.layout.shard_len(self.object_len)
    }

    /// The name of the file.
    pub fn name(&self) -> ShardName {
        ShardName { object: self.object.id, index: self.index, layout: self.layout }
    }

    /// The bytes of the header.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10..14].copy_from_slice(&[self.index, self.layout.k, self.layout.m, self.object.class as u8]);
        out[16..32].copy_from_slice(&self.vault);
        out[32..64].copy_from_slice(&self.object.id.0);
        out[64..72].copy_from_slice(&self.object_len.to_le_bytes());
        out[72..80].copy_from_slice(&self.shard_len().to_le_bytes());
        out[80..112].copy_from_slice(&self.payload_hash);
        let hash = blake3::hash(&out[..128]);
        out[128..].copy_from_slice(hash.as_bytes());
        out
    }

    /// Parses the first [`HEADER_LEN`] bytes of a shard file.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, ShardFault> {
        if !bytes.starts_with(MAGIC) || blake3::hash(&bytes[..128]) != *field::<32>(bytes, 128) {
            return Err(ShardFault::Header);
        }
        match u16::from_le_bytes(*field(bytes, 8)) {
            VERSION => {}
            0 => return Err(ShardFault::Misfit("version 0")),
            _ => return Err(ShardFault::Newer),
        }
        let [index, k, m, class] = *field::<4>(bytes, 10);
        let layout = Layout::new(k, m).filter(|l| index < l.width()).ok_or(ShardFault::Misfit("layout"))?;
        let class = Class::from_number(class).ok_or(ShardFault::Misfit("class"))?;
        if *field::<2>(bytes, 14) != [0; 2] || *field::<16>(bytes, 112) != [0; 16] {
            return Err(ShardFault::Misfit("reserved bytes"));
        }
        let header = Self {
            vault: *field(bytes, 16),
            object: ObjectName { class, id: ObjectId(*field(bytes, 32)) },
            index,
            layout,
            object_len: u64::from_le_bytes(*field(bytes, 64)),
            payload_hash: *field(bytes, 80),
        };
        if u64::from_le_bytes(*field(bytes, 72)) != header.shard_len() {
            return Err(ShardFault::Misfit("shard length"));
        }
        Ok(header)
    }

    /// Whether this is the header of the shard that the file's name and place promise.
    pub fn check_place(&self, vault: [u8; 16], class: Class, name: ShardName) -> Result<(), ShardFault> {
        match () {
            () if self.vault != vault => Err(ShardFault::Misfit("another vault")),
            () if self.object.class != class => Err(ShardFault::Misfit("another class")),
            () if self.name() != name => Err(ShardFault::Misfit("another shard")),
            () => Ok(()),
        }
    }

    /// Whether these bytes are the payload.
    pub fn check_payload(&self, payload: &[u8]) -> Result<(), ShardFault> {
        match () {
            () if payload.len() as u64 != self.shard_len() => Err(ShardFault::Length),
            () if blake3::hash(payload) != self.payload_hash => Err(ShardFault::Payload),
            () => Ok(()),
        }
    }
}

/// `N` bytes at a place that lies within the header.
fn field<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> &[u8; N] {
    bytes[at..].first_chunk().expect("every field lies within the header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> ShardHeader {
        ShardHeader {
            vault: [1; 16],
            object: ObjectName { class: Class::Pack, id: ObjectId([2; 32]) },
            index: 2,
            layout: Layout::new(2, 1).unwrap(),
            object_len: 1000,
            payload_hash: [3; 32],
        }
    }

    fn with_hash(mut bytes: [u8; HEADER_LEN]) -> [u8; HEADER_LEN] {
        let hash = blake3::hash(&bytes[..128]);
        bytes[128..].copy_from_slice(hash.as_bytes());
        bytes
    }

    #[test]
    fn round_trips_and_every_flipped_bit_is_noticed() {
        let good = header().encode();
        assert_eq!(ShardHeader::parse(&good), Ok(header()));
        for bit in 0..HEADER_LEN * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ShardHeader::parse(&bad), Err(ShardFault::Header), "bit {bit}");
        }
    }

    #[test]
    fn a_good_checksum_does_not_excuse_bad_fields() {
        let table: [(usize, u8, ShardFault); 8] = [
            (8, 2, ShardFault::Newer),
            (8, 0, ShardFault::Misfit("version 0")),
            (10, 3, ShardFault::Misfit("layout")),
            (11, 0, ShardFault::Misfit("layout")),
            (13, 9, ShardFault::Misfit("class")),
            (14, 1, ShardFault::Misfit("reserved bytes")),
            (71, 0xff, ShardFault::Misfit("shard length")),
            (127, 1, ShardFault::Misfit("reserved bytes")),
        ];
        for (at, value, fault) in table {
            let mut bytes = header().encode();
            bytes[at] = value;
            assert_eq!(ShardHeader::parse(&with_hash(bytes)), Err(fault), "byte {at}");
        }
    }
}
