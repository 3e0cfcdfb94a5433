//! Reads an open file from start to end, several reads in flight, around its holes. Owns going on after a lost connection, which it does
//! only if the file is still the same; never reads past the size the file had when it was opened.

use std::collections::VecDeque;

use bytes::Bytes;
use keepwell_format::Gap;
use keepwell_format::port::Piece;
use keepwell_smb::{FileInfo, Open, OpenFile, Pending, SmbError, WidePath, attribute};

use super::gap;
use super::session::Session;
use crate::pace::AheadPermit;

/// Bytes asked for at once.
const READ: u32 = 1 << 20;

/// Reads in flight for one file, the one that is waited for included.
const IN_FLIGHT: usize = 8;

/// Answers in a row that bring less than was asked for.
const SHORT_MAX: usize = 1024;

/// Times that one file is opened again.
const REOPENED_MAX: usize = 5;

pub(super) struct LargeFile<'a> {
    session: &'a Session,
    path: WidePath,
    how: Open,
    file: OpenFile,
    /// As it was when it was opened first.
    info: FileInfo,
    /// Runs of data that are not asked for yet: start and end.
    runs: VecDeque<(u64, u64)>,
    in_flight: VecDeque<Asked<'a>>,
    /// Read and not handed on.
    data: Bytes,
    /// Where `data` begins; all before it is handed on.
    at: u64,
    size: u64,
    short: usize,
    reopened: usize,
    /// It is not what it was.
    changed: bool,
}

struct Asked<'a> {
    at: u64,
    length: u32,
    answer: Pending<Bytes>,
    /// The one that is waited for needs none.
    _permit: Option<AheadPermit<'a>>,
}

impl<'a> LargeFile<'a> {
    /// Opens it and sends the first reads.
    pub(super) fn open(session: &'a Session, path: WidePath, how: Open) -> Result<Self, SmbError> {
        let file = session.pace.small(|| session.again(|share| share.begin_open(&path, &how)?.wait()))?;
        let info = file.stat().info;
        let runs = runs(&file, &info)?;
        let mut opened = Self {
            session,
            path,
            how,
            file,
            info,
            runs,
            in_flight: VecDeque::new(),
            data: Bytes::new(),
            at: 0,
            size: info.size,
            short: 0,
            reopened: 0,
            changed: false,
        };
        match opened.receive() {
            // What was lost is got back by the next call.
            Err(error) if !error.is_gone() => Err(error),
            _ => Ok(opened),
        }
    }

