//! Inner pages: references to pages one level below (`docs/format.md` 8.2).

use super::{FULL_ENCODED, FULL_SPELLED, MAX_ENTRIES, MAX_SPELLED, VERSION, invalid, prefix, read_count};
use crate::blob::MAX_BLOB;
use crate::codec::{Reader, Writer, varint_len};
use crate::{BlobId, FormatError, Key};

/// Shortest child: shared, rest, id, three sums.
const LEAST_CHILD: usize = 37;

/// A reference to a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The first key below.
    pub first: Key,
    /// The page.
    pub page: BlobId,
    /// Entries below, > 0.
    pub entries: u64,
    /// Bytes of content below, at most `u64::MAX`.
    pub bytes: u64,
    /// Entries below with a gap or inconsistent.
    pub gaps: u64,
}

/// Builds inner pages of one level, one after the other.
#[derive(Debug)]
pub struct InnerBuilder {
    level: u8,
    children: Writer,
    count: usize,
    spelled: usize,
    previous: Vec<u8>,
}

impl InnerBuilder {
    /// An empty page of a level from 1 to [`super::MAX_LEVEL`].
    pub const fn new(level: u8) -> Self {
        Self { level, children: Writer::new(), count: 0, spelled: 0, previous: Vec::new() }
    }

    /// Adds a child, whose first key is greater than that of the one before.
    ///
    /// Errors: the child breaks a rule of the format, or does not fit. Then the page is as it was.
    pub fn push(&mut self, child: &Child) -> Result<(), FormatError> {
        let key = child.first.as_bytes();
        if self.count > 0 && key <= self.previous.as_slice() {
            return Err(invalid("keys do not ascend"));
        }
        if let Some(why) = flaw(child) {
            return Err(invalid(why));
        }
        let before = self.children.len();
        prefix::write(&mut self.children, &self.previous, key);
        self.children.raw(&child.page.0).varint(child.entries).varint(child.bytes).varint(child.gaps);
        self.count += 1;
        self.spelled += key.len();
        if self.encoded_len() > MAX_BLOB || self.spelled > MAX_SPELLED || self.count > MAX_ENTRIES {
            self.children.truncate(before);
            self.count -= 1;
            self.spelled -= key.len();
            return Err(invalid("a child does not fit"));
        }
        self.previous.clear();
        self.previous.extend_from_slice(key);
        Ok(())
    }

    /// Length in bytes that [`InnerBuilder::finish`] would return now.
    pub fn encoded_len(&self) -> usize {
        2 + varint_len(self.count as u64) + self.children.len()
    }

    /// Whether the page must end here, wherever the page key would end it. Never with a single child, or long keys would
    /// make a tree without end.
    pub fn is_full(&self) -> bool {
        self.count > 1 && (self.encoded_len() >= FULL_ENCODED || self.spelled >= FULL_SPELLED)
    }

    /// Children so far.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Whether there is no child yet. Such a page is not valid.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The page's bytes. The builder is empty after that.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.encoded_len());
        out.u8(VERSION).u8(self.level).count(self.count).raw(self.children.as_bytes());
        *self = Self::new(self.level);
        out.into_bytes()
    }
}

/// Reads all of an inner page after its level.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<Child>, FormatError> {
    let count = read_count(reader, LEAST_CHILD)?;
    let mut children: Vec<Child> = Vec::with_capacity(count);
    let (mut spelled, mut first) = (0, Key::root());
    for n in 0..count {
        prefix::read(reader, &mut first, n == 0)?;
        spelled += first.as_bytes().len();
        reader.check(spelled <= MAX_SPELLED, "the keys of the page are too long")?;
        let (page, entries, bytes, gaps) = (reader.blob()?, reader.varint()?, reader.varint()?, reader.varint()?);
        let child = Child { first: first.clone(), page, entries, bytes, gaps };
        if let Some(why) = flaw(&child) {
            return Err(reader.invalid(why));
        }
        children.push(child);
    }
    Ok(children)
}

fn flaw(child: &Child) -> Option<&'static str> {
    let rules = [
        (child.entries > 0 && child.entries < 1 << 48, "the number of entries is out of bounds"),
        (child.gaps <= child.entries, "more gaps than entries"),
    ];
    rules.iter().find(|(holds, _)| !holds).map(|(_, why)| *why)
}
