//! XDR (RFC 4506): big-endian words, opaque bytes padded to four. Every length is checked against a cap and against what is there.

use bytes::Bytes;

use crate::NfsError;

pub(crate) type Result<T> = std::result::Result<T, NfsError>;

/// Reads a message from its start.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    whole: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(whole: &'a Bytes) -> Self {
        Self { whole, at: 0 }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.whole.len() - self.at
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| NfsError::Malformed("a field of another length"))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.fixed()?))
    }

    pub(crate) fn bool(&mut self) -> Result<bool> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(NfsError::Malformed("a truth value that is neither")),
        }
    }

    /// Variable-length bytes, at most `most`.
    pub(crate) fn opaque(&mut self, most: usize) -> Result<&'a [u8]> {
        let (start, length) = self.span(most)?;
        Ok(&self.whole[start..start + length])
    }

    /// The same, sharing the message's memory.
    pub(crate) fn shared(&mut self, most: usize) -> Result<Bytes> {
        let (start, length) = self.span(most)?;
        Ok(self.whole.slice(start..start + length))
    }

    /// A count of elements that take at least `each` bytes, at most `most`.
    pub(crate) fn count(&mut self, most: usize, each: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        if count > most || count > self.remaining() / each {
            return Err(NfsError::Malformed("a list that is too long"));
        }
        Ok(count)
    }

    fn span(&mut self, most: usize) -> Result<(usize, usize)> {
        let length = self.u32()? as usize;
        if length > most {
            return Err(NfsError::Malformed("a field that is too long"));
        }
        let start = self.at;
        self.take(length)?;
        // Some servers leave out the padding at the very end.
        self.at = (start + length.next_multiple_of(4)).min(self.whole.len());
        Ok((start, length))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.whole.len());
        let end = end.ok_or(NfsError::Malformed("an answer that is cut off"))?;
        let bytes = &self.whole[self.at..end];
        self.at = end;
        Ok(bytes)
    }
}

/// Builds a message.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(256))
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.u32(value.into())
    }

    pub(crate) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn opaque(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len()).fixed(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The length of what follows; callers cap what they send far below 2^32.
    pub(crate) fn length(&mut self, length: usize) -> &mut Self {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = Writer::new();
        out.u32(7).u64(1 << 40).bool(true).opaque(b"abcde").opaque(b"").fixed(b"12345678").length(0);
        let bytes = Bytes::from(out.into_bytes());
        assert_eq!(bytes.len(), 4 + 8 + 4 + 12 + 4 + 8 + 4);
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.u32().unwrap(), reader.u64().unwrap(), reader.bool().unwrap()), (7, 1 << 40, true));
        assert_eq!((reader.opaque(5).unwrap(), reader.shared(0).unwrap().as_ref()), (&b"abcde"[..], &b""[..]));
        assert_eq!((reader.fixed::<8>().unwrap(), reader.count(9, 4).unwrap(), reader.remaining()), (*b"12345678", 0, 0));
        assert!(reader.u32().is_err());
    }

    #[test]
    fn lengths_are_capped_and_checked() {
        let read = |bytes: &[u8], most| Reader::new(&Bytes::copy_from_slice(bytes)).opaque(most).map(<[u8]>::to_vec);
        assert!(read(&[0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0], 4).is_err());
        assert!(read(&[0xFF, 0xFF, 0xFF, 0xFF, 1], usize::MAX).is_err());
        assert!(read(&[0, 0, 0, 5, 1, 2, 3, 4], 9).is_err());
        assert_eq!(read(&[0, 0, 0, 3, 1, 2, 3], 9).unwrap(), [1, 2, 3]);
        let count = |bytes: &[u8], most| Reader::new(&Bytes::copy_from_slice(bytes)).count(most, 4);
        assert!(count(&[0, 0, 0, 2, 0, 0, 0, 0], 9).is_err());
        assert!(count(&[0, 0, 0, 1, 0, 0, 0, 0], 0).is_err());
        assert!(Reader::new(&Bytes::from_static(&[0, 0, 0, 2])).bool().is_err());
    }
}
