//! Blobs and the facts that a frame is bound to (`docs/format.md` 6).

use crate::{BlobId, Epoch, FormatError, VaultId};

/// Longest plaintext of a blob, in bytes.
pub const MAX_BLOB: usize = 16 << 20;
/// The keep map of a blob that is whole.
pub const WHOLE: u64 = u64::MAX;

const WHAT: &str = "frame";
const MIN_GRANULE: u32 = 4096;

/// What a blob holds; ids of different kinds never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BlobKind {
    /// Content of files.
    Data = 1,
    /// A catalog page.
    Page = 2,
    /// A page of an extent tree.
    Extents = 3,
    /// Small files one after the other (reserved).
    Bundle = 4,
    /// Page signatures of a large file (reserved).
    Signatures = 5,
}

impl BlobKind {
    /// The name in the derivation of ids.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Page => "page",
            Self::Extents => "extents",
            Self::Bundle => "bundle",
            Self::Signatures => "signatures",
        }
    }
}

impl TryFrom<u8> for BlobKind {
    type Error = FormatError;

    fn try_from(byte: u8) -> Result<Self, FormatError> {
        [Self::Data, Self::Page, Self::Extents, Self::Bundle, Self::Signatures]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or(FormatError::Invalid { what: WHAT, why: "unknown blob kind" })
    }
}

/// How a frame's plaintext is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Compression {
    /// As it is.
    Raw = 0,
    /// One zstd frame (RFC 8878).
    Zstd = 1,
    /// One zstd frame with the catalog dictionary (reserved).
    ZstdDictionary = 2,
    /// One zstd frame of the parts of 16-bit samples, then where the first sample begins ([`crate::samples`]).
    Samples = 3,
}

impl TryFrom<u8> for Compression {
    type Error = FormatError;

    fn try_from(byte: u8) -> Result<Self, FormatError> {
        [Self::Raw, Self::Zstd, Self::ZstdDictionary, Self::Samples]
            .into_iter()
            .find(|compression| *compression as u8 == byte)
            .ok_or(FormatError::Invalid { what: WHAT, why: "unknown compression" })
    }
}

/// What must be known of a frame to open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameInfo {
    /// The blob.
    pub blob: BlobId,
    /// What it holds.
    pub kind: BlobKind,
    /// How it is stored.
    pub compression: Compression,
    /// Whose epoch key sealed it.
    pub epoch: Epoch,
    /// Bytes of the whole plaintext.
    pub plain_len: u32,
    /// Which granules are there; [`WHOLE`] for all.
    pub keep_map: u64,
}

impl FrameInfo {
    /// The additional data that the frame is sealed with.
    pub fn aad(&self, vault: VaultId) -> [u8; 66] {
        let mut aad = [0; 66];
        aad[..16].copy_from_slice(&vault.0);
        aad[16..20].copy_from_slice(&self.epoch.0.to_le_bytes());
        aad[20..52].copy_from_slice(&self.blob.0);
        aad[52] = self.kind as u8;
        aad[53] = self.compression as u8;
        aad[54..58].copy_from_slice(&self.plain_len.to_le_bytes());
        aad[58..].copy_from_slice(&self.keep_map.to_le_bytes());
        aad
    }

    /// Bytes of a granule of the keep map.
    pub fn granule(&self) -> u32 {
        self.plain_len.div_ceil(64).next_power_of_two().max(MIN_GRANULE)
    }

    /// Checks the bounds that every frame keeps.
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        let invalid = |why| Err(FormatError::Invalid { what: WHAT, why });
        if self.plain_len == 0 || self.plain_len as usize > MAX_BLOB {
            return invalid("plain length out of bounds");
        }
        if self.keep_map != WHOLE {
            let all = u64::MAX >> (64 - self.plain_len.div_ceil(self.granule()));
            if self.keep_map == 0 || self.keep_map & !all != 0 || self.keep_map == all {
                return invalid("the keep map does not fit the length");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(plain_len: u32, keep_map: u64) -> FrameInfo {
        let (kind, compression) = (BlobKind::Data, Compression::Raw);
        FrameInfo { blob: BlobId([7; 32]), kind, compression, epoch: Epoch(1), plain_len, keep_map }
    }

    #[test]
    fn keep_maps_name_some_granules_but_not_all() {
        for good in [(1, WHOLE), (16 << 20, WHOLE), (8192, 0b10), (16 << 20, WHOLE >> 1), (8193, 0b110)] {
            assert_eq!(frame(good.0, good.1).check(), Ok(()), "{good:x?}");
        }
        for bad in [(0, WHOLE), ((16 << 20) + 1, WHOLE), (8192, 0), (8192, 0b11), (8192, 0b100), (1, 1)] {
            assert!(frame(bad.0, bad.1).check().is_err(), "{bad:x?}");
        }
        assert_eq!(frame(16 << 20, WHOLE).granule(), 256 << 10);
        assert_eq!(frame(1, WHOLE).granule(), 4096);
    }
}
