//! What a file is: FileAllInformation (MS-FSCC 2.4.2) and its streams, FileStreamInformation (2.4.49).

use crate::wire::cursor::Reader;
use crate::wire::fscc::Entries;
use crate::wire::payload::units;
use crate::{FileInfo, FileTime, SmbError, StreamInfo};

/// The name at its end is not read, so it may be cut.
pub(crate) fn decode_all(buffer: &[u8]) -> Result<FileInfo, SmbError> {
    let mut reader = Reader::new(buffer, "FileAllInformation");
    let created = FileTime(reader.u64()?);
    reader.skip(8)?;
    let (written, changed) = (FileTime(reader.u64()?), FileTime(reader.u64()?));
    let attributes = reader.u32()?;
    reader.skip(4)?;
    let (allocated, size) = (reader.u64()?, reader.u64()?);
    let links = reader.u32()?;
    reader.skip(1)?;
    let is_directory = reader.u8()? != 0;
    reader.skip(2)?;
    let file_id = reader.u64()?;
    let ea_size = reader.u32()?;
    Ok(FileInfo { created, written, changed, size, allocated, attributes, links, file_id, ea_size, is_directory })
}

/// Streams of data but for the main one. Their names are the server's word: those that can't be opened are there, too.
pub(crate) fn decode_streams(buffer: &[u8]) -> Result<Vec<StreamInfo>, SmbError> {
    const WHAT: &str = "FileStreamInformation";
    const COLON: u16 = b':' as u16;
    let data: Vec<u16> = ":$DATA".encode_utf16().collect();
    let mut streams = Vec::new();
    for bytes in Entries::new(buffer, 24, WHAT) {
        let mut reader = Reader::new(bytes?, WHAT);
        reader.skip(4)?;
        let length = reader.u32()? as usize;
        let size = reader.u64()?;
        reader.skip(8)?;
        let name = units(reader.bytes(length)?, WHAT)?;
        let name = name.strip_prefix(&[COLON]).and_then(|name| name.strip_suffix(&data[..]));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            streams.push(StreamInfo { name: name.to_vec(), size });
        }
    }
    Ok(streams)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::Writer;

    #[test]
    fn all_but_the_name() {
        let mut writer = Writer::new();
        writer.u64(1).u64(2).u64(3).u64(4).u32(0x20).u32(0).u64(8).u64(5).u32(2).u8(0).u8(1).u16(0).u64(77).u32(9);
        let bytes = writer.finish();
        let info = decode_all(&bytes).unwrap();
        assert_eq!((info.created, info.written, info.changed), (FileTime(1), FileTime(3), FileTime(4)));
        assert_eq!((info.size, info.allocated, info.links, info.file_id, info.ea_size), (5, 8, 2, 77, 9));
        assert!(info.is_directory && info.attributes == 0x20);
        for cut in 0..bytes.len() {
            assert!(decode_all(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn streams_without_the_main_one() {
        let mut writer = Writer::new();
        for (name, last) in
            [("::$DATA", false), (":x:$INDEX_ALLOCATION", false), (":Zone.Identifier:$DATA", false), ("odd", false), (":a\\b:$DATA", true)]
        {
            let length = name.len() * 2;
            writer.u32(if last { 0 } else { (24 + length).next_multiple_of(8) as u32 }).u32(length as u32).u64(6).u64(8);
            writer.units(name.encode_utf16());
            if !last {
                writer.pad_to(8);
            }
        }
        let bytes = writer.finish();
        let names: Vec<_> = decode_streams(&bytes).unwrap().into_iter().map(|stream| (crate::wtf8(&stream.name), stream.size)).collect();
        assert_eq!(names, [(b"Zone.Identifier".to_vec(), 6), (b"a\\b".to_vec(), 6)]);
        assert!(decode_streams(&[]).unwrap().is_empty());
        for cut in 1..bytes.len() {
            assert!(decode_streams(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
