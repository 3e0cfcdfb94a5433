//! Reads catalogs: a cursor that runs through entries in order, from any key, and a walk over pages that survives damaged ones.

use keepwell_format::page::{Child, Page};
use keepwell_format::{BlobId, FormatError, Key, Node};

use crate::VaultError;
use crate::blobs::BlobReader;
use crate::snapshot::Snapshot;

/// Runs through a catalog's entries in key order. Holds one page of each level.
pub(crate) struct Cursor<'a> {
    reader: &'a BlobReader<'a>,
    /// References still to be followed, from the top; each level's next one last.
    stack: Vec<(u8, Vec<Child>)>,
    leaf: std::vec::IntoIter<(Key, Node)>,
    /// Entries before this are passed over.
    from: Key,
}

impl<'a> Cursor<'a> {
    /// Begins at the first entry with a key of at least `from`. Reads nothing yet.
    pub(crate) fn new(reader: &'a BlobReader<'a>, snapshot: &Snapshot, from: &Key) -> Self {
        let root = Child { first: Key::root(), page: snapshot.body.root, entries: 0, bytes: 0, gaps: 0 };
        Self { reader, stack: vec![(snapshot.body.depth, vec![root])], leaf: Vec::new().into_iter(), from: from.clone() }
    }

    /// The next entry.
    pub(crate) fn next(&mut self) -> Result<Option<(Key, Node)>, VaultError> {
        loop {
            if let Some(entry) = self.leaf.next() {
                return Ok(Some(entry));
            }
            match self.pop() {
                Some((level, child)) => self.follow(level, &child)?,
                None => return Ok(None),
            }
        }
    }

    /// The next entry that can be read; tells of each page that can't.
    pub(crate) fn next_past_damage(&mut self, lost: &mut dyn FnMut(Damage)) -> Result<Option<(Key, Node)>, VaultError> {
        loop {
            if let Some(entry) = self.leaf.next() {
                return Ok(Some(entry));
            }
            let Some((level, child)) = self.pop() else {
                return Ok(None);
            };
            match self.follow(level, &child) {
                Err(error) if is_damage(&error) => {
                    let until = self.stack.iter().rev().find_map(|(_, children)| children.last()).map(|next| next.first.clone());
                    lost(Damage { from: child.first, until });
                }
                other => other?,
            }
        }
    }

    /// Reads the page of a reference.
    fn follow(&mut self, level: u8, child: &Child) -> Result<(), VaultError> {
        match read_page(self.reader, level, &child.page)? {
            Page::Leaf(mut entries) => {
                if !self.from.is_root() {
                    entries.retain(|(key, _)| *key >= self.from);
                }
                self.leaf = entries.into_iter();
            }
            Page::Inner { mut children, .. } => {
                // The page before the first one that begins after `from` may hold it.
                let skip = children.iter().rposition(|child| child.first <= self.from).unwrap_or(0);
                children.drain(..skip);
                children.reverse();
                self.stack.push((level - 1, children));
            }
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<(u8, Child)> {
        loop {
            let (level, children) = self.stack.last_mut()?;
            match children.pop() {
                Some(child) => return Some((*level, child)),
                None => self.stack.pop(),
            };
        }
    }

    /// Level and id of the page that comes next, when no entry of the present one is left.
    fn next_page(&mut self) -> Option<(u8, BlobId)> {
        if self.leaf.len() > 0 {
            return None;
        }
        let (level, child) = self.pop()?;
        let id = child.page;
        self.stack.push((level, vec![child]));
        Some((level, id))
    }

    /// Skips what both cursors would read the same, page by page.
    pub(crate) fn skip_common(&mut self, other: &mut Self) -> Result<(), VaultError> {
        while let (Some((mine, id)), Some((theirs, other_id))) = (self.next_page(), other.next_page()) {
            if id == other_id {
                self.pop();
                other.pop();
                continue;
            }
            if mine == 0 && theirs == 0 {
                break;
            }
            for (cursor, here, there) in [(&mut *self, mine, theirs), (&mut *other, theirs, mine)] {
                if here >= there
                    && let Some((level, child)) = cursor.pop()
                {
                    cursor.follow(level, &child)?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a page that must stand at `level`.
fn read_page(reader: &BlobReader<'_>, level: u8, id: &BlobId) -> Result<Page, VaultError> {
    read_page_where(reader, level, id, &mut |_| true)
}

/// The same, of a leaf only with the entries that are wanted.
pub(crate) fn read_page_where(
    reader: &BlobReader<'_>,
    level: u8,
    id: &BlobId,
    wanted: &mut dyn FnMut(&Key) -> bool,
) -> Result<Page, VaultError> {
    let broken = |source| VaultError::Format { what: "a page of the catalog", source };
    let page = Page::decode_where(&reader.fetch(id)?, wanted).map_err(broken)?;
    let found = match &page {
        Page::Leaf(_) => 0,
        Page::Inner { level, .. } => *level,
    };
    if found == level { Ok(page) } else { Err(broken(FormatError::Invalid { what: "catalog", why: "a page stands at the wrong level" })) }
}

/// Whether what was to be read is lost. What a newer release wrote is not.
pub(crate) fn is_damage(error: &VaultError) -> bool {
    matches!(error, VaultError::BlobLost { .. } | VaultError::Format { .. }) && !error.is_newer()
}

/// A part of a catalog that can't be read: from the first key up to the second (none: to the end).
#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) from: Key,
    pub(crate) until: Option<Key>,
}

impl Damage {
    /// Whether the entry with this key is lost with it.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        self.from <= *key && self.until.as_ref().is_none_or(|until| key < until)
    }

    /// Whether entries at or below `folder` may be lost with it.
    pub(crate) fn touches(&self, folder: &Key) -> bool {
        let ends_before = self.until.as_ref().is_some_and(|until| until <= folder);
        !ends_before && (self.from <= *folder || self.from.is_in(folder))
    }
}

/// What a walk over pages meets.
pub(crate) enum Visit<'a> {
    /// A page, before it is read: answer whether to go in.
    Page(&'a BlobId),
    /// The entries of a leaf.
    Leaf(Vec<(Key, Node)>),
    /// A page that is lost.
    Lost(Damage),
}

/// Visits a whole catalog, past damaged pages.
pub(crate) fn walk_pages(
    reader: &BlobReader<'_>,
    snapshot: &Snapshot,
    visit: &mut dyn FnMut(Visit<'_>) -> Result<bool, VaultError>,
) -> Result<(), VaultError> {
    walk_page(reader, snapshot.body.depth, &snapshot.body.root, &Key::root(), None, visit)
}

fn walk_page(
    reader: &BlobReader<'_>,
    level: u8,
    id: &BlobId,
    from: &Key,
    until: Option<&Key>,
    visit: &mut dyn FnMut(Visit<'_>) -> Result<bool, VaultError>,
) -> Result<(), VaultError> {
    if !visit(Visit::Page(id))? {
        return Ok(());
    }
    match read_page(reader, level, id) {
        Ok(Page::Leaf(entries)) => visit(Visit::Leaf(entries)).map(|_| ()),
        Ok(Page::Inner { children, .. }) => {
            for (at, child) in children.iter().enumerate() {
                let end = children.get(at + 1).map(|next| &next.first).or(until);
                walk_page(reader, level - 1, &child.page, &child.first, end, visit)?;
            }
            Ok(())
        }
        Err(error) if is_damage(&error) => visit(Visit::Lost(Damage { from: from.clone(), until: until.cloned() })).map(|_| ()),
        Err(other) => Err(other),
    }
}
