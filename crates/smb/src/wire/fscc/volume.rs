//! What a file system is: FileFsVolumeInformation, FileFsAttributeInformation, FileFsFullSizeInformation (MS-FSCC 2.5.9, 2.5.1, 2.5.4).

use crate::wire::cursor::Reader;
use crate::wire::payload::units;
use crate::{FileTime, SmbError};

/// When the volume was made, its serial number, its label.
pub(crate) fn decode_fs_volume(buffer: &[u8]) -> Result<(FileTime, u32, Vec<u16>), SmbError> {
    const WHAT: &str = "FileFsVolumeInformation";
    let mut reader = Reader::new(buffer, WHAT);
    let (created, serial) = (FileTime(reader.u64()?), reader.u32()?);
    let length = reader.u32()? as usize;
    reader.skip(2)?;
    Ok((created, serial, units(reader.bytes(length)?, WHAT)?))
}

/// What it can do, and its name.
pub(crate) fn decode_fs_attribute(buffer: &[u8]) -> Result<(u32, Vec<u16>), SmbError> {
    const WHAT: &str = "FileFsAttributeInformation";
    let mut reader = Reader::new(buffer, WHAT);
    let attributes = reader.u32()?;
    reader.skip(4)?;
    let length = reader.u32()? as usize;
    Ok((attributes, units(reader.bytes(length)?, WHAT)?))
}

/// Bytes in all and bytes free for this user; more than can be counted is as much as can be counted.
pub(crate) fn decode_fs_full_size(buffer: &[u8]) -> Result<(u64, u64), SmbError> {
    let mut reader = Reader::new(buffer, "FileFsFullSizeInformation");
    let (total, free) = (reader.u64()?, reader.u64()?);
    reader.skip(8)?;
    let unit = u64::from(reader.u32()?).saturating_mul(u64::from(reader.u32()?));
    Ok((total.saturating_mul(unit), free.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::Writer;

    #[test]
    fn volumes() {
        let mut writer = Writer::new();
        writer.u64(5).u32(6).u32(4).u8(0).u8(0).units("ab".encode_utf16());
        let bytes = writer.finish();
        assert_eq!(decode_fs_volume(&bytes).unwrap(), (FileTime(5), 6, "ab".encode_utf16().collect()));
        assert!((0..bytes.len()).all(|cut| decode_fs_volume(&bytes[..cut]).is_err()));
        let mut writer = Writer::new();
        writer.u32(7).u32(255).u32(8).units("NTFS".encode_utf16());
        let bytes = writer.finish();
        assert_eq!(decode_fs_attribute(&bytes).unwrap(), (7, "NTFS".encode_utf16().collect()));
        assert!((0..bytes.len()).all(|cut| decode_fs_attribute(&bytes[..cut]).is_err()));
        let mut writer = Writer::new();
        writer.u64(1000).u64(10).u64(u64::MAX).u32(8).u32(512);
        assert_eq!(decode_fs_full_size(&writer.finish()).unwrap(), (4_096_000, 40_960));
    }
}
