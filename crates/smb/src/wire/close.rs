//! CLOSE and FLUSH (MS-SMB2 2.2.15 to 2.2.18). Owns their layouts.

use bytes::Bytes;

use crate::connection::Request;
use crate::wire::Command;
use crate::wire::create::FileId;
use crate::wire::cursor::{Reader, Writer};
use crate::{CloseInfo, FileTime, SmbError};

/// Closes; with `attributes` the server says what the file was like at that moment.
pub(crate) fn encode(file: FileId, attributes: bool) -> Request {
    let mut writer = Writer::with_capacity(24);
    writer.u16(24).u16(u16::from(attributes)).u32(0).bytes(&file.0);
    Request { command: Command::Close, body: writer.finish(), payload: 60 }
}

/// None if the server did not give the attributes.
pub(crate) fn decode(body: &Bytes) -> Result<Option<CloseInfo>, SmbError> {
    let mut reader = Reader::new(body, "CLOSE answer");
    reader.structure(60)?;
    let given = reader.u16()? & 1 != 0;
    reader.skip(4 + 16)?;
    let info = CloseInfo {
        written: FileTime(reader.u64()?),
        changed: FileTime(reader.u64()?),
        size: {
            reader.skip(8)?;
            reader.u64()?
        },
        attributes: reader.u32()?,
    };
    Ok(given.then_some(info))
}

/// Asks the server to put the file on its disk.
pub(crate) fn encode_flush(file: FileId) -> Request {
    let mut writer = Writer::with_capacity(24);
    writer.u16(24).u16(0).u32(0).bytes(&file.0);
    Request { command: Command::Flush, body: writer.finish(), payload: 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_if_they_were_given() {
        let mut writer = Writer::new();
        writer.u16(60).u16(1).u32(0).u64(1).u64(2).u64(3).u64(4).u64(5).u64(6).u32(0x20);
        let mut bytes = writer.finish();
        let info = CloseInfo { written: FileTime(3), changed: FileTime(4), size: 6, attributes: 0x20 };
        assert_eq!(decode(&bytes.clone().into()).unwrap(), Some(info));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut].to_vec().into()).is_err(), "{cut}");
        }
        bytes[2] = 0;
        assert_eq!(decode(&bytes.into()).unwrap(), None);
        assert_eq!(encode(FileId([1; 16]), true).body, [&[24, 0, 1, 0, 0, 0, 0, 0][..], &[1; 16]].concat());
    }
}
