//! Owns what one file or folder of the tree is, and the ways in which it may misbehave. Never knows its own name.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::{content::Content, descriptor, tree::NodeId};

/// FILE_ATTRIBUTE_DIRECTORY (MS-FSCC 2.6).
pub const DIRECTORY: u32 = 0x10;
/// FILE_ATTRIBUTE_NORMAL.
pub const NORMAL: u32 = 0x80;
/// FILE_ATTRIBUTE_SPARSE_FILE.
pub const SPARSE: u32 = 0x200;
/// FILE_ATTRIBUTE_REPARSE_POINT.
pub const REPARSE: u32 = 0x400;

/// 2026-01-01 as 100 ns since 1601: the times of nodes that nobody gave any.
pub const NEW_YEAR: u64 = 134_116_992_000_000_000;

/// Name and value of an extended attribute.
pub type Extended = (Vec<u8>, Vec<u8>);

/// A file or folder. All fields may hold what no real file system would.
#[derive(Clone, Debug)]
pub struct Node {
    /// FILE_ATTRIBUTE bits; a folder keeps [`DIRECTORY`].
    pub attributes: u32,
    /// 100 ns since 1601, as all times.
    pub created: u64,
    /// Last access.
    pub accessed: u64,
    /// Last write.
    pub written: u64,
    /// Last change of anything.
    pub changed: u64,
    /// Self-relative security descriptor, kept byte for byte.
    pub descriptor: Vec<u8>,
    /// Extended attributes: names and values.
    pub extended: Vec<Extended>,
    /// The whole reparse buffer, from its tag on (MS-FSCC 2.1.2).
    pub reparse: Option<Vec<u8>>,
    /// The main stream.
    pub content: Content,
    /// Alternate streams by name, without colons and type.
    pub streams: BTreeMap<Vec<u16>, Content>,
    /// The names in a folder; `None` is a file.
    pub names: Option<Names>,
    /// Names that lead here.
    pub links: u32,
    /// How it misbehaves.
    pub quirks: Quirks,
}

/// Misbehaviour of one node; the default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// The size that listings, information and closes claim.
    pub claimed_size: Option<u64>,
    /// Reads give this many bytes more than was asked for.
    pub read_extra: usize,
    /// Reads give at most this many bytes.
    pub read_at_most: Option<usize>,
    /// Grows by this many bytes with each read.
    pub grows: u64,
    /// Each read turns all bits over and moves the time of the last write.
    pub flickers: bool,
    /// The close tells another size and time than the open, though nothing else does.
    pub changes_at_close: bool,
    /// The listing makes up names for ever.
    pub endless: bool,
    /// The listing gives its first batch for ever.
    pub repeats: bool,
    /// Names (UTF-16) that the listing shows besides, though they do not exist; may hold anything.
    pub also_lists: Vec<Vec<u16>>,
}

/// The names in a folder: found exactly, else without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Names {
    exact: BTreeMap<Vec<u16>, NodeId>,
    folded: HashMap<Vec<u16>, Vec<u16>>,
}

impl Node {
    /// A file.
    pub fn file(content: impl Into<Content>) -> Self {
        let content = content.into();
        let attributes = if content.is_sparse() { NORMAL | SPARSE } else { NORMAL };
        Self { attributes, names: None, content, ..Self::folder() }
    }

    /// An empty folder.
    pub fn folder() -> Self {
        Self {
            attributes: DIRECTORY,
            created: NEW_YEAR,
            accessed: NEW_YEAR,
            written: NEW_YEAR,
            changed: NEW_YEAR,
            descriptor: descriptor::ordinary(),
            extended: Vec::new(),
            reparse: None,
            content: Content::default(),
            streams: BTreeMap::new(),
            names: Some(Names::default()),
            links: 0,
            quirks: Quirks::default(),
        }
    }

    /// The same with a reparse buffer.
    #[must_use]
    pub fn with_reparse(mut self, buffer: Vec<u8>) -> Self {
        self.attributes = (self.attributes & !NORMAL) | REPARSE;
        self.reparse = Some(buffer);
        self
    }

    /// The same with a stream.
    #[must_use]
    pub fn with_stream(mut self, name: &str, content: impl Into<Content>) -> Self {
        self.streams.insert(name.encode_utf16().collect(), content.into());
        self
    }

    /// The same, misbehaving.
    #[must_use]
    pub fn with_quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = quirks;
        self
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.names.is_some()
    }

    /// The main stream, or an alternate one that exists.
    pub fn stream(&self, name: Option<&Vec<u16>>) -> Option<&Content> {
        name.map_or(Some(&self.content), |name| self.streams.get(name))
    }

    pub(crate) fn stream_mut(&mut self, name: Option<&Vec<u16>>) -> Option<&mut Content> {
        match name {
            None => Some(&mut self.content),
            Some(name) => self.streams.get_mut(name),
        }
    }

    /// The size as it is told.
    pub(crate) fn told_size(&self, name: Option<&Vec<u16>>) -> u64 {
        self.quirks.claimed_size.unwrap_or_else(|| self.stream(name).map_or(0, Content::size))
    }

    /// The tag of the reparse buffer, or 0.
    pub(crate) fn reparse_tag(&self) -> u32 {
        self.reparse.as_deref().and_then(|buffer| buffer.first_chunk()).map_or(0, |tag| u32::from_le_bytes(*tag))
    }
}

impl Names {
    /// What a name leads to.
    pub fn find(&self, name: &[u16]) -> Option<NodeId> {
        self.exact.get(name).or_else(|| self.exact.get(self.folded.get(&fold(name))?)).copied()
    }

    /// The names after `last`, in order.
    pub fn after(&self, last: Option<&Vec<u16>>) -> impl Iterator<Item = (&Vec<u16>, NodeId)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.exact.range::<Vec<u16>, _>((last.map_or(Unbounded, Excluded), Unbounded)).map(|(name, id)| (name, *id))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    pub(crate) fn insert(&mut self, name: Vec<u16>, id: NodeId) -> Option<NodeId> {
        self.folded.insert(fold(&name), name.clone());
        self.exact.insert(name, id)
    }

    pub(crate) fn remove(&mut self, name: &[u16]) -> Option<NodeId> {
        let exact = if self.exact.contains_key(name) { name.to_vec() } else { self.folded.get(&fold(name))?.clone() };
        self.folded.remove(&fold(name));
        self.exact.remove(&exact)
    }
}

/// Simple upper case, unit by unit, as NTFS compares.
fn fold(name: &[u16]) -> Vec<u16> {
    name.iter().map(|unit| upper(*unit)).collect()
}

fn upper(unit: u16) -> u16 {
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut letters = letter.to_uppercase();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => u16::try_from(u32::from(letter)).unwrap_or(unit),
        _ => unit,
    }
}
