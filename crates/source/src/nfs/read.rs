//! Reads one file of an export with several READs in flight. Never reads past the size the file had when it was opened.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use keepwell_format::port::{Piece, ReadFile, Steady, Walked};
use keepwell_format::{Gap, GapReason, Node};
use keepwell_nfs::{AccessLists, Attributes, FileType, Handle, NfsError, ReadData};

use super::gaps::{gap, vanished};
use super::link::Sent;
use super::node::{node as node_of, time};
use super::tree::Tree;

/// Reads of one file in flight.
const WINDOW: usize = 4;
/// Zeros of this length, at a multiple of it, are a hole where the file has holes.
const HOLE: u64 = 64 << 10;

pub(super) struct NfsFile<'a> {
    tree: &'a Tree,
    handle: Handle,
    opened: Attributes,
    /// Another answer than the first told of a change.
    changed: bool,
    /// The end, as far as is known.
    size: u64,
    /// What was answered and not yet handed out.
    data: Bytes,
    /// Where `data` begins.
    at: u64,
    reads: VecDeque<(u64, u32, Sent<ReadData>)>,
    /// Where the next READ begins.
    next: u64,
    lists: Option<Sent<AccessLists>>,
    /// It takes less room than it is long.
    sparse: bool,
    answers: u32,
}

impl<'a> NfsFile<'a> {
    /// Opens a file of the walk, and waits for its first bytes.
    pub(super) fn open(tree: &'a Tree, entry: &Walked) -> Result<Self, Gap> {
        let id = entry.node.file_id.ok_or_else(vanished)?;
        let handle = match tree.handles.file(id) {
            Some(handle) => handle,
            None => tree.handles.entry(&tree.link, &entry.key).map_err(|error| gap(&error, GapReason::Read))?.0,
        };
        Self::open_at(tree, handle, entry.size, id.file)
    }

    /// Opens what a handle stands for, which must be the regular file of this number. The size may be out of date.
    pub(super) fn open_at(tree: &'a Tree, handle: Handle, size: u64, file_id: u128) -> Result<Self, Gap> {
        let failed = |error: NfsError| gap(&error, GapReason::Read);
        // Stands in until the first answer.
        let mut file = Self::new(tree, handle, tree.root, size);
        file.fill();
        let first = file.settle_first().map_err(failed)?;
        file.opened = match first.attributes {
            Some(seen) => seen,
            None => tree.link.call(|export| export.begin_attributes(&file.handle)).map_err(failed)?,
        };
        if file.opened.kind != FileType::Regular || u128::from(file.opened.fileid) != file_id {
            return Err(vanished());
        }
        file.size = file.opened.size;
        file.sparse = file.opened.used < file.size - file.size / 8;
        file.take(first, 0);
        Ok(file)
    }

    fn new(tree: &'a Tree, handle: Handle, opened: Attributes, size: u64) -> Self {
        let lists = tree.has_access_lists().then(|| tree.link.send(|export| export.begin_access_lists(&handle)));
        let (data, reads) = (Bytes::new(), VecDeque::new());
        Self { tree, handle, opened, changed: false, size, data, at: 0, reads, next: 0, lists, sparse: false, answers: 0 }
    }

    /// Keeps the window of reads full. An empty file is asked for a byte, to see whether it may be read.
    fn fill(&mut self) {
        let most = self.tree.link.export().facts().max_read;
        while self.reads.len() < WINDOW && (self.next < self.size || self.next == 0) {
            let count = u32::try_from(self.size - self.next).map_or(most, |left| left.min(most)).max(1);
            let sent = self.tree.link.send(|export| export.begin_read(&self.handle, self.next, count));
            self.reads.push_back((self.next, count, sent));
            self.next += u64::from(count);
        }
    }

    fn settle_first(&mut self) -> Result<ReadData, NfsError> {
        let Some((at, count, sent)) = self.reads.pop_front() else { return Err(NfsError::Malformed("no read is under way")) };
        let read = self.tree.link.settle(sent, |export| export.begin_read(&self.handle, at, count))?;
        let (got, short) = (read.data.len() as u64, (read.data.len() as u32) < count);
        if short && got == 0 && !read.end {
            return Err(NfsError::Malformed("neither data nor the end of the file"));
        }
        if short && !read.end {
            let (at, count) = (at + got, count - read.data.len() as u32);
            let rest = self.tree.link.send(|export| export.begin_read(&self.handle, at, count));
            self.reads.push_front((at, count, rest));
        }
        Ok(read)
    }

