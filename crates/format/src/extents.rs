//! Pages of extent trees: where the bytes of a file in many pieces are (`docs/format.md` 8.3).

use crate::blob::MAX_BLOB;
use crate::codec::{Reader, Writer};
use crate::page::{MAX_LEVEL, read_level};
use crate::table::{BlobTable, Table};
use crate::{BlobId, FormatError};

/// Most extents in an entry of the catalog; a file with more has an extent tree.
pub const MAX_INLINE_EXTENTS: usize = 64;
/// Most items of a page.
pub const MAX_PAGE_ITEMS: usize = 512;

const WHAT: &str = "extent page";
/// Shortest run: hole, index, offset, length.
const LEAST_RUN: usize = 4;
/// Shortest child: id and one varint.
const LEAST_CHILD: usize = 33;

/// A run of a file, after the run before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentRun {
    /// Bytes of hole before it.
    pub hole: u64,
    /// The blob.
    pub blob: BlobId,
    /// Where in the blob's plaintext.
    pub offset: u32,
    /// Bytes, > 0.
    pub length: u32,
}

/// A page of an extent tree, with 1 to [`MAX_PAGE_ITEMS`] items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtentPage {
    /// Level 0: runs in order.
    Leaf(Vec<ExtentRun>),
    /// Levels above.
    Inner {
        /// From 1.
        level: u8,
        /// Pages one level below, and the bytes of file that each covers, holes included.
        children: Vec<(BlobId, u64)>,
    },
}

impl ExtentPage {
    /// The page's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(64 * MAX_INLINE_EXTENTS);
        match self {
            Self::Leaf(runs) => {
                let mut body = Writer::with_capacity(8 * runs.len());
                let mut blobs = BlobTable::default();
                for run in runs {
                    write_run(&mut body, &mut blobs, run.hole, run.blob, run.offset, run.length);
                }
                out.u8(1).u8(0);
                blobs.write(&mut out);
                out.count(runs.len()).raw(body.as_bytes());
            }
            Self::Inner { level, children } => {
                out.u8(1).u8(*level).count(children.len());
                for (page, bytes) in children {
                    out.raw(&page.0).varint(*bytes);
                }
            }
        }
        out.into_bytes()
    }

    /// Parses a page.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let page = match read_level(&mut reader, WHAT)? {
            0 => Self::Leaf(read_runs(&mut reader)?),
            level if level <= MAX_LEVEL => Self::Inner { level, children: read_children(&mut reader)? },
            _ => return Err(reader.invalid("the tree is too deep")),
        };
        reader.finish()?;
        Ok(page)
    }
}

/// `varint hole ‖ varint index ‖ varint offset ‖ varint length`.
pub(crate) fn write_run(out: &mut Writer, blobs: &mut BlobTable, hole: u64, blob: BlobId, offset: u32, length: u32) {
    out.varint(hole).varint(blobs.index_of(blob)).varint(offset.into()).varint(length.into());
}

/// The same, read.
pub(crate) fn read_run(reader: &mut Reader<'_>, blobs: &mut Table<BlobId>) -> Result<ExtentRun, FormatError> {
    let (hole, blob) = (reader.varint()?, blobs.item(reader)?);
    let (offset, length) = (reader.varint32()?, reader.varint32()?);
    let end = u64::from(offset) + u64::from(length);
    reader.check(length > 0 && end <= MAX_BLOB as u64, "an extent lies outside its blob")?;
    Ok(ExtentRun { hole, blob, offset, length })
}

fn read_runs(reader: &mut Reader<'_>) -> Result<Vec<ExtentRun>, FormatError> {
    let mut blobs = Table::read(reader, BlobId::LEN, Reader::blob)?;
    let count = read_count(reader, LEAST_RUN)?;
    let mut runs = Vec::with_capacity(count);
    let mut end = 0u64;
    for _ in 0..count {
        let run = read_run(reader, &mut blobs)?;
        let next = end.checked_add(run.hole).and_then(|at| at.checked_add(run.length.into()));
        end = next.ok_or(reader.invalid("an extent is out of bounds"))?;
        runs.push(run);
    }
    blobs.finish(reader)?;
    Ok(runs)
}

fn read_children(reader: &mut Reader<'_>) -> Result<Vec<(BlobId, u64)>, FormatError> {
    let count = read_count(reader, LEAST_CHILD)?;
    let mut children = Vec::with_capacity(count);
    let mut end = 0u64;
    for _ in 0..count {
        let (page, bytes) = (reader.blob()?, reader.varint()?);
        reader.check(bytes > 0, "a page covers nothing")?;
        end = end.checked_add(bytes).ok_or(reader.invalid("the pages cover too much"))?;
        children.push((page, bytes));
    }
    Ok(children)
}

fn read_count(reader: &mut Reader<'_>, least: usize) -> Result<usize, FormatError> {
    let count = reader.count(least)?;
    reader.check(count > 0 && count <= MAX_PAGE_ITEMS, "no items, or more than 512")?;
    Ok(count)
}
