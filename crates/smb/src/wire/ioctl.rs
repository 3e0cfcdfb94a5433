//! IOCTL (MS-SMB2 2.2.31, 2.2.32) and the control codes in use. Owns the layout of the envelope.

use bytes::Bytes;

use crate::SmbError;
use crate::connection::Request;
use crate::wire::Command;
use crate::wire::create::FileId;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::payload::{HEADER, payload};

/// MS-SMB2 2.2.31: previous versions.
pub(crate) const ENUMERATE_SNAPSHOTS: u32 = 0x0014_4064;
/// MS-FSCC 2.3.48: allocated ranges.
pub(crate) const QUERY_ALLOCATED_RANGES: u32 = 0x0009_40CF;
/// MS-FSCC 2.3.64: a file may have holes.
pub(crate) const SET_SPARSE: u32 = 0x0009_00C4;
/// MS-FSCC 2.3.30, 2.3.60: reparse data.
pub(crate) const GET_REPARSE_POINT: u32 = 0x0009_00A8;
pub(crate) const SET_REPARSE_POINT: u32 = 0x0009_00A4;

/// Sends `input` and takes at most `asked` bytes back.
pub(crate) fn encode(file: FileId, code: u32, input: &[u8], asked: u32) -> Request {
    const FIXED: usize = 56;
    const IS_FSCTL: u32 = 1;
    let mut writer = Writer::with_capacity(FIXED + input.len().max(1));
    let offset = (HEADER + FIXED) as u32;
    writer.u16(57).u16(0).u32(code).bytes(&file.0).u32(offset).u32(input.len() as u32).u32(0);
    writer.u32(offset).u32(0).u32(asked).u32(IS_FSCTL).u32(0).bytes(input);
    if input.is_empty() {
        writer.u8(0);
    }
    Request { command: Command::Ioctl, body: writer.finish(), payload: asked.max(input.len() as u32) }
}

/// What came back.
pub(crate) fn decode(body: &Bytes, asked: u32) -> Result<Bytes, SmbError> {
    const WHAT: &str = "IOCTL answer";
    let mut reader = Reader::new(body, WHAT);
    reader.structure(49)?;
    reader.skip(2 + 4 + 16 + 8)?;
    let (offset, length) = (reader.u32()? as usize, reader.u32()? as usize);
    reader.skip(8)?;
    payload(body, offset, length, asked, WHAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes() {
        let request = encode(FileId([9; 16]), SET_SPARSE, &[1], 0);
        assert_eq!(request.body.len(), 57);
        assert_eq!(request.body[..8], [57, 0, 0, 0, 0xC4, 0, 9, 0]);
        assert_eq!(request.body[24..32], [120, 0, 0, 0, 1, 0, 0, 0]);
        let mut writer = Writer::new();
        writer.u16(49).u16(0).u32(1).bytes(&[9; 16]).u32(112).u32(0).u32(112).u32(2).u32(0).u32(0).bytes(&[5, 6]);
        let body: Bytes = writer.finish().into();
        assert_eq!(decode(&body, 2).unwrap(), [5, 6][..]);
        assert!(decode(&body, 1).is_err());
        for cut in 0..body.len() {
            assert!(decode(&body.slice(..cut), 9).is_err(), "{cut}");
        }
    }
}
