//! Record marking on streams (RFC 5531 section 11). Caps fragments and records before it allocates.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Longest record taken: a READ of 1 MiB, and a listing of as much, with room for headers.
pub(crate) const MAX_RECORD: usize = (1 << 20) + (64 << 10);

/// Fragments that a record may have.
const MAX_FRAGMENTS: usize = 1024;

const LAST: u32 = 1 << 31;

/// Records from this length on are read into memory that was used before.
const LONG: usize = 64 << 10;

/// Long records whose memory is kept.
const KEPT: usize = 8;

/// Memory of long records that are not needed any more. The system clears each page that it hands out, which costs more than the reading.
#[derive(Debug, Default, Clone)]
pub(crate) struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

/// A record whose memory goes back when the last part of it is dropped.
struct Lent {
    record: Vec<u8>,
    to: Spare,
}

/// The next record. None at the end of the stream, if it ends between records.
pub(crate) fn read(stream: &mut impl Read, spare: &Spare) -> io::Result<Option<Bytes>> {
    let (mut record, mut start) = (Vec::new(), 0);
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
        let length = (mark & !LAST) as usize;
        if length > MAX_RECORD - start {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message longer than any answer can be"));
        }
        if record.is_empty() && length >= LONG {
            record = spare.take();
        }
        let end = start + length;
        if record.len() < end {
            record.resize(end, 0);
        }
        stream.read_exact(&mut record[start..end])?;
        start = end;
        if mark & LAST != 0 {
            record.truncate(end);
            return Ok(Some(spare.lend(record)));
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a message in too many pieces"))
}

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn lend(&self, record: Vec<u8>) -> Bytes {
        if record.len() < LONG { record.into() } else { Bytes::from_owner(Lent { record, to: self.clone() }) }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.record
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.to.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.record));
        }
    }
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
        let (mut stream, spare) = (bytes.as_slice(), Spare::default());
        assert_eq!(read(&mut stream, &spare).unwrap().unwrap(), b"abc"[..]);
        assert_eq!(read(&mut stream, &spare).unwrap().unwrap(), b"d"[..]);
        assert_eq!(read(&mut stream, &spare).unwrap(), None);
    }

    #[test]
    fn memory_of_long_records_is_used_again_once_nobody_has_it() {
        let record = |fill: u8, length: usize| [&mark(length)[..], &vec![fill; length]].concat();
        let spare = Spare::default();
        let take = |bytes: Vec<u8>| read(&mut bytes.as_slice(), &spare).unwrap().unwrap();
        let first = take(record(1, 100_000));
        let part = first.slice(50_000..);
        let at = first.as_ptr();
        drop(first);
        assert_ne!(take(record(2, 70_000)).as_ptr(), at, "a part of it is still held");
        assert_eq!(part, vec![1; 50_000]);
        drop(part);
        // What was there before never shows.
        for (fill, length) in [(3, 70_000), (4, 100_000), (5, 120_000), (6, 65_536)] {
            assert_eq!(take(record(fill, length)), vec![fill; length]);
        }
        let kept = || spare.0.lock().unwrap().len();
        let many: Vec<Bytes> = (0..KEPT + 3).map(|_| take(record(7, LONG))).collect();
        assert_eq!(kept(), 0);
        drop(many);
        assert_eq!(kept(), KEPT);
        drop(take(record(8, 100)));
        assert_eq!(kept(), KEPT);
    }

    #[test]
    fn what_is_too_long_or_cut_off_is_an_error() {
        let kind = |bytes: &[u8]| read(&mut &bytes[..], &Spare::default()).unwrap_err().kind();
        assert_eq!(kind(&[0xFF, 0xFF, 0xFF, 0xFF]), io::ErrorKind::InvalidData);
        assert_eq!(kind(&mark(MAX_RECORD + 1)), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[0; 4].repeat(MAX_FRAGMENTS)), io::ErrorKind::InvalidData);
        assert_eq!(kind(&mark(5)), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[0x80, 0]), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[0, 0, 0, 1, b'a']), io::ErrorKind::UnexpectedEof);
    }
}
