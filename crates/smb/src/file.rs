//! Files that stay open: read, written, asked about. Owns reads and writes in flight; what changes a file is in `change`.

use bytes::Bytes;

use crate::connection::Answer;
use crate::handle::{Handle, succeeded};
use crate::visit::{Visit, Visited};
use crate::wire::fscc::{decode_ranges, encode_range};
use crate::wire::info::{Class, encode_query};
use crate::wire::payload::output;
use crate::wire::{close, ioctl, transfer};
use crate::{CloseInfo, NtStatus, Open, Pending, Share, SmbError, Stat, WidePath};

/// Answers about the ranges of one file, of 4,096 ranges each; what is behind them counts as data.
const MOST_ANSWERS: u32 = 64;

/// Bytes of an answer that lists allocated ranges.
const RANGES: u32 = 64 << 10;

/// An open file, folder or stream. Closed when dropped; reads and writes in flight should be waited for before.
#[derive(Debug)]
pub struct OpenFile {
    pub(crate) handle: Handle,
    pub(crate) share: Share,
    stat: Stat,
    is_new: bool,
}

impl Share {
    /// Opens. Sends all, with questions for the wanted parts, and does not wait.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn begin_open(&self, path: &WidePath, how: &Open) -> Result<Pending<OpenFile>, SmbError> {
        let share = self.clone();
        let visit = Visit { share: self.clone(), path: path.clone(), open: how.clone(), read: 0, keep: true };
        visit.begin(|Visited { handle, is_new, stat, .. }| OpenFile { handle, share, stat, is_new })
    }
}

impl OpenFile {
    /// What it was when it was opened.
    #[must_use]
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Whether opening has made it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether its connection is gone, and it has to be opened again.
    #[must_use]
    pub fn stale(&self) -> bool {
        self.handle.is_stale()
    }

    /// Reads at most `length` bytes, or what one read can bring: may come short, and empty at the end of the file.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn begin_read(&self, at: u64, length: u32) -> Result<Pending<Bytes>, SmbError> {
        let length = length.min(self.share.max_read());
        let exchange = self.handle.send(transfer::encode_read(self.handle.file(), at, length))?;
        Ok(Pending::new(exchange, move |_, answers| {
            let answer = crate::handle::only(answers)?;
            if answer.status == NtStatus::END_OF_FILE {
                return Ok(Bytes::new());
            }
            transfer::decode_read(&succeeded(answer, "read")?.body, length)
        }))
    }

    /// Writes at most as much as one write can take; gives the number of bytes that were written.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn begin_write(&self, at: u64, bytes: &[u8]) -> Result<Pending<u32>, SmbError> {
        let bytes = &bytes[..bytes.len().min(self.share.max_write() as usize)];
        let sent = bytes.len() as u32;
        let exchange = self.handle.send(transfer::encode_write(self.handle.file(), at, bytes))?;
        Ok(Pending::new(exchange, move |_, answers| transfer::decode_write(&succeeded(crate::handle::only(answers)?, "write")?.body, sent)))
    }

    /// Where there is data between `at` and `at + length`: start and length of each run, ascending, apart. Servers that can't say: all.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn allocated_ranges(&self, at: u64, length: u64) -> Result<Vec<(u64, u64)>, SmbError> {
        let end = at.saturating_add(length).min(i64::MAX as u64);
        let (mut from, mut ranges) = (at, Vec::new());
        for _ in 0..MOST_ANSWERS {
            let question =
                ioctl::encode(self.handle.file(), ioctl::QUERY_ALLOCATED_RANGES, &encode_range(from, end.max(from) - from), RANGES);
            let answer = self.handle.ask(question)?;
            if answer.status.is_unsupported() {
                break;
            }
            let is_cut = answer.status == NtStatus::BUFFER_OVERFLOW;
            let answer = if is_cut { answer } else { succeeded(answer, "query allocated ranges")? };
            ranges.extend(decode_ranges(&ioctl::decode(&answer.body, RANGES)?, from, end)?);
            if !is_cut {
                return Ok(ranges);
            }
            from = ranges.last().map_or(at, |(start, length)| start + length);
        }
        if from < end {
            ranges.push((from, end - from));
        }
        Ok(ranges)
    }

    /// The security descriptor with these parts: [`crate::part`].
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn descriptor(&self, parts: u32) -> Result<Vec<u8>, SmbError> {
        const ASKED: u32 = 64 << 10;
        let answer = self.ask(encode_query(self.handle.file(), Class::Security(parts), ASKED), "read descriptor")?;
        Ok(output(&answer.body, ASKED, "QUERY_INFO answer")?.to_vec())
    }

    /// Returns when the server has the file on its disk.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn flush(&self) -> Result<(), SmbError> {
        self.ask(close::encode_flush(self.handle.file()), "flush").map(drop)
    }

    /// Closes, and says what the file is like then. Reads and writes in flight must have been waited for.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn close(self) -> Result<CloseInfo, SmbError> {
        self.begin_close()?.wait()
    }

    /// Closes; does not wait.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn begin_close(mut self) -> Result<Pending<CloseInfo>, SmbError> {
        let exchange = self.handle.send(close::encode(self.handle.file(), true))?;
        self.handle.closed();
        Ok(Pending::new(exchange, |_, answers| {
            let answer = succeeded(crate::handle::only(answers)?, "close")?;
            close::decode(&answer.body)?.ok_or(SmbError::Malformed { what: "CLOSE answer without attributes" })
        }))
    }

    pub(crate) fn ask(&self, request: crate::connection::Request, during: &'static str) -> Result<Answer, SmbError> {
        succeeded(self.handle.ask(request)?, during)
    }
}
