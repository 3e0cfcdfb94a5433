//! Owns reading and writing of little-endian fields. Never shares code with the client that is tested.

/// A message that ends before what it announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short;

/// Walks over the fields of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Short> {
        let taken = slice(self.bytes, self.at, length)?;
        self.at += length;
        Ok(taken)
    }

    pub(crate) fn skip(&mut self, length: usize) -> Result<&mut Self, Short> {
        self.take(length)?;
        Ok(self)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        self.take(N)?.try_into().map_err(|_| Short)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Short> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Short> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Short> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn array16(&mut self) -> Result<[u8; 16], Short> {
        self.array()
    }
}

/// The bytes at an offset, if they are there.
pub(crate) fn slice(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], Short> {
    bytes.get(at..at.checked_add(length).ok_or(Short)?).ok_or(Short)
}

/// UTF-16 units of little-endian bytes; an odd last byte is left out.
pub(crate) fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// A message in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn new() -> Self {
        Self::default()
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

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    pub(crate) fn units(&mut self, units: &[u16]) -> &mut Self {
        units.iter().for_each(|unit| self.0.extend_from_slice(&unit.to_le_bytes()));
        self
    }

    /// Zeros up to the next multiple.
    pub(crate) fn pad(&mut self, multiple: usize) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(multiple), 0);
        self
    }

    pub(crate) fn put_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A length as the 32-bit field of a message; lengths here come from this server and are small.
pub(crate) fn len32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A length as the 16-bit field of a message.
pub(crate) fn len16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
