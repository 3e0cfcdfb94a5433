//! The primitive encodings (`docs/format.md` 1).
//!
//! Strict by design: one value has one encoding. Never allocates for a length or count that the input can't hold.

use crate::{BlobId, Epoch, FormatError, Key, Time, VaultId};

/// Newest version of every structure with a magic.
pub const VERSION: u16 = 1;

/// Nanoseconds of a second.
const SECOND: u32 = 1_000_000_000;

/// Reads one structure from its bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `what` names the structure in errors.
    pub const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// An error about this structure.
    pub const fn invalid(&self, why: &'static str) -> FormatError {
        FormatError::Invalid { what: self.what, why }
    }

    /// Fails with `why` unless `holds`.
    pub fn check(&self, holds: bool, why: &'static str) -> Result<(), FormatError> {
        if holds { Ok(()) } else { Err(self.invalid(why)) }
    }

    /// Bytes not read yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// All bytes not read yet.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The end: nothing may be left.
    pub fn finish(self) -> Result<(), FormatError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FormatError::Trailing(self.what)) }
    }

    /// A magic and the version after it; a version above [`VERSION`] is [`FormatError::Newer`].
    pub fn magic(&mut self, magic: &[u8; 8]) -> Result<(), FormatError> {
        if self.rest.len() >= magic.len() && !self.rest.starts_with(magic) {
            return Err(FormatError::Magic(self.what));
        }
        self.take(magic.len())?;
        match self.u16()? {
            VERSION => Ok(()),
            0 => Err(self.invalid("version 0")),
            found => Err(FormatError::Newer { what: self.what, found, known: VERSION }),
        }
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], FormatError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(FormatError::Truncated(self.what))?;
        self.rest = rest;
        Ok(head)
    }

    /// `[N]`.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(FormatError::Truncated(self.what))?;
        self.rest = rest;
        Ok(*head)
    }

    /// So many bytes, which must be zero.
    pub fn zeros(&mut self, n: usize) -> Result<(), FormatError> {
        let zero = self.take(n)?.iter().all(|b| *b == 0);
        self.check(zero, "reserved bytes are not zero")
    }

    /// `u8`.
    pub fn u8(&mut self) -> Result<u8, FormatError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// `u16`.
    pub fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(u16::from_le_bytes)
    }

    /// `u32`.
    pub fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    /// `u64`.
    pub fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    /// `i64`.
    pub fn i64(&mut self) -> Result<i64, FormatError> {
        self.array().map(i64::from_le_bytes)
    }

    /// `varint`.
    pub fn varint(&mut self) -> Result<u64, FormatError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let group = u64::from(byte & 0x7f);
            self.check(shift < 63 || group <= 1, "a varint has more than 64 bits")?;
            value |= group << shift;
            if byte & 0x80 == 0 {
                self.check(byte != 0 || shift == 0, "a varint is not minimal")?;
                return Ok(value);
            }
        }
        Err(self.invalid("a varint has more than 10 bytes"))
    }

    /// A varint below 2^32.
    pub fn varint32(&mut self) -> Result<u32, FormatError> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.invalid("a varint has more than 32 bits"))
    }

    /// `zigzag`.
    pub fn zigzag(&mut self) -> Result<i64, FormatError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// `bytes`.
    pub fn bytes(&mut self) -> Result<&'a [u8], FormatError> {
        let length = self.varint()?;
        self.take(usize::try_from(length).map_err(|_| FormatError::Truncated(self.what))?)
    }

    /// `bytes` that are UTF-8.
    pub fn text(&mut self) -> Result<String, FormatError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.invalid("a text is not UTF-8"))
    }

    /// The count of a list whose items take at least `least` bytes each: so many can still be there.
    pub fn count(&mut self, least: usize) -> Result<usize, FormatError> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() / least.max(1) => Ok(count),
            _ => Err(FormatError::Truncated(self.what)),
        }
    }

    /// A time.
    pub fn time(&mut self) -> Result<Time, FormatError> {
        let seconds = self.zigzag()?;
        let nanos = self.varint32()?;
        self.check(nanos < SECOND, "nanoseconds make a second or more")?;
        Ok(Time { seconds, nanos })
    }

    /// A vault id.
    pub fn vault(&mut self) -> Result<VaultId, FormatError> {
        self.array().map(VaultId)
    }

    /// A blob id.
    pub fn blob(&mut self) -> Result<BlobId, FormatError> {
        self.array().map(BlobId)
    }

    /// `bytes` that are a key.
    pub fn key(&mut self) -> Result<Key, FormatError> {
        let bytes = self.bytes()?;
        self.check(bytes.len() <= Key::MAX_LEN, "a key is too long")?;
        Key::from_bytes(bytes.to_vec()).map_err(|_| self.invalid("a key has a bad component"))
    }

    /// `u32 epoch`, from 1.
    pub fn epoch(&mut self) -> Result<Epoch, FormatError> {
        let epoch = self.u32()?;
        self.check(epoch != 0, "epoch 0")?;
        Ok(Epoch(epoch))
    }
}

