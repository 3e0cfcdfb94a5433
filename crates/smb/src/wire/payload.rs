//! Variable parts of messages. Owns the check of their bounds and of answers against what was asked; never copies.

use bytes::Bytes;

use crate::SmbError;
use crate::wire::cursor::Reader;

/// Offsets in bodies count from the start of the header (MS-SMB2 2.2.1).
pub(crate) const HEADER: usize = 64;

/// The bytes a message says it carries, of which at most `asked` were asked for. Empty ones may have any offset.
pub(crate) fn payload(body: &Bytes, offset: usize, length: usize, asked: u32, what: &'static str) -> Result<Bytes, SmbError> {
    let malformed = || SmbError::Malformed { what };
    if length > asked as usize {
        return Err(malformed());
    }
    if length == 0 {
        return Ok(Bytes::new());
    }
    let start = offset.checked_sub(HEADER).ok_or_else(malformed)?;
    let end = start.checked_add(length).filter(|end| *end <= body.len()).ok_or_else(malformed)?;
    Ok(body.slice(start..end))
}

/// The buffer of an answer that is nothing but a buffer: QUERY_INFO (MS-SMB2 2.2.38), QUERY_DIRECTORY (2.2.34).
pub(crate) fn output(body: &Bytes, asked: u32, what: &'static str) -> Result<Bytes, SmbError> {
    let mut reader = Reader::new(body, what);
    reader.structure(9)?;
    let offset = usize::from(reader.u16()?);
    let length = reader.u32()? as usize;
    payload(body, offset, length, asked, what)
}

/// Units of UTF-16, which must come in whole.
pub(crate) fn units(bytes: &[u8], what: &'static str) -> Result<Vec<u16>, SmbError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if rest.is_empty() { Ok(pairs.iter().copied().map(u16::from_le_bytes).collect()) } else { Err(SmbError::Malformed { what }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold() {
        let body = Bytes::from_static(&[9, 0, 72, 0, 3, 0, 0, 0, 1, 2, 3]);
        assert_eq!(output(&body, 3, "x").unwrap(), [1, 2, 3][..]);
        assert!(output(&body, 2, "x").is_err());
        for cut in 0..body.len() {
            assert!(output(&body.slice(..cut), 100, "x").is_err(), "{cut}");
        }
        assert!(payload(&body, 63, 1, 9, "x").is_err());
        assert!(payload(&body, usize::MAX, 1, 9, "x").is_err());
        assert!(payload(&body, 0, 0, 9, "x").unwrap().is_empty());
        assert!(units(&[1], "x").is_err());
        assert_eq!(units(&[1, 2], "x").unwrap(), [0x0201]);
    }
}
