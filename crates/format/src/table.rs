//! The tables of a page: what its entries share is in it once (`docs/format.md` 8.1). A table lists its items in order of
//! first use and without repetition, so that a page has one encoding.

use std::collections::HashMap;

use crate::codec::{Reader, Writer, varint_len};
use crate::{BlobId, FormatError};

/// A blob table that is growing.
#[derive(Debug, Default)]
pub(crate) struct BlobTable {
    ids: Writer,
    index: HashMap<BlobId, u64>,
}

impl BlobTable {
    /// The index of `blob`, which is added if it is new.
    pub(crate) fn index_of(&mut self, blob: BlobId) -> u64 {
        let next = self.index.len() as u64;
        *self.index.entry(blob).or_insert_with(|| {
            self.ids.raw(&blob.0);
            next
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Takes back all but the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.ids.truncate(len * BlobId::LEN);
        self.index.retain(|_, index| *index < len as u64);
    }

    pub(crate) fn encoded_len(&self) -> usize {
        varint_len(self.index.len() as u64) + self.ids.len()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.count(self.index.len()).raw(self.ids.as_bytes());
    }
}

/// A byte-string table that is growing.
#[derive(Debug, Default)]
pub(crate) struct StringTable {
    strings: Writer,
    index: HashMap<Box<[u8]>, u64>,
}

impl StringTable {
    /// The index of `string`, which is added if it is new.
    pub(crate) fn index_of(&mut self, string: &[u8]) -> u64 {
        if let Some(index) = self.index.get(string) {
            return *index;
        }
        let next = self.index.len() as u64;
        self.index.insert(string.into(), next);
        self.strings.bytes(string);
        next
    }

    /// To be given to [`StringTable::rewind`].
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.index.len(), self.strings.len())
    }

    /// Takes back what came after the mark.
    pub(crate) fn rewind(&mut self, (count, bytes): (usize, usize)) {
        self.strings.truncate(bytes);
        self.index.retain(|_, index| *index < count as u64);
    }

    pub(crate) fn encoded_len(&self) -> usize {
        varint_len(self.index.len() as u64) + self.strings.len()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.count(self.index.len()).raw(self.strings.as_bytes());
    }
}

/// A table that was read. Gives items out and checks the order of their first use.
#[derive(Debug)]
pub(crate) struct Table<T> {
    items: Vec<T>,
    used: usize,
}

impl<T: Copy + Ord> Table<T> {
    /// Reads a list of items that take at least `least` bytes each.
    pub(crate) fn read<'a>(
        reader: &mut Reader<'a>,
        least: usize,
        item: impl Fn(&mut Reader<'a>) -> Result<T, FormatError>,
    ) -> Result<Self, FormatError> {
        let count = reader.count(least)?;
        let items: Vec<T> = (0..count).map(|_| item(reader)).collect::<Result<_, _>>()?;
        let mut sorted = items.clone();
        sorted.sort_unstable();
        reader.check(sorted.is_sorted_by(|a, b| a < b), "a table has an item twice")?;
        Ok(Self { items, used: 0 })
    }

    /// Reads an index and gives its item.
    pub(crate) fn item(&mut self, reader: &mut Reader<'_>) -> Result<T, FormatError> {
        let index = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        reader.check(index <= self.used, "a table is not in order of first use")?;
        let item = self.items.get(index).ok_or(reader.invalid("an index lies outside its table"))?;
        self.used = self.used.max(index + 1);
        Ok(*item)
    }

    /// The end of the page: every item was used.
    pub(crate) fn finish(&self, reader: &Reader<'_>) -> Result<(), FormatError> {
        reader.check(self.used == self.items.len(), "a table has an item that nothing uses")
    }
}
