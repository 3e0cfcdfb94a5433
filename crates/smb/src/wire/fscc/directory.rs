//! Entries of a folder: FileIdBothDirectoryInformation (MS-FSCC 2.4.17). Owns which names get through: such as can be no entry of the
//! folder are counted and dropped.

use crate::wire::cursor::Reader;
use crate::wire::fscc::Entries;
use crate::wire::payload::units;
use crate::{BadName, DirEntry, FileInfo, FileTime, SmbError, attribute, name};

const WHAT: &str = "folder listing";
/// All but the name.
const FIXED: usize = 104;

/// One answer to a listing.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// Without `.` and `..`.
    pub(crate) entries: Vec<DirEntry>,
    /// Names that can be no entry's.
    pub(crate) refused: u64,
}

impl Directory {
    pub(crate) fn decode(buffer: &[u8]) -> Result<Self, SmbError> {
        // An entry takes 112 bytes or more.
        let mut directory = Self { entries: Vec::with_capacity(buffer.len() / 128), refused: 0 };
        for bytes in Entries::new(buffer, FIXED, WHAT) {
            let entry = decode_entry(bytes?)?;
            match name::check_name(&entry.name) {
                Ok(()) => directory.entries.push(entry),
                Err(BadName::Relative) => {}
                Err(_) => directory.refused += 1,
            }
        }
        Ok(directory)
    }
}

fn decode_entry(bytes: &[u8]) -> Result<DirEntry, SmbError> {
    let mut reader = Reader::new(bytes, WHAT);
    reader.skip(8)?;
    let created = FileTime(reader.u64()?);
    reader.skip(8)?;
    let (written, changed) = (FileTime(reader.u64()?), FileTime(reader.u64()?));
    let (size, allocated) = (reader.u64()?, reader.u64()?);
    let attributes = reader.u32()?;
    let name_length = reader.u32()? as usize;
    // The same field is the tag of a reparse point and the size of the attributes of anything else.
    let tag_or_size = reader.u32()?;
    let is_reparse = attributes & attribute::REPARSE_POINT != 0;
    reader.skip(1 + 1 + 24 + 2)?;
    let file_id = reader.u64()?;
    let name = units(reader.bytes(name_length)?, WHAT)?;
    let is_directory = attributes & attribute::DIRECTORY != 0;
    let (reparse_tag, ea_size) = if is_reparse { (tag_or_size, 0) } else { (0, tag_or_size) };
    let info = FileInfo { created, written, changed, size, allocated, attributes, links: 0, file_id, ea_size, is_directory };
    Ok(DirEntry { name, info, reparse_tag })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::Writer;

    fn entry(writer: &mut Writer, name: &str, attributes: u32, last: bool) {
        let length = name.encode_utf16().count() * 2;
        let next = if last { 0 } else { (FIXED + length).next_multiple_of(8) as u32 };
        writer.u32(next).u32(0).u64(1).u64(2).u64(3).u64(4).u64(5).u64(8).u32(attributes).u32(length as u32).u32(0xA000_000C);
        writer.u16(0).bytes(&[0; 24]).u16(0).u64(77).units(name.encode_utf16());
        if !last {
            writer.pad_to(8);
        }
    }

    fn listing(names: &[&str]) -> Vec<u8> {
        let mut writer = Writer::new();
        for (n, name) in names.iter().enumerate() {
            entry(&mut writer, name, if n == 0 { 0x420 } else { 0x20 }, n + 1 == names.len());
        }
        writer.finish()
    }

    #[test]
    fn entries_are_read() {
        let read = Directory::decode(&listing(&["link", "b"])).unwrap();
        let [link, b] = &read.entries[..] else { panic!("{read:?}") };
        assert_eq!((link.reparse_tag, link.info.ea_size, b.reparse_tag, b.info.ea_size), (0xA000_000C, 0, 0, 0xA000_000C));
        let info = b.info;
        assert_eq!((info.created, info.written, info.changed, info.size, info.allocated), (FileTime(1), FileTime(3), FileTime(4), 5, 8));
        assert_eq!((info.file_id, info.attributes, name::wtf8(&b.name)), (77, 0x20, b"b".to_vec()));
    }

    #[test]
    fn names_that_lead_elsewhere_do_not_get_through() {
        let read = Directory::decode(&listing(&[".", "..", "ok", "..\\x", "a/b", "\\", "n\0", "s:x", "", "..."])).unwrap();
        assert_eq!(read.entries.iter().map(|entry| name::wtf8(&entry.name)).collect::<Vec<_>>(), [&b"ok"[..], b"..."]);
        assert_eq!(read.refused, 6);
    }

    #[test]
    fn damaged_listings_are_refused() {
        let good = listing(&["first", "second"]);
        for cut in 1..good.len() {
            assert!(Directory::decode(&good[..cut]).is_err(), "{cut}");
        }
        for length in [3_u32, 13, u32::MAX] {
            let mut bad = listing(&["name"]);
            bad[60..64].copy_from_slice(&length.to_le_bytes());
            assert!(Directory::decode(&bad).is_err(), "{length}");
        }
    }
}
