//! Pages of the catalog (`docs/format.md` 8). Knows no page key: where a page ends is for `keepwell-vault`, by the rule there.

mod inner;
mod leaf;
mod prefix;

pub use inner::{Child, InnerBuilder};
pub use leaf::LeafBuilder;

use crate::blob::MAX_BLOB;
use crate::codec::Reader;
use crate::{FormatError, Key, Node};

/// Highest level of a page, in the catalog and in extent trees.
pub const MAX_LEVEL: u8 = 32;
/// A page whose encoding has come to this many bytes ends.
pub const FULL_ENCODED: usize = 64 << 10;
/// A page whose keys and table strings, spelled out for every entry, have come to this many bytes ends.
pub const FULL_SPELLED: usize = 1 << 20;
/// Most entries of a page. None has so many that was ended by the two rules above.
pub const MAX_ENTRIES: usize = 16 << 10;
/// Most bytes that keys and table strings may take when they are spelled out for every entry.
pub(crate) const MAX_SPELLED: usize = 64 << 20;

const WHAT: &str = "catalog page";
const VERSION: u8 = 1;

/// A page, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Level 0: entries with ascending keys.
    Leaf(Vec<(Key, Node)>),
    /// Levels above.
    Inner {
        /// From 1.
        level: u8,
        /// Pages one level below, with ascending keys.
        children: Vec<Child>,
    },
}

impl Page {
    /// The page's bytes. Errors: an entry breaks a rule of the format, or does not fit.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        match self {
            Self::Leaf(entries) => {
                let mut page = LeafBuilder::new();
                entries.iter().try_for_each(|(key, node)| page.push(key, node))?;
                Ok(page.finish())
            }
            Self::Inner { level, children } => {
                let mut page = InnerBuilder::new(*level);
                children.iter().try_for_each(|child| page.push(child))?;
                Ok(page.finish())
            }
        }
    }

    /// Parses a page.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::decode_where(bytes, &mut |_| true)
    }

    /// The same, keeping of a leaf only the entries that are wanted. The others are read as well: a page with one that breaks a rule is an error.
    pub fn decode_where(bytes: &[u8], wanted: &mut dyn FnMut(&Key) -> bool) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        reader.check(bytes.len() <= MAX_BLOB, "longer than a blob")?;
        let page = match read_level(&mut reader, WHAT)? {
            0 => Self::Leaf(leaf::read(&mut reader, wanted)?),
            level if level <= MAX_LEVEL => Self::Inner { level, children: inner::read(&mut reader)? },
            _ => return Err(reader.invalid("the tree is too deep")),
        };
        reader.finish()?;
        Ok(page)
    }
}

/// `u8 1 ‖ u8 level`.
pub(crate) fn read_level(reader: &mut Reader<'_>, what: &'static str) -> Result<u8, FormatError> {
    match reader.u8()? {
        VERSION => reader.u8(),
        0 => Err(reader.invalid("version 0")),
        found => Err(FormatError::Newer { what, found: found.into(), known: VERSION.into() }),
    }
}

/// Reads the count of a page's entries.
fn read_count(reader: &mut Reader<'_>, least: usize) -> Result<usize, FormatError> {
    let count = reader.count(least)?;
    reader.check(count > 0 && count <= MAX_ENTRIES, "no entries, or too many")?;
    Ok(count)
}

/// An error about an entry that is to be added.
const fn invalid(why: &'static str) -> FormatError {
    FormatError::Invalid { what: WHAT, why }
}