    /// Takes an answer for what begins at `at`.
    fn take(&mut self, mut read: ReadData, at: u64) {
        self.answers += 1;
        if let Some(now) = read.attributes {
            self.changed |= !same(&self.opened, &now);
        }
        let left = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX);
        read.data.truncate(left);
        let end = at + read.data.len() as u64;
        if read.end && end < self.size {
            // It was cut while it was read.
            self.size = end;
            self.changed = true;
        }
        (self.data, self.at) = (read.data, at);
    }

    /// Has data to hand out, or is at the end.
    fn refill(&mut self) -> Result<bool, NfsError> {
        while self.data.is_empty() {
            if self.at >= self.size {
                self.reads.clear();
                return Ok(false);
            }
            self.fill();
            let at = self.at;
            let read = self.settle_first()?;
            self.take(read, at);
        }
        Ok(true)
    }

    fn advance(&mut self, length: usize) {
        self.data.advance(length);
        self.at += length as u64;
    }

    /// Length of the block that `data` begins with: up to the next multiple of [`HOLE`].
    fn block(&self, from: usize) -> usize {
        let at = self.at + from as u64;
        let whole = usize::try_from(HOLE - at % HOLE).unwrap_or(usize::MAX);
        whole.min(self.data.len() - from)
    }

    fn is_hole(&self, from: usize) -> bool {
        is_zero(&self.data[from..from + self.block(from)])
    }

    /// Bytes of holes from here on.
    fn hole(&mut self) -> Result<u64, NfsError> {
        let mut length = 0;
        while self.sparse && self.refill()? && self.is_hole(0) {
            let block = self.block(0);
            self.advance(block);
            length += block as u64;
        }
        Ok(length)
    }

    fn copy(&mut self, buffer: &mut [u8]) -> usize {
        let mut length = self.data.len();
        if self.sparse {
            length = self.block(0);
            while length < self.data.len() && !self.is_hole(length) {
                length += self.block(length);
            }
        }
        let length = length.min(buffer.len());
        buffer[..length].copy_from_slice(&self.data[..length]);
        self.advance(length);
        length
    }
}

impl ReadFile for NfsFile<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let failed = |error: NfsError| gap(&error, GapReason::Read);
        match self.hole().map_err(failed)? {
            0 => {}
            length => return Ok(Piece::Hole(length)),
        }
        let mut filled = 0;
        while filled < buffer.len() && self.refill().map_err(failed)? && !(self.sparse && self.is_hole(0)) {
            filled += self.copy(&mut buffer[filled..]);
        }
        Ok(if filled == 0 { Piece::End } else { Piece::Data(filled) })
    }

    /// Compares with what was seen when the file was opened. If it changed before that but held still since, what was read is whole, and the node
    /// gets the metadata that belongs to it.
    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        let link = &self.tree.link;
        let fresh = (node.mtime, node.ctime) == (Some(time(self.opened.mtime)), Some(time(self.opened.ctime)));
        // One answer holds both data and what was true after it was read.
        let told = fresh && self.answers == 1;
        if !self.changed && !told {
            let now = link.call(|export| export.begin_attributes(&self.handle)).map_err(|error| gap(&error, GapReason::Read))?;
            self.changed = !same(&self.opened, &now);
        }
        if self.changed {
            return Ok(Steady::Changed);
        }
        if !fresh {
            let after = node_of(&self.opened);
            (node.owner, node.mtime, node.ctime, node.links) = (after.owner, after.mtime, after.ctime, after.links);
        }
        if let Some(sent) = self.lists.take() {
            Tree::add_lists(node, link.settle(sent, |export| export.begin_access_lists(&self.handle)));
        }
        Ok(Steady::Unchanged)
    }
}

fn same(a: &Attributes, b: &Attributes) -> bool {
    (a.size, a.mtime, a.ctime, a.fileid) == (b.size, b.mtime, b.ctime, b.fileid)
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    rest.iter().all(|byte| *byte == 0) && words.iter().all(|word| word.iter().fold(0, |all, byte| all | byte) == 0)
}
