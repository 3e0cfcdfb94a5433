//! The records of one file, one after the other, and what is between them that is none. Pure: bytes in, pieces out, always forward.

use crate::error::InvalidRecord;
use crate::file::{FRAME_EXTRA, Framed, HEADER_LEN, Header, NoHeader, framed, lacks_a_sector};
use crate::hash::Hash;
use crate::record::Record;

/// So many bytes are hashed in search of the next record: more only files need that were made to need it.
const SEARCH_MAX: usize = 256 << 20;

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A record whose own hash fits.
    Record {
        /// Where its frame begins.
        offset: u64,
        /// Bytes of the frame.
        length: u64,
        /// What it says.
        record: Record,
        /// Its hash.
        hash: Hash,
    },
    /// Bytes that are no record, with others after them or as long as one.
    Damaged {
        /// Where they begin.
        offset: u64,
        /// How many.
        length: u64,
        /// Whether this was exactly one record.
        one: bool,
    },
    /// The end of a file, as a power cut leaves it: less than the one record that was being written.
    Torn {
        /// Where it begins.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
    /// A record of a later version.
    Newer,
}

/// The pieces of a file after its header.
#[derive(Debug)]
pub struct Pieces<'a> {
    file: &'a [u8],
    at: usize,
    budget: usize,
}

impl<'a> Pieces<'a> {
    /// Of the bytes of a whole file.
    pub fn of(file: &'a [u8]) -> Self {
        Self { file, at: HEADER_LEN.min(file.len()), budget: SEARCH_MAX }
    }

    fn take(&mut self, length: usize) -> (u64, u64) {
        let offset = self.at as u64;
        self.at += length;
        (offset, length as u64)
    }

    fn record(&mut self, bytes: &[u8], hash: Hash) -> Piece {
        let (offset, length) = self.take(bytes.len() + FRAME_EXTRA);
        match Record::decode(bytes) {
            Ok(record) => Piece::Record { offset, length, record, hash },
            Err(_) if bytes[0] > crate::codec::VERSION => Piece::Newer,
            Err(InvalidRecord(_)) => Piece::Damaged { offset, length, one: true },
        }
    }

    /// Where the next whole record begins, counted from here; else the end.
    fn next_whole(&mut self) -> Option<usize> {
        let rest = &self.file[self.at..];
        for skip in 1..rest.len() {
            match framed(&rest[skip..]) {
                Framed::Whole { .. } => return Some(skip),
                Framed::Changed { length } => self.budget = self.budget.checked_sub(length)?,
                Framed::Cut | Framed::None => {}
            }
        }
        None
    }

    fn no_frame(&mut self, cut: bool) -> Piece {
        let tail = &self.file[self.at..];
        let next = self.next_whole();
        let torn = next.is_none() && (cut || lacks_a_sector(self.at, tail));
        let (offset, length) = self.take(next.unwrap_or(tail.len()));
        if torn { Piece::Torn { offset, length } } else { Piece::Damaged { offset, length, one: false } }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let rest = self.file.get(self.at..).filter(|rest| !rest.is_empty())?;
        Some(match framed(rest) {
            Framed::Whole { record, hash } => self.record(record, hash),
            Framed::Changed { length } if length == rest.len() && lacks_a_sector(self.at, rest) => {
                let (offset, length) = self.take(length);
                Piece::Torn { offset, length }
            }
            Framed::Changed { length } if length == rest.len() || framed(&rest[length..]) != Framed::None => {
                let (offset, length) = self.take(length);
                Piece::Damaged { offset, length, one: true }
            }
            Framed::Cut => self.no_frame(true),
            // Bytes were taken out or put in, so that the frame does not end where it says.
            Framed::Changed { .. } | Framed::None => self.no_frame(false),
        })
    }
}

/// Reads a whole file, for fuzzing: whether its header holds, and its pieces.
pub fn check_file(file: &[u8]) -> (bool, Vec<Piece>) {
    let header = Header::decode(file);
    if let Ok(header) = header {
        assert!(file.starts_with(&header.encode()), "a header has one encoding");
    }
    (!matches!(header, Err(NoHeader::Damaged)), Pieces::of(file).collect())
}
