//! Reading and writing little-endian structures. Owns the bounds checks; never panics on what a server sent.

use crate::SmbError;

/// Reads a structure from front to back. Every read is bounds-checked; offsets given to [`Reader::at`] count from the slice's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    all: &'a [u8],
    position: usize,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `all`; `what` names the structure in errors.
    pub(crate) fn new(all: &'a [u8], what: &'static str) -> Self {
        Self { all, position: 0, what }
    }

    /// The same bytes from `offset` (from their start) on.
    pub(crate) fn at(&self, offset: usize) -> Result<Self, SmbError> {
        if offset > self.all.len() {
            return Err(self.malformed());
        }
        Ok(Self { position: offset, ..*self })
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], SmbError> {
        let end = self.position.checked_add(length).ok_or_else(|| self.malformed())?;
        let bytes = self.all.get(self.position..end).ok_or_else(|| self.malformed())?;
        self.position = end;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], SmbError> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| self.malformed())
    }

    pub(crate) fn u8(&mut self) -> Result<u8, SmbError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, SmbError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, SmbError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, SmbError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn skip(&mut self, length: usize) -> Result<(), SmbError> {
        self.bytes(length).map(drop)
    }

    /// Reads a StructureSize field and checks it.
    pub(crate) fn structure(&mut self, size: u16) -> Result<(), SmbError> {
        if self.u16()? == size { Ok(()) } else { Err(self.malformed()) }
    }

    /// Bytes not yet read.
    pub(crate) fn remaining(&self) -> usize {
        self.all.len() - self.position
    }

    /// Bytes read so far, from the slice's start.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Everything not yet read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.all[self.position..]
    }

    /// The error for this structure.
    pub(crate) fn malformed(&self) -> SmbError {
        SmbError::Malformed { what: self.what }
    }
}

/// Builds a structure from front to back.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// UTF-16, little-endian.
    pub(crate) fn units(&mut self, units: impl IntoIterator<Item = u16>) -> &mut Self {
        self.bytes.extend(units.into_iter().flat_map(u16::to_le_bytes));
        self
    }

    /// Zeros up to the next multiple of `alignment`, counted from the start of this writer.
    pub(crate) fn pad_to(&mut self, alignment: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
        self
    }

    /// Replaces what was written at `offset`, which the caller wrote before.
    pub(crate) fn patch_u16(&mut self, offset: usize, value: u16) -> &mut Self {
        self.bytes[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
        self
    }

    /// Replaces what was written at `offset`, which the caller wrote before.
    pub(crate) fn patch_u32(&mut self, offset: usize, value: u32) -> &mut Self {
        self.bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end() {
        let mut reader = Reader::new(&[1, 2, 0, 3, 0, 0, 0], "test");
        assert_eq!((reader.u8().unwrap(), reader.u16().unwrap(), reader.u32().unwrap()), (1, 2, 3));
        assert_eq!(reader.remaining(), 0);
        assert!(matches!(reader.u8(), Err(SmbError::Malformed { what: "test" })));
        assert!(reader.bytes(usize::MAX).is_err());
        assert!(reader.at(7).is_ok() && reader.at(8).is_err());
        assert_eq!(reader.at(1).unwrap().u16().unwrap(), 2);
    }

    #[test]
    fn writes_pad_and_patch() {
        let mut writer = Writer::new();
        writer.u16(7).u32(0).units("é".encode_utf16()).pad_to(8).patch_u32(2, 9);
        assert_eq!(writer.finish(), [7, 0, 9, 0, 0, 0, 0xE9, 0]);
    }
}