/// Builds one structure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Empty.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Empty, with room.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes written.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes back all but the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A magic and [`VERSION`].
    pub fn magic(&mut self, magic: &[u8; 8]) -> &mut Self {
        self.raw(magic).u16(VERSION)
    }

    /// So many zeros.
    pub fn zeros(&mut self, n: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len() + n, 0);
        self
    }

    /// `u8`.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// `u16`.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// `u32`.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// `u64`.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// `i64`.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// `varint`.
    pub fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8)
    }

    /// `zigzag`.
    pub fn zigzag(&mut self, value: i64) -> &mut Self {
        self.varint((value << 1 ^ value >> 63).cast_unsigned())
    }

    /// The count of a list, or a length.
    pub fn count(&mut self, count: usize) -> &mut Self {
        self.varint(count as u64)
    }

    /// `bytes`.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len()).raw(bytes)
    }

    /// `bytes` of a text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// A time.
    pub fn time(&mut self, time: Time) -> &mut Self {
        self.zigzag(time.seconds).varint(u64::from(time.nanos))
    }

    /// `u32 epoch`.
    pub fn epoch(&mut self, epoch: Epoch) -> &mut Self {
        self.u32(epoch.0)
    }
}

/// Length of a varint in bytes.
pub const fn varint_len(value: u64) -> usize {
    (63 - (value | 1).leading_zeros() as usize) / 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader::new("test", bytes)
    }

    #[test]
    fn varints_are_minimal_and_have_at_most_64_bits() {
        assert_eq!(reader(&[0]).varint(), Ok(0));
        assert_eq!(reader(&[0xe5, 0x8e, 0x26]).varint(), Ok(624_485));
        for bad in [&[0x80, 0][..], &[0xff, 0x80, 0], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]] {
            assert!(matches!(reader(bad).varint(), Err(FormatError::Invalid { .. })), "{bad:x?}");
        }
        assert_eq!(reader(&[0x80]).varint(), Err(FormatError::Truncated("test")));
        assert!(reader(&[0x80, 0x80, 0x80, 0x80, 0x10]).varint32().is_err());
    }

    #[test]
    fn lengths_and_counts_are_checked_before_anything_is_allocated() {
        let mut huge = Writer::new();
        huge.varint(u64::MAX);
        assert_eq!(reader(huge.as_bytes()).bytes(), Err(FormatError::Truncated("test")));
        assert_eq!(reader(huge.as_bytes()).count(1), Err(FormatError::Truncated("test")));
        assert_eq!(reader(&[2, 0, 0, 0]).count(2), Err(FormatError::Truncated("test")));
        assert_eq!(reader(&[2, 0, 0, 0, 0]).count(2), Ok(2));
    }

    #[test]
    fn versions_and_magics() {
        let magic = b"KWTEST\0\0";
        let with = |version: u16| [magic.as_slice(), &version.to_le_bytes()].concat();
        assert_eq!(reader(&with(1)).magic(magic), Ok(()));
        assert_eq!(reader(&with(2)).magic(magic), Err(FormatError::Newer { what: "test", found: 2, known: 1 }));
        assert!(matches!(reader(&with(0)).magic(magic), Err(FormatError::Invalid { .. })));
        assert_eq!(reader(b"KWOTHER\0\x01\0").magic(magic), Err(FormatError::Magic("test")));
        assert_eq!(reader(b"KWTEST\0").magic(magic), Err(FormatError::Truncated("test")));
    }

    proptest::proptest! {
        #[test]
        fn numbers_round_trip(value: u64, signed: i64) {
            let mut writer = Writer::new();
            writer.varint(value).zigzag(signed).u64(value).i64(signed);
            let mut read = reader(writer.as_bytes());
            assert_eq!(read.varint(), Ok(value));
            assert_eq!(writer.len() - read.remaining(), varint_len(value));
            assert_eq!((read.zigzag(), read.u64(), read.i64()), (Ok(signed), Ok(value), Ok(signed)));
            assert_eq!(read.finish(), Ok(()));
        }
    }
}