    pub(super) fn file(&self) -> &OpenFile {
        &self.file
    }

    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let mut filled = 0;
        while filled < buffer.len() {
            if self.data.is_empty() {
                // What is here is handed on before anything is waited for, and before a hole.
                if filled > 0 && !self.in_flight.front().is_some_and(|asked| asked.at == self.at && asked.answer.is_ready()) {
                    break;
                }
                if let Some(hole) = self.hole() {
                    self.at += hole;
                    return Ok(Piece::Hole(hole));
                }
                self.fetch()?;
                if self.data.is_empty() {
                    break;
                }
            }
            let length = self.data.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&self.data.split_to(length));
            filled += length;
            self.at += length as u64;
        }
        Ok(if filled == 0 { Piece::End } else { Piece::Data(filled) })
    }

    /// Whether size and times are as they were when it was opened, at its end.
    pub(super) fn held_still(&mut self) -> Result<bool, Gap> {
        self.in_flight.clear();
        if self.changed {
            return Ok(false);
        }
        let look = |share: &keepwell_smb::Share| share.begin_stat(&self.path, self.how.want, self.how.as_of)?.wait();
        let now = self.session.again(look).map_err(|error| gap(&error))?.info;
        Ok(is_same(&self.info, &now))
    }

    /// Length of the hole that `at` lies in, if it does.
    fn hole(&self) -> Option<u64> {
        if self.changed {
            return None;
        }
        let data = self.in_flight.front().map(|asked| asked.at).or(self.runs.front().map(|run| run.0)).unwrap_or(self.size);
        data.checked_sub(self.at).filter(|hole| *hole > 0)
    }

    /// Gets the next run of bytes; leaves nothing in `data` at the end.
    fn fetch(&mut self) -> Result<(), Gap> {
        while let Err(error) = self.receive() {
            let since = self.session.share.generation();
            if !error.is_gone() || self.reopened >= self.session.deserves(REOPENED_MAX) {
                self.session.note(since, &error);
                return Err(gap(&error));
            }
            self.reopened += 1;
            self.reopen(&error)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), SmbError> {
        while self.data.is_empty() && !self.changed {
            self.ask()?;
            let Some(asked) = self.in_flight.pop_front() else { return Ok(()) };
            let (at, length) = (asked.at, asked.length);
            if at != self.at {
                // A hole comes first.
                self.in_flight.push_front(asked);
                return Ok(());
            }
            self.data = match asked.answer.wait() {
                Ok(data) => {
                    self.session.answered();
                    data
                }
                Err(error) => {
                    self.give_back(at, length);
                    return Err(error);
                }
            };
            self.take_short(at, length)?;
        }
        Ok(())
    }

    /// A server may answer less than was asked for: goes on behind that. Where nothing comes, the file was cut while it was read.
    fn take_short(&mut self, at: u64, length: u32) -> Result<(), SmbError> {
        let came = self.data.len() as u64;
        if came == 0 {
            self.changed = true;
            self.runs.clear();
            self.in_flight.clear();
        } else if came < u64::from(length) {
            self.short += 1;
            if self.short > SHORT_MAX {
                return Err(SmbError::Malformed { what: "reads that keep coming short" });
            }
            self.give_back(at + came, length - came as u32);
        }
        Ok(())
    }

    /// Puts a range and all that is in flight behind it back to what is to be read.
    fn give_back(&mut self, at: u64, length: u32) {
        let rest: Vec<_> = self.in_flight.drain(..).map(|asked| (asked.at, asked.at + u64::from(asked.length))).collect();
        rest.into_iter().rev().for_each(|run| self.runs.push_front(run));
        self.runs.push_front((at, at + u64::from(length)));
    }

    /// Sends reads as long as there is room. One is always in flight, if there is anything left to be read.
    fn ask(&mut self) -> Result<(), SmbError> {
        let most = READ.min(self.session.facts.max_read).max(1);
        while self.in_flight.len() < IN_FLIGHT {
            let Some((start, end)) = self.runs.front().copied() else { return Ok(()) };
            let permit = self.session.pace.ahead();
            if permit.is_none() && !self.in_flight.is_empty() {
                return Ok(());
            }
            let length = u32::try_from(end - start).map_or(most, |left| left.min(most));
            let answer = self.file.begin_read(start, length)?;
            self.in_flight.push_back(Asked { at: start, length, answer, _permit: permit });
            match self.runs.front_mut() {
                Some(run) if start + u64::from(length) < end => run.0 = start + u64::from(length),
                _ => drop(self.runs.pop_front()),
            }
        }
        Ok(())
    }

    /// Opens the file again over a new connection. If it is another one, or has changed, reading ends here.
    fn reopen(&mut self, why: &SmbError) -> Result<(), Gap> {
        let rest: Vec<_> = self.in_flight.drain(..).map(|asked| (asked.at, asked.at + u64::from(asked.length))).collect();
        rest.into_iter().rev().for_each(|run| self.runs.push_front(run));
        let generation = self.session.share.generation();
        if self.file.stale() || self.session.recover(generation) {
            let again = self.session.again(|share| share.begin_open(&self.path, &self.how)?.wait());
            self.file = again.map_err(|error| gap(&error))?;
            self.changed = !is_same(&self.info, &self.file.stat().info);
            return Ok(());
        }
        Err(gap(why))
    }
}

/// The runs of data: all of it, unless the file has holes.
fn runs(file: &OpenFile, info: &FileInfo) -> Result<VecDeque<(u64, u64)>, SmbError> {
    if info.attributes & attribute::SPARSE_FILE == 0 || info.size == 0 {
        return Ok(if info.size == 0 { VecDeque::new() } else { [(0, info.size)].into() });
    }
    let ranges = match file.allocated_ranges(0, info.size) {
        Err(error) if error.is_gone() => return Err(error),
        Err(_) => vec![(0, info.size)],
        Ok(ranges) => ranges,
    };
    Ok(ordered(&ranges, info.size))
}

/// Ranges as runs below `size`: ascending, apart, none empty.
fn ordered(ranges: &[(u64, u64)], size: u64) -> VecDeque<(u64, u64)> {
    let (mut runs, mut done): (VecDeque<(u64, u64)>, u64) = (VecDeque::new(), 0);
    for (start, length) in ranges {
        let (start, end) = ((*start).max(done), start.saturating_add(*length).min(size));
        if start < end {
            match runs.back_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => runs.push_back((start, end)),
            }
            done = end;
        }
    }
    runs
}

fn is_same(before: &FileInfo, now: &FileInfo) -> bool {
    (before.file_id, before.size, before.written, before.changed) == (now.file_id, now.size, now.written, now.changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_overlap_or_lie_outside_are_put_right() {
        assert_eq!(ordered(&[(0, 10), (10, 5), (20, 5), (22, 10), (1, 3), (40, u64::MAX)], 50), [(0, 15), (20, 32), (40, 50)]);
        assert_eq!(ordered(&[(60, 5), (7, 0)], 50), []);
        assert_eq!(ordered(&[(u64::MAX, u64::MAX)], 50), []);
    }
}
