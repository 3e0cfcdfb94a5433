//! Leaf pages: entries of the catalog (`docs/format.md` 8.1).

use super::{FULL_ENCODED, FULL_SPELLED, MAX_ENTRIES, MAX_SPELLED, VERSION, invalid, prefix, read_count};
use crate::blob::MAX_BLOB;
use crate::codec::{Reader, Writer, varint_len};
use crate::entry::{ReadTables, Tables, flaw, read_node, write_node};
use crate::table::Table;
use crate::{BlobId, FormatError, Key, Node};

/// Shortest entry: shared, rest, kind, fields.
const LEAST_ENTRY: usize = 4;

/// Builds leaf pages, one after the other.
#[derive(Debug, Default)]
pub struct LeafBuilder {
    tables: Tables,
    entries: Writer,
    count: usize,
    previous: Vec<u8>,
}

impl LeafBuilder {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry, whose key is greater than the one before.
    ///
    /// Errors: the node breaks a rule of the format, or does not fit. Then the page is as it was.
    pub fn push(&mut self, key: &Key, node: &Node) -> Result<(), FormatError> {
        if self.count > 0 && key.as_bytes() <= self.previous.as_slice() {
            return Err(invalid("keys do not ascend"));
        }
        if let Some(why) = flaw(key, node) {
            return Err(invalid(why));
        }
        let before = (self.entries.len(), self.tables.blobs.len(), self.tables.strings.mark(), self.tables.spelled);
        prefix::write(&mut self.entries, &self.previous, key.as_bytes());
        write_node(&mut self.entries, &mut self.tables, node);
        self.tables.spelled += key.as_bytes().len();
        self.count += 1;
        if self.encoded_len() > MAX_BLOB || self.tables.spelled > MAX_SPELLED || self.count > MAX_ENTRIES {
            self.entries.truncate(before.0);
            self.tables.blobs.truncate(before.1);
            self.tables.strings.rewind(before.2);
            self.tables.spelled = before.3;
            self.count -= 1;
            return Err(invalid("an entry does not fit"));
        }
        self.previous.clear();
        self.previous.extend_from_slice(key.as_bytes());
        Ok(())
    }

    /// Length in bytes that [`LeafBuilder::finish`] would return now.
    pub fn encoded_len(&self) -> usize {
        let tables = self.tables.blobs.encoded_len() + self.tables.strings.encoded_len();
        2 + tables + varint_len(self.count as u64) + self.entries.len()
    }

    /// Whether the page must end here, wherever the page key would end it.
    pub fn is_full(&self) -> bool {
        self.encoded_len() >= FULL_ENCODED || self.tables.spelled >= FULL_SPELLED
    }

    /// Entries so far.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Whether there is no entry yet. Such a page is not valid.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The page's bytes. The builder is empty after that.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.encoded_len());
        out.u8(VERSION).u8(0);
        self.tables.blobs.write(&mut out);
        self.tables.strings.write(&mut out);
        out.count(self.count).raw(self.entries.as_bytes());
        self.tables.clear();
        self.entries.truncate(0);
        self.count = 0;
        self.previous.clear();
        out.into_bytes()
    }
}

/// Reads all of a leaf after its level, and keeps the entries that are wanted.
pub(super) fn read(reader: &mut Reader<'_>, wanted: &mut dyn FnMut(&Key) -> bool) -> Result<Vec<(Key, Node)>, FormatError> {
    let blobs = Table::read(reader, BlobId::LEN, Reader::blob)?;
    let strings = Table::read(reader, 1, Reader::bytes)?;
    let mut tables = ReadTables::new(blobs, strings);
    let count = read_count(reader, LEAST_ENTRY)?;
    let (mut entries, mut key) = (Vec::with_capacity(count), Key::root());
    for n in 0..count {
        prefix::read(reader, &mut key, n == 0)?;
        tables.spelled += key.as_bytes().len();
        reader.check(tables.spelled <= MAX_SPELLED, "the entries of the page are too long")?;
        let node = read_node(reader, &mut tables, &key)?;
        if wanted(&key) {
            entries.push((key.clone(), node));
        } else {
            tables.reuse(node);
        }
    }
    tables.blobs.finish(reader)?;
    tables.strings.finish(reader)?;
    Ok(entries)
}
