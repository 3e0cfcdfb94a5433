//! Reads restored files back and compares them with what the catalog says of them. Never writes.

use keepwell_format::node::{Content, Extents};
use keepwell_format::port::{Piece, ReadFile, Target};
use keepwell_format::{Gap, Key, Kind, Node};

use super::file::{Files, given_up};
use crate::VaultError;
use crate::catalog::for_each_extent;
use crate::chunker::ContentHasher;

/// Bytes asked for at once.
const BUFFER: usize = 1 << 20;

const CONTENT: &str = "content";

/// What of an entry is not as it should be: content, streams, and, with `metadata`, classes of that. `without` are streams that are known not to be
/// there.
pub(super) fn differences(files: Files<'_>, key: &Key, node: &Node, without: &[&[u8]], metadata: bool) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(content) = node.content.as_ref().filter(|_| node.kind == Kind::File) {
        found.extend(content_difference(files, key, None, content));
    }
    for stream in node.streams.iter().filter(|stream| !without.contains(&stream.name.as_slice())) {
        found.extend(content_difference(files, key, Some(&stream.name), &stream.content));
    }
    if metadata {
        found.extend(metadata_differences(files.target, key, node));
    }
    found
}

/// Classes of metadata that differ.
pub(super) fn metadata_differences(target: &dyn Target, key: &Key, node: &Node) -> Vec<String> {
    match target.differences(key, node) {
        Ok(classes) => classes.into_iter().map(str::to_owned).collect(),
        Err(gap) => vec![format!("its metadata could not be read back: {}", gap.text)],
    }
}

fn content_difference(files: Files<'_>, key: &Key, stream: Option<&[u8]>, content: &Content) -> Option<String> {
    let what = stream.map_or_else(|| CONTENT.to_owned(), |name| format!("stream {}", name.escape_ascii()));
    match is_same(files, key, stream, content) {
        Ok(true) => None,
        Ok(false) => Some(what),
        Err(why) => Some(format!("{what} could not be read back: {why}")),
    }
}

/// Why a comparison ended early.
enum Stop {
    Differs,
    Read(Gap),
    Vault(VaultError),
}

fn is_same(files: Files<'_>, key: &Key, stream: Option<&[u8]>, content: &Content) -> Result<bool, String> {
    let file = files.target.read(key, stream).map_err(|gap| gap.text)?;
    let length = usize::try_from(content.size).unwrap_or(BUFFER).clamp(1, BUFFER);
    let mut back = Back { file, buffer: vec![0; length], from: 0, to: 0, hole: 0, hash: ContentHasher::default(), at: 0 };
    match back.compare(files, &content.extents, content.size) {
        Ok(()) => Ok(back.hash.finish() == (content.size, content.hash)),
        Err(Stop::Differs) => Ok(false),
        Err(Stop::Read(gap)) => Err(gap.text),
        Err(Stop::Vault(error)) => Err(error.to_string()),
    }
}

/// A file that is read back. Which bytes are data and which are holes, the catalog says: a target may turn one into the other.
struct Back<'a> {
    file: Box<dyn ReadFile + 'a>,
    buffer: Vec<u8>,
    /// What of the buffer was read and not looked at yet.
    from: usize,
    to: usize,
    /// The same, of a hole.
    hole: u64,
    hash: ContentHasher,
    at: u64,
}

impl Back<'_> {
    fn compare(&mut self, files: Files<'_>, extents: &Extents, size: u64) -> Result<(), Stop> {
        let mut stop = None;
        let walked = for_each_extent(files.reader, extents, &mut |extent| {
            let hole = extent.at.checked_sub(self.at).ok_or(Stop::Differs);
            let done = hole.and_then(|hole| self.take_hole(hole)).and_then(|()| self.take_data(extent.length.into()));
            done.map_err(|why| {
                stop = Some(why);
                given_up()
            })
        });
        stop.map_or(Ok(()), Err)?;
        walked.map_err(Stop::Vault)?;
        self.take_hole(size.checked_sub(self.at).ok_or(Stop::Differs)?)?;
        if self.more()? { Err(Stop::Differs) } else { Ok(()) }
    }

    fn take_data(&mut self, length: u64) -> Result<(), Stop> {
        const ZEROS: [u8; 4096] = [0; 4096];
        self.take(length, |hash, run| match run {
            Run::Bytes(bytes) => {
                hash.data(bytes);
                true
            }
            Run::Hole(mut left) => {
                while left > 0 {
                    let count = left.min(ZEROS.len() as u64);
                    hash.data(&ZEROS[..count as usize]);
                    left -= count;
                }
                true
            }
        })
    }

    fn take_hole(&mut self, length: u64) -> Result<(), Stop> {
        self.take(length, |_, run| match run {
            Run::Bytes(bytes) => bytes.iter().all(|byte| *byte == 0),
            Run::Hole(_) => true,
        })?;
        self.hash.hole(length);
        Ok(())
    }

    /// Hands the next `length` bytes to `look`, which answers whether they are as they should be.
    fn take(&mut self, length: u64, look: impl Fn(&mut ContentHasher, Run<'_>) -> bool) -> Result<(), Stop> {
        let mut left = length;
        while left > 0 {
            if !self.more()? {
                return Err(Stop::Differs);
            }
            let (run, count) = if self.hole > 0 {
                let count = self.hole.min(left);
                self.hole -= count;
                (Run::Hole(count), count)
            } else {
                let count = usize::try_from(left).map_or(self.to - self.from, |left| left.min(self.to - self.from));
                self.from += count;
                (Run::Bytes(&self.buffer[self.from - count..self.from]), count as u64)
            };
            if !look(&mut self.hash, run) {
                return Err(Stop::Differs);
            }
            left -= count;
            self.at += count;
        }
        Ok(())
    }

    /// Whether something is left, having read on if need be.
    fn more(&mut self) -> Result<bool, Stop> {
        if self.hole == 0 && self.from == self.to {
            match self.file.next(&mut self.buffer).map_err(Stop::Read)? {
                Piece::Data(count) => (self.from, self.to) = (0, count.min(self.buffer.len())),
                Piece::Hole(count) => self.hole = count,
                Piece::End => {}
            }
        }
        Ok(self.hole > 0 || self.from < self.to)
    }
}

enum Run<'a> {
    Bytes(&'a [u8]),
    Hole(u64),
}
