//! READ and WRITE (MS-SMB2 2.2.19 to 2.2.22). Owns their layouts; what was read is never copied.

use bytes::Bytes;

use crate::SmbError;
use crate::connection::Request;
use crate::wire::Command;
use crate::wire::create::FileId;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::payload::{HEADER, payload};

/// Reads `length` bytes at most.
pub(crate) fn encode_read(file: FileId, at: u64, length: u32) -> Request {
    let mut writer = Writer::with_capacity(56);
    // Where the data is placed in the answer: right after its fixed part, on a multiple of 8.
    writer.u16(49).u8((HEADER + 16) as u8).u8(0).u32(length).u64(at).bytes(&file.0);
    writer.u32(0).u32(0).u32(0).u16(0).u16(0).u8(0);
    Request { command: Command::Read, body: writer.finish(), payload: length }
}

/// What was read, at most `asked` bytes.
pub(crate) fn decode_read(body: &Bytes, asked: u32) -> Result<Bytes, SmbError> {
    const WHAT: &str = "READ answer";
    let mut reader = Reader::new(body, WHAT);
    reader.structure(17)?;
    let offset = usize::from(reader.u8()?);
    reader.skip(1)?;
    let length = reader.u32()? as usize;
    reader.skip(8)?;
    payload(body, offset, length, asked, WHAT)
}

/// Writes bytes.
pub(crate) fn encode_write(file: FileId, at: u64, bytes: &[u8]) -> Request {
    const FIXED: usize = 48;
    let mut writer = Writer::with_capacity(FIXED + bytes.len().max(1));
    writer.u16(49).u16((HEADER + FIXED) as u16).u32(bytes.len() as u32).u64(at).bytes(&file.0);
    writer.u32(0).u32(0).u16(0).u16(0).u32(0).bytes(bytes);
    if bytes.is_empty() {
        writer.u8(0);
    }
    Request { command: Command::Write, body: writer.finish(), payload: bytes.len() as u32 }
}

/// How many of `sent` bytes were written.
pub(crate) fn decode_write(body: &Bytes, sent: u32) -> Result<u32, SmbError> {
    let mut reader = Reader::new(body, "WRITE answer");
    reader.structure(17)?;
    reader.skip(2)?;
    let written = reader.u32()?;
    reader.skip(8)?;
    if written > sent { Err(reader.malformed()) } else { Ok(written) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_was_asked_for() {
        let mut writer = Writer::new();
        writer.u16(17).u8(80).u8(0).u32(4).u64(0).bytes(b"data");
        let body: Bytes = writer.finish().into();
        assert_eq!(decode_read(&body, 4).unwrap(), "data");
        assert!(decode_read(&body, 3).is_err());
        for cut in 0..body.len() {
            assert!(decode_read(&body.slice(..cut), 9).is_err(), "{cut}");
        }
        assert_eq!(decode_write(&body, 4).unwrap(), 4);
        assert!(decode_write(&body, 3).is_err());
    }

    #[test]
    fn requests_are_laid_out_as_specified() {
        let read = encode_read(FileId([9; 16]), 0x1_0000_0002, 5);
        assert_eq!(read.body.len(), 49);
        assert_eq!(read.body[..16], [49, 0, 80, 0, 5, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
        let write = encode_write(FileId([9; 16]), 3, b"xy");
        assert_eq!(write.body[..16], [49, 0, 112, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(write.body[48..], *b"xy");
    }
}
