//! Record marking on streams (RFC 5531 section 11). Caps fragments and records before it allocates.

use std::io::{self, Read};

use bytes::Bytes;

/// Longest record taken: a READ of 1 MiB, and a listing of as much, with room for headers.
pub(crate) const MAX_RECORD: usize = (1 << 20) + (64 << 10);

/// Fragments that a record may have.
const MAX_FRAGMENTS: usize = 1024;

const LAST: u32 = 1 << 31;

/// The next record. None at the end of the stream, if it ends between records.
pub(crate) fn read(stream: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut record = Vec::new();
    for number in 0..MAX_FRAGMENTS {
        let mut mark = [0; 4];
        if number == 0 {
            match stream.read(&mut mark)? {
                0 => return Ok(None),
                some => stream.read_exact(&mut mark[some..])?,
            }
        } else {
            stream.read_exact(&mut mark)?;
        }
        let mark = u32::from_be_bytes(mark);
        let (start, length) = (record.len(), (mark & !LAST) as usize);
        if length > MAX_RECORD - start {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message longer than any answer can be"));
        }
        record.resize(start + length, 0);
        stream.read_exact(&mut record[start..])?;
        if mark & LAST != 0 {
            return Ok(Some(record.into()));
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a message in too many pieces"))
}

/// The mark of a record that is one fragment of `length` bytes.
pub(crate) fn mark(length: usize) -> [u8; 4] {
    (LAST | u32::try_from(length).unwrap_or(LAST - 1)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_joined() {
        let bytes = [&[0, 0, 0, 2][..], b"ab", &[0, 0, 0, 0], &[0x80, 0, 0, 1], b"c", &mark(1), b"d"].concat();
        let mut stream = bytes.as_slice();
        assert_eq!(read(&mut stream).unwrap().unwrap(), b"abc"[..]);
        assert_eq!(read(&mut stream).unwrap().unwrap(), b"d"[..]);
        assert_eq!(read(&mut stream).unwrap(), None);
    }

    #[test]
    fn what_is_too_long_or_cut_off_is_an_error() {
        let kind = |bytes: &[u8]| read(&mut &bytes[..]).unwrap_err().kind();
        assert_eq!(kind(&[0xFF, 0xFF, 0xFF, 0xFF]), io::ErrorKind::InvalidData);
        assert_eq!(kind(&mark(MAX_RECORD + 1)), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[0; 4].repeat(MAX_FRAGMENTS)), io::ErrorKind::InvalidData);
        assert_eq!(kind(&mark(5)), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[0x80, 0]), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[0, 0, 0, 1, b'a']), io::ErrorKind::UnexpectedEof);
    }
}
