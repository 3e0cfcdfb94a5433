//! Builds a catalog from entries in key order. Holds one page of each level.

use keepwell_format::blob::BlobKind;
use keepwell_format::page::{Child, InnerBuilder, LeafBuilder};
use keepwell_format::{BlobId, FormatError, Key, Node};

use crate::VaultError;
use crate::blobs::BlobWriter;
use crate::keys::Keys;

/// Collects entries into pages.
pub(crate) struct CatalogBuilder<'a> {
    keys: &'a Keys,
    leaf: Level<LeafBuilder>,
    inner: Vec<Level<InnerBuilder>>,
}

/// The page being filled at one level, and what lies below it.
struct Level<B> {
    page: B,
    first: Option<Key>,
    /// The first page referenced here, while it is the only one.
    only: Option<BlobId>,
    referenced: u64,
    entries: u64,
    bytes: u64,
    gaps: u64,
}

impl<B> Level<B> {
    fn new(page: B) -> Self {
        Self { page, first: None, only: None, referenced: 0, entries: 0, bytes: 0, gaps: 0 }
    }

    fn add(&mut self, key: &Key, entries: u64, bytes: u64, gaps: u64) {
        self.first.get_or_insert_with(|| key.clone());
        self.entries += entries;
        // Sparse files may claim more than there is.
        self.bytes = self.bytes.saturating_add(bytes);
        self.gaps += gaps;
    }

    /// The reference to the page just stored; begins the next one.
    fn child(&mut self, page: BlobId) -> Option<Child> {
        let first = self.first.take()?;
        let child = Child { first, page, entries: self.entries, bytes: self.bytes, gaps: self.gaps };
        (self.entries, self.bytes, self.gaps) = (0, 0, 0);
        Some(child)
    }
}

impl<'a> CatalogBuilder<'a> {
    pub(crate) fn new(keys: &'a Keys) -> Self {
        Self { keys, leaf: Level::new(LeafBuilder::new()), inner: Vec::new() }
    }

    /// Takes the next entry.
    pub(crate) fn push(&mut self, writer: &mut BlobWriter<'_>, key: &Key, node: &Node) -> Result<(), VaultError> {
        let bytes = node.content.as_ref().map_or(0, |content| content.size);
        let gaps = u64::from(node.gap.is_some() || node.inconsistent);
        let disorder = |source| VaultError::Format { what: "the source's list of entries", source };
        self.leaf.page.push(key, node).map_err(disorder)?;
        self.leaf.add(key, 1, bytes, gaps);
        if self.leaf.page.is_full() || self.keys.ends_page(0, key) {
            self.end_leaf(writer)?;
        }
        Ok(())
    }

    fn end_leaf(&mut self, writer: &mut BlobWriter<'_>) -> Result<(), VaultError> {
        let id = writer.store_page(BlobKind::Page, self.leaf.page.finish())?;
        match self.leaf.child(id) {
            Some(child) => self.push_child(writer, 1, child),
            None => Ok(()),
        }
    }

    fn push_child(&mut self, writer: &mut BlobWriter<'_>, level: u8, child: Child) -> Result<(), VaultError> {
        let at = usize::from(level) - 1;
        if self.inner.len() == at {
            self.inner.push(Level::new(InnerBuilder::new(level)));
        }
        let page = &mut self.inner[at];
        page.page.push(&child).expect("pages end in the order of their keys");
        page.referenced += 1;
        page.only = (page.referenced == 1).then_some(child.page);
        page.add(&child.first, child.entries, child.bytes, child.gaps);
        if page.page.is_full() || self.keys.ends_page(level, &child.first) {
            let id = writer.store_page(BlobKind::Page, page.page.finish())?;
            if let Some(child) = page.child(id) {
                return self.push_child(writer, level + 1, child);
            }
        }
        Ok(())
    }

    /// Ends all pages: the level and id of the root.
    pub(crate) fn finish(&mut self, writer: &mut BlobWriter<'_>) -> Result<(u8, BlobId), VaultError> {
        if self.leaf.first.is_some() {
            self.end_leaf(writer)?;
        }
        if self.inner.is_empty() {
            let source = FormatError::Invalid { what: "catalog", why: "not even the root is in it" };
            return Err(VaultError::Format { what: "the source's list of entries", source });
        }
        let mut level = 1;
        loop {
            let top = self.inner.len() == usize::from(level);
            let page = &mut self.inner[usize::from(level) - 1];
            // The tree ends at the level with one page: a single reference to it is not written.
            if let (true, Some(only)) = (top, page.only) {
                return Ok((level - 1, only));
            }
            if page.first.is_some() {
                let id = writer.store_page(BlobKind::Page, page.page.finish())?;
                if let Some(child) = page.child(id) {
                    self.push_child(writer, level + 1, child)?;
                }
            }
            level += 1;
        }
    }
}
