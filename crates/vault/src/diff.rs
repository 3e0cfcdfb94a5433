//! What differs between two snapshots. Pages that both share are not read.

use std::ops::ControlFlow;

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
        self.diff_below(a, b, &Key::root(), None, &mut |difference| {
            visit(difference);
            ControlFlow::Continue(())
        })
    }

    /// The same in `folder` and below, behind the key `after`, until `visit` breaks it off.
    pub fn diff_below(
        &self,
        a: &Snapshot,
        b: &Snapshot,
        folder: &Key,
        after: Option<&Key>,
        visit: &mut dyn FnMut(&Difference) -> ControlFlow<()>,
    ) -> Result<(), VaultError> {
        let reader = self.reader();
        let from = after.filter(|after| *after > folder).unwrap_or(folder);
        let mut left = Side { cursor: Cursor::new(&reader, a, from), next: None, over: false };
        let mut right = Side { cursor: Cursor::new(&reader, b, from), next: None, over: false };
        loop {
            if left.next.is_none() && right.next.is_none() {
                left.cursor.skip_common(&mut right.cursor)?;
            }
            left.fill(folder)?;
            right.fill(folder)?;
            let change = match (&left.next, &right.next) {
                (None, None) => return Ok(()),
                (Some((key, _)), other) if other.as_ref().is_none_or(|(theirs, _)| key < theirs) => Some((key.clone(), Change::Removed)),
                (other, Some((key, _))) if other.as_ref().is_none_or(|(mine, _)| key < mine) => Some((key.clone(), Change::Added)),
                (Some((key, old)), Some((_, new))) => compare(old, new).map(|change| (key.clone(), change)),
                _ => None,
            };
            match change.as_ref().map(|(_, change)| change) {
                Some(Change::Removed) => left.next = None,
                Some(Change::Added) => right.next = None,
                _ => (left.next, right.next) = (None, None),
            }
            if let Some((key, change)) = change.filter(|(key, _)| after.is_none_or(|after| key > after))
                && visit(&Difference { key, change }).is_break()
            {
                return Ok(());
            }
        }
    }
}

/// One of the two snapshots.
struct Side<'a> {
    cursor: Cursor<'a>,
    next: Option<(Key, Node)>,
    /// Nothing of the folder comes any more.
    over: bool,
}

impl Side<'_> {
    fn fill(&mut self, folder: &Key) -> Result<(), VaultError> {
        if self.next.is_none() && !self.over {
            self.next = self.cursor.next()?.filter(|(key, _)| key.is_in(folder));
            self.over = self.next.is_none();
        }
        Ok(())
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
