//! Reads one local file, data and holes. Never writes, never reads past the size the file had when it was opened.

use std::os::fd::OwnedFd;

use keepwell_format::port::{Piece, ReadFile, Steady};
use keepwell_format::{Gap, GapReason, Node};
use rustix::fs::{SeekFrom, Statx, seek};
use rustix::io::{Errno, pread};

use super::gap;
use super::metadata::{Place, Scratch, add_attributes, look, node as node_of};

/// An open file. What is appended while it is read is not read: a log that grows for ever still ends.
pub(super) struct LocalFile {
    file: OwnedFd,
    opened: Statx,
    /// The end, as far as is known.
    size: u64,
    at: u64,
    data_end: u64,
}

impl LocalFile {
    pub(super) fn new(file: OwnedFd, opened: Statx) -> Self {
        Self { file, size: opened.stx_size, opened, at: 0, data_end: 0 }
    }

    /// Finds the run of data at or behind `at`; returns where it starts. At the end of the last one: the size.
    fn find_data(&mut self) -> Result<u64, Errno> {
        let size = self.size;
        match seek(&self.file, SeekFrom::Data(self.at)) {
            Ok(start) if start < size => {
                self.data_end = match seek(&self.file, SeekFrom::Hole(start)) {
                    Ok(end) if end > start => end.min(size),
                    Ok(_) | Err(Errno::NXIO) => size,
                    Err(errno) => return Err(errno),
                };
                Ok(start)
            }
            Ok(_) | Err(Errno::NXIO) => Ok(size),
            // The file system knows no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                self.data_end = size;
                Ok(self.at)
            }
            Err(errno) => Err(errno),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let wanted = usize::try_from(self.data_end - self.at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut filled = 0;
        while filled < wanted {
            match pread(&self.file, &mut buffer[filled..wanted], self.at) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    self.at += read as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        if filled < wanted {
            // It was cut while it was read.
            self.size = self.at;
            self.data_end = self.at;
        }
        Ok(filled)
    }
}

impl ReadFile for LocalFile {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let failed = |errno| gap(errno, GapReason::Read);
        if self.at < self.size && self.at >= self.data_end {
            let start = self.find_data().map_err(failed)?;
            let hole = start - self.at;
            self.at = start;
            if hole > 0 {
                return Ok(Piece::Hole(hole));
            }
        }
        if self.at >= self.size {
            return Ok(Piece::End);
        }
        match self.fill(buffer).map_err(failed)? {
            0 => Ok(Piece::End),
            read => Ok(Piece::Data(read)),
        }
    }

    /// Compares with what was seen when the file was opened. If it changed before that but held still since, what was read is
    /// whole, and the node gets the metadata that belongs to it.
    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        let now = look(Place::Open(&self.file)).map_err(|errno| gap(errno, GapReason::Read))?;
        let volume = node.file_id.map_or(0, |id| id.volume);
        let (before, after) = (node_of(&self.opened, volume), node_of(&now, volume));
        if (self.opened.stx_size, before.mtime, before.ctime) != (now.stx_size, after.mtime, after.ctime) {
            return Ok(Steady::Changed);
        }
        if (node.mtime, node.ctime) != (after.mtime, after.ctime) {
            (node.owner, node.mtime, node.ctime, node.btime) = (after.owner, after.mtime, after.ctime, after.btime);
            add_attributes(node, Place::Open(&self.file), &mut Scratch::new());
        }
        Ok(Steady::Unchanged)
    }
}
