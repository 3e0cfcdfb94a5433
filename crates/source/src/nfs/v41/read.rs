//! Reads one file of an export of version 4.1, with several READs in flight. Never reads past the size the file had when it was opened.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use keepwell_format::port::{Piece, ReadFile, Steady, Walked};
use keepwell_format::{Gap, GapReason, Node};
use keepwell_nfs::{Attributes, FileType};
use nfs_rs::{NfsError, OPEN_READ};
use tokio::task::JoinHandle;

use super::super::gaps::vanished;
use super::super::node::{node as node_of, time};
use super::{Tree41, attributes, gap};

/// Reads of one file in flight.
const WINDOW: usize = 4;

pub(super) struct File41<'a> {
    tree: &'a Tree41,
    handle: Bytes,
    opened: Attributes,
    size: u64,
    data: Bytes,
    at: u64,
    reads: VecDeque<(u32, JoinHandle<nfs_rs::Result<Bytes>>)>,
    next: u64,
}

impl<'a> File41<'a> {
    pub(super) fn open(tree: &'a Tree41, entry: &Walked) -> Result<Self, Gap> {
        let failed = |error: NfsError| gap(&error, GapReason::Read);
        let (folder, name) = tree.place(entry.key.as_bytes()).map_err(failed)?;
        let handle = tree.call(tree.mount.open(folder, &name, OPEN_READ)).map_err(failed)?.fh;
        // From here on dropping it closes the file.
        let mut file = Self { tree, handle, opened: tree.seen, size: 0, data: Bytes::new(), at: 0, reads: VecDeque::new(), next: 0 };
        file.opened = file.look()?;
        file.size = file.opened.size;
        let same = entry.node.file_id.is_some_and(|id| id.file == u128::from(file.opened.fileid));
        if same && file.opened.kind == FileType::Regular { Ok(file) } else { Err(vanished()) }
    }

    fn look(&self) -> Result<Attributes, Gap> {
        let seen = self.tree.call(self.tree.mount.getattr(self.handle.clone())).map_err(|error| gap(&error, GapReason::Read))?;
        attributes(&seen).ok_or_else(vanished)
    }

    fn send(&self, at: u64, count: u32) -> (u32, JoinHandle<nfs_rs::Result<Bytes>>) {
        let (mount, handle) = (Arc::clone(&self.tree.mount), self.handle.clone());
        (count, self.tree.runtime.spawn(async move { mount.read(handle, at, count).await }))
    }

    fn refill(&mut self) -> Result<(), NfsError> {
        let most = self.tree.mount.get_max_read_size().clamp(4096, 1 << 20);
        while self.reads.len() < WINDOW && self.next < self.size {
            let count = u32::try_from(self.size - self.next).map_or(most, |left| left.min(most));
            self.reads.push_back(self.send(self.next, count));
            self.next += u64::from(count);
        }
        let Some((count, read)) = self.reads.pop_front() else { return Ok(()) };
        let ended = |_| NfsError::ClientClosed("the client ended".into());
        let data = self.tree.call(async { read.await.unwrap_or_else(|error| Err(ended(error))) })?;
        if data.len() > count as usize {
            return Err(NfsError::Rpc("the server sent more than was asked for".into()));
        }
        let (got, rest) = (data.len() as u64, count - data.len() as u32);
        if got == 0 {
            // It was cut while it was read.
            self.size = self.at;
        } else if rest > 0 {
            let again = self.send(self.at + got, rest);
            self.reads.push_front(again);
        }
        self.data = data;
        Ok(())
    }
}

impl ReadFile for File41<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let mut filled = 0;
        while filled < buffer.len() && self.at < self.size {
            if self.data.is_empty() {
                self.refill().map_err(|error| gap(&error, GapReason::Read))?;
            }
            let length = self.data.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&self.data[..length]);
            self.data.advance(length);
            self.at += length as u64;
            filled += length;
        }
        Ok(if filled == 0 { Piece::End } else { Piece::Data(filled) })
    }

    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        let now = self.look()?;
        let (before, after) = (node_of(&self.opened), node_of(&now));
        if (self.opened.size, before.mtime, before.ctime) != (now.size, after.mtime, after.ctime) || self.size != now.size {
            return Ok(Steady::Changed);
        }
        if (node.mtime, node.ctime) != (Some(time(now.mtime)), Some(time(now.ctime))) {
            (node.owner, node.mtime, node.ctime, node.links) = (after.owner, after.mtime, after.ctime, after.links);
        }
        Ok(Steady::Unchanged)
    }
}

impl Drop for File41<'_> {
    fn drop(&mut self) {
        self.reads.drain(..).for_each(|(_, read)| read.abort());
        // The server forgets what is left open when the lease ends.
        let _ = self.tree.call(self.tree.mount.close(self.handle.clone()));
    }
}
