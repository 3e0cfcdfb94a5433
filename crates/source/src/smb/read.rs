//! Reads one file of a share, several reads ahead. Never reads past the size the file had when it was opened.

use std::collections::VecDeque;
use std::sync::Arc;

use keepwell_format::port::{Piece, ReadFile, Steady, Walked};
use keepwell_format::{Gap, Node};
use smb2::{ErrorKind, FileInfo, FileReader};
use tokio::task::JoinHandle;

use super::source::SmbSource;
use super::{gap, time};

/// Bytes asked for at once.
const READ: u64 = 512 << 10;

/// Reads in flight for one file: with 16 files at a time, 32 MiB are held at most.
const AHEAD: usize = 4;

/// Up to here a file comes in one round trip.
const SMALL: u64 = 64 << 10;

pub(super) struct SmbFile<'a> {
    source: &'a SmbSource,
    path: String,
    opened: FileInfo,
    /// None if it came whole when it was opened.
    reader: Option<Arc<FileReader>>,
    ahead: VecDeque<(u64, JoinHandle<smb2::Result<Vec<u8>>>)>,
    /// Where the next read starts.
    asked: u64,
    /// Bytes that came.
    delivered: u64,
    /// Read and not yet handed on.
    data: Vec<u8>,
    taken: usize,
}

impl<'a> SmbFile<'a> {
    pub(super) fn open(source: &'a SmbSource, entry: &Walked) -> smb2::Result<Self> {
        let path = source.path(&entry.key);
        let mut connection = source.connection.clone();
        let mut file = Self {
            source,
            path,
            opened: FileInfo::default(),
            reader: None,
            ahead: VecDeque::new(),
            asked: 0,
            delivered: 0,
            data: Vec::new(),
            taken: 0,
        };
        if entry.size <= SMALL {
            let whole = source.tree.read_file_compound_sized_with_info(&mut connection, &file.path, SMALL);
            match source.runtime.block_on(whole) {
                Ok((data, info)) => {
                    (file.delivered, file.data, file.opened) = (data.len() as u64, data, info);
                    return Ok(file);
                }
                // It has grown since the walk.
                Err(error) if error.kind() == ErrorKind::TooLarge => {}
                Err(error) => return Err(error),
            }
        }
        let reader = source.runtime.block_on(source.tree.open_file_reader(connection, &file.path))?;
        file.opened = reader.info().clone();
        file.reader = Some(Arc::new(reader));
        Ok(file)
    }

    /// Gets the next run of bytes; leaves nothing in `data` at the end.
    fn fetch(&mut self) -> Result<(), Gap> {
        let Some(reader) = &self.reader else { return Ok(()) };
        while self.ahead.len() < AHEAD && self.asked < self.opened.size {
            let (reader, at, length) = (Arc::clone(reader), self.asked, READ.min(self.opened.size - self.asked));
            self.ahead.push_back((length, self.source.runtime.spawn(async move { reader.read_at(at, length).await })));
            self.asked += length;
        }
        let Some((length, read)) = self.ahead.pop_front() else { return Ok(()) };
        let read = self.source.runtime.block_on(read).map_err(|_| gap(&smb2::Error::Cancelled))?;
        self.data = read.map_err(|error| gap(&error))?;
        let came = self.data.len() as u64;
        self.delivered += came;
        if came < length {
            // A server may answer less than was asked for: goes on behind that. Where nothing comes, the file was cut while it was read.
            self.ahead.drain(..).for_each(|(_, read)| read.abort());
            self.asked = if came == 0 { u64::MAX } else { self.delivered };
        }
        Ok(())
    }
}

impl ReadFile for SmbFile<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let mut filled = 0;
        while filled < buffer.len() {
            if self.taken == self.data.len() {
                (self.data, self.taken) = (Vec::new(), 0);
                self.fetch()?;
                if self.data.is_empty() {
                    break;
                }
            }
            let length = (buffer.len() - filled).min(self.data.len() - self.taken);
            buffer[filled..filled + length].copy_from_slice(&self.data[self.taken..self.taken + length]);
            filled += length;
            self.taken += length;
        }
        Ok(if filled == 0 { Piece::End } else { Piece::Data(filled) })
    }

    /// Compares with what was seen when the file was opened. If it changed before that but held still since, what was read is
    /// whole, and the node gets the times that belong to it.
    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        if self.delivered != self.opened.size {
            return Ok(Steady::Changed);
        }
        // What came in one round trip had no time to change.
        if self.reader.is_some() {
            let mut connection = self.source.connection.clone();
            let stat = self.source.tree.stat(&mut connection, &self.path);
            let now = self.source.runtime.block_on(stat).map_err(|error| gap(&error))?;
            let unlike = |a: &FileInfo, b: &FileInfo| (a.size, a.modified, a.changed) != (b.size, b.modified, b.changed);
            if unlike(&self.opened, &now) {
                return Ok(Steady::Changed);
            }
        }
        node.mtime = time(self.opened.modified);
        node.ctime = time(self.opened.changed);
        node.btime = time(self.opened.created);
        node.dos = Some(self.opened.attributes.0);
        Ok(Steady::Unchanged)
    }
}
