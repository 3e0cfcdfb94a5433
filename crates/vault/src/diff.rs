//! What differs between two snapshots. Pages that both share are not read.

use keepwell_format::{Key, Node};

use crate::VaultError;
use crate::catalog::Cursor;
use crate::snapshot::Snapshot;
use crate::vault::Vault;

/// How an entry differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Only in the second.
    Added,
    /// Only in the first.
    Removed,
    /// Another kind, or other bytes.
    Content,
    /// The same bytes, but times, owner, attributes or labels changed.
    Metadata,
}

/// One entry that differs.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Where.
    pub key: Key,
    /// How.
    pub change: Change,
}

impl Vault {
    /// Visits all that differs between two snapshots, in key order.
    pub fn diff(&self, a: &Snapshot, b: &Snapshot, visit: &mut dyn FnMut(&Difference)) -> Result<(), VaultError> {
        let reader = self.reader();
        let mut left = Cursor::new(&reader, a, &Key::root());
        let mut right = Cursor::new(&reader, b, &Key::root());
        let (mut mine, mut theirs) = (None, None);
        loop {
            if mine.is_none() && theirs.is_none() {
                left.skip_common(&mut right)?;
            }
            if mine.is_none() {
                mine = left.next()?;
            }
            if theirs.is_none() {
                theirs = right.next()?;
            }
            let change = match (&mine, &theirs) {
                (None, None) => return Ok(()),
                (Some((key, _)), other) if other.as_ref().is_none_or(|(theirs, _)| key < theirs) => Some((key.clone(), Change::Removed)),
                (other, Some((key, _))) if other.as_ref().is_none_or(|(mine, _)| key < mine) => Some((key.clone(), Change::Added)),
                (Some((key, old)), Some((_, new))) => compare(old, new).map(|change| (key.clone(), change)),
                _ => None,
            };
            match change.as_ref().map(|(_, change)| change) {
                Some(Change::Removed) => mine = None,
                Some(Change::Added) => theirs = None,
                _ => (mine, theirs) = (None, None),
            }
            if let Some((key, change)) = change {
                visit(&Difference { key, change });
            }
        }
    }
}

fn compare(old: &Node, new: &Node) -> Option<Change> {
    let bytes = |node: &Node| node.content.as_ref().map(|content| (content.size, content.hash));
    let same = old.kind == new.kind
        && bytes(old) == bytes(new)
        && old.target == new.target
        && old.device == new.device
        && old.link_to == new.link_to
        && old.streams == new.streams;
    if !same {
        return Some(Change::Content);
    }
    let plain = |node: &Node| Node { content: None, ..node.clone() };
    (plain(old) != plain(new)).then_some(Change::Metadata)
}
