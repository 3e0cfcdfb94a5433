//! Where a file's bytes are: a short list in the entry, or a tree of pages for a file with many extents. Built as a stream.

use keepwell_format::blob::BlobKind;
use keepwell_format::extents::{ExtentPage, ExtentRun, MAX_INLINE_EXTENTS};
use keepwell_format::node::Extents;
use keepwell_format::{BlobId, Extent, FormatError};

use crate::VaultError;
use crate::blobs::{BlobReader, BlobWriter};
use crate::keys::first_u64;

/// Items of an extent page at most.
const PAGE_ITEMS: usize = 512;
/// Mean number of items of a page.
const PAGE_MEAN: u64 = 128;

/// Collects a file's extents.
#[derive(Default)]
pub(crate) struct ExtentsBuilder {
    inline: Vec<Extent>,
    tree: Option<Tree>,
}

#[derive(Default)]
struct Tree {
    runs: Vec<ExtentRun>,
    /// End of the last extent.
    end: u64,
    /// Bytes of the file that the open leaf covers.
    covered: u64,
    inner: Vec<Vec<(BlobId, u64)>>,
    /// Pages ever referenced at a level; the single one of the top level is the root.
    referenced: Vec<u64>,
}

impl ExtentsBuilder {
    pub(crate) fn push(&mut self, writer: &mut BlobWriter<'_>, extent: Extent) -> Result<(), VaultError> {
        if let Some(tree) = &mut self.tree {
            return tree.push(writer, extent);
        }
        self.inline.push(extent);
        if self.inline.len() > MAX_INLINE_EXTENTS {
            let mut tree = Tree::default();
            self.inline.drain(..).try_for_each(|extent| tree.push(writer, extent))?;
            self.tree = Some(tree);
        }
        Ok(())
    }

    pub(crate) fn finish(self, writer: &mut BlobWriter<'_>) -> Result<Extents, VaultError> {
        match self.tree {
            None => Ok(Extents::Inline(self.inline)),
            Some(tree) => tree.finish(writer),
        }
    }
}

fn ends_page(id: &BlobId, items: usize) -> bool {
    items >= PAGE_ITEMS || first_u64(&id.0).is_multiple_of(PAGE_MEAN)
}

impl Tree {
    fn push(&mut self, writer: &mut BlobWriter<'_>, extent: Extent) -> Result<(), VaultError> {
        let hole = extent.at - self.end;
        self.end = extent.at + u64::from(extent.length);
        self.covered += hole + u64::from(extent.length);
        self.runs.push(ExtentRun { hole, blob: extent.blob, offset: extent.offset, length: extent.length });
        if ends_page(&extent.blob, self.runs.len()) { self.end_leaf(writer) } else { Ok(()) }
    }

    fn end_leaf(&mut self, writer: &mut BlobWriter<'_>) -> Result<(), VaultError> {
        if self.runs.is_empty() {
            return Ok(());
        }
        let id = writer.store_page(BlobKind::Extents, ExtentPage::Leaf(std::mem::take(&mut self.runs)).encode())?;
        let covered = std::mem::take(&mut self.covered);
        self.push_child(writer, 1, id, covered)
    }

    fn push_child(&mut self, writer: &mut BlobWriter<'_>, level: u8, id: BlobId, covered: u64) -> Result<(), VaultError> {
        let at = usize::from(level) - 1;
        if self.inner.len() == at {
            self.inner.push(Vec::new());
            self.referenced.push(0);
        }
        self.inner[at].push((id, covered));
        self.referenced[at] += 1;
        if ends_page(&id, self.inner[at].len()) { self.end_inner(writer, level) } else { Ok(()) }
    }

    fn end_inner(&mut self, writer: &mut BlobWriter<'_>, level: u8) -> Result<(), VaultError> {
        let children = std::mem::take(&mut self.inner[usize::from(level) - 1]);
        let covered = children.iter().map(|(_, covered)| covered).sum();
        let id = writer.store_page(BlobKind::Extents, ExtentPage::Inner { level, children }.encode())?;
        self.push_child(writer, level + 1, id, covered)
    }

    fn finish(mut self, writer: &mut BlobWriter<'_>) -> Result<Extents, VaultError> {
        self.end_leaf(writer)?;
        let mut level = 1;
        loop {
            let at = usize::from(level) - 1;
            if self.inner.len() == at + 1 && self.referenced[at] == 1 && self.inner[at].len() == 1 {
                return Ok(Extents::Tree { depth: level - 1, root: self.inner[at][0].0 });
            }
            if !self.inner[at].is_empty() {
                self.end_inner(writer, level)?;
            }
            level += 1;
        }
    }
}

/// Visits a file's extents in order.
pub(crate) fn for_each_extent(
    reader: &BlobReader<'_>,
    extents: &Extents,
    visit: &mut dyn FnMut(Extent) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    match extents {
        Extents::Inline(list) => list.iter().try_for_each(|extent| visit(*extent)),
        Extents::Tree { depth, root } => visit_page(reader, *depth, root, &mut 0, visit),
    }
}

fn visit_page(
    reader: &BlobReader<'_>,
    level: u8,
    id: &BlobId,
    at: &mut u64,
    visit: &mut dyn FnMut(Extent) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    let broken = |source| VaultError::Format { what: "a page of a file's extent tree", source };
    match ExtentPage::decode(&reader.fetch(id)?).map_err(broken)? {
        ExtentPage::Leaf(runs) if level == 0 => runs.into_iter().try_for_each(|run| {
            let overflow = || broken(FormatError::Invalid { what: "extent tree", why: "it reaches beyond the longest file there can be" });
            let start = at.checked_add(run.hole).ok_or_else(overflow)?;
            *at = start.checked_add(u64::from(run.length)).ok_or_else(overflow)?;
            visit(Extent { at: start, blob: run.blob, offset: run.offset, length: run.length })
        }),
        ExtentPage::Inner { level: found, children } if found == level => {
            children.iter().try_for_each(|(child, _)| visit_page(reader, level - 1, child, at, visit))
        }
        _ => Err(broken(FormatError::Invalid { what: "extent tree", why: "a page stands at the wrong level" })),
    }
}
