//! The verifier: reads all files of a ledger and says where it is not what was written. One file in memory at a time; needs no key and no lock.

use std::fmt;
use std::path::Path;

use crate::error::AuditError;
use crate::file::{Broken, Header, NoHeader};
use crate::folder;
use crate::hash::{Hash, Head};
use crate::record::Record;
use crate::scan::{Piece, Pieces};

/// So many faults are told one by one.
const FAULTS_MAX: usize = 1000;

/// What is wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Number of the file.
    pub file: u32,
    /// Byte in the file.
    pub offset: u64,
    /// Number of the record that is wrong, or that should be here.
    pub seq: u64,
    /// How.
    pub kind: FaultKind,
}

/// How a ledger can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The file is not there.
    NoFile,
    /// The file's header is damaged, or is not what fits here.
    Header,
    /// A record is not what was written, or the bytes are no record at all.
    Damaged {
        /// So many bytes.
        bytes: u64,
    },
    /// Records are not there, up to this number.
    Missing {
        /// The last of them.
        last: u64,
    },
    /// The record does not follow the one before it: one of the two was put in another's place.
    Unlinked,
    /// The record is in the wrong place: those after it come before it.
    OutOfOrder,
    /// The record is there twice.
    Duplicate,
    /// A file that was found broken was changed since.
    ChangedSince,
    /// The ledger ends before the record that it is known to have.
    Truncated {
        /// Which one that is.
        expected: Head,
    },
    /// The record that it is known to have is another one: the ledger was written anew.
    OtherHistory,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, seq, kind } = self;
        match kind {
            FaultKind::NoFile => write!(f, "file {file} is missing, from record {seq} on"),
            FaultKind::Header => write!(f, "file {file}: its header is not what was written (before record {seq})"),
            FaultKind::Damaged { bytes } => {
                write!(f, "record {seq} is not what was written (file {file}, {bytes} bytes from byte {offset})")
            }
            FaultKind::Missing { last } if last == seq => write!(f, "record {seq} was removed (file {file}, byte {offset})"),
            FaultKind::Missing { last } => write!(f, "records {seq} to {last} were removed (file {file}, byte {offset})"),
            FaultKind::Unlinked => {
                write!(f, "record {seq} does not follow the one before it: one of them was replaced (file {file}, byte {offset})")
            }
            FaultKind::OutOfOrder => write!(f, "record {seq} is not in its place (file {file}, byte {offset})"),
            FaultKind::Duplicate => write!(f, "record {seq} is there twice (file {file}, byte {offset})"),
            FaultKind::ChangedSince => write!(f, "file {file} was found broken, and was changed after that"),
            FaultKind::Truncated { expected } => {
                write!(
                    f,
                    "the ledger ends before record {seq}, but is known to have had record {} (file {file}, byte {offset})",
                    expected.seq
                )
            }
            FaultKind::OtherHistory => {
                write!(f, "record {seq} is not the one that the ledger is known to have had (file {file}, byte {offset})")
            }
        }
    }
}

/// What the verifier found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The last record that can be read.
    pub head: Head,
    /// Records that can be read.
    pub records: u64,
    /// Files.
    pub files: u32,
    /// Bytes of a record at the end that was being written when the power failed, and was never acknowledged.
    pub torn_bytes: u64,
    /// What is wrong, the first thousand, in the order of the files.
    pub faults: Vec<Fault>,
    /// How many there are in all.
    pub faults_in_all: u64,
}

impl Verdict {
    /// Whether every record is the one that was written, and, with an expected head, none after it was cut off.
    pub fn is_sound(&self) -> bool {
        self.faults_in_all == 0
    }
}

/// Reads the whole ledger in `folder`. With the head it is known to have had, a ledger that was cut or written anew is found too; without, what was cut off
/// whole records from its end can't be.
pub fn verify(folder: &Path, expected: Option<Head>) -> Result<Verdict, AuditError> {
    let verdict = Verdict { head: Head::EMPTY, records: 0, files: 0, torn_bytes: 0, faults: Vec::new(), faults_in_all: 0 };
    let mut check = Check { verdict, link: Some(Hash::ZERO), expected, at: (1, 0), torn: None, skipped: 0, before: None, faulty: None };
    let mut next = 1;
    for number in folder::numbers(folder)? {
        if number != next {
            check.fault_at(next, 0, check.due(), FaultKind::NoFile);
            check.link = None;
        }
        check.file(folder, number)?;
        next = number.saturating_add(1);
    }
    Ok(check.end())
}

struct Check {
    verdict: Verdict,
    /// The hash that the next record has to hold; none where it can't be known, after a fault that was told.
    link: Option<Hash>,
    expected: Option<Head>,
    /// File and byte that is looked at.
    at: (u32, u64),
    /// The torn end of the file that is looked at.
    torn: Option<(u64, u64)>,
    /// Damaged records since the head.
    skipped: u64,
    /// The file before, if it is there.
    before: Option<u32>,
    /// The last file that something was wrong in.
    faulty: Option<u32>,
}

impl Check {
    fn file(&mut self, folder: &Path, number: u32) -> Result<(), AuditError> {
        let (bytes, longer) = folder::read_file(folder, number)?;
        self.torn_is_damage();
        self.verdict.files += 1;
        self.at = (number, 0);
        match Header::decode(&bytes) {
            Ok(header) => self.header(folder, number, &header)?,
            Err(NoHeader::Newer) => return Err(AuditError::Newer(folder::file_path(folder, number))),
            Err(NoHeader::Damaged) => {
                self.fault(self.due(), FaultKind::Header);
                self.link = None;
            }
        }
        for piece in Pieces::of(&bytes) {
            match piece {
                Piece::Record { offset, record, hash, .. } => {
                    self.at.1 = offset;
                    self.record(&record, hash);
                }
                Piece::Newer => return Err(AuditError::Newer(folder::file_path(folder, number))),
                Piece::Damaged { offset, length, one } => self.damaged(offset, length, one),
                Piece::Torn { offset, length } => {
                    self.at.1 = offset;
                    self.torn = Some((offset, length));
                }
            }
        }
        self.at.1 = bytes.len() as u64;
        if longer {
            self.torn_is_damage();
            self.fault(self.due(), FaultKind::Damaged { bytes: 0 });
        }
        self.before = Some(number);
        Ok(())
    }

    fn header(&mut self, folder: &Path, number: u32, header: &Header) -> Result<(), AuditError> {
        let head = self.verdict.head;
        let follows = match (self.link, header.broken) {
            (Some(_), None) => header.previous == head,
            // The fault was told where it is.
            (None, None) => header.previous.seq >= head.seq,
            (_, Some(broken)) => self.names_a_break(folder, &broken)? && header.previous.seq >= head.seq,
        };
        if header.number != number || !follows {
            self.fault(self.due(), FaultKind::Header);
        }
        // Records of a broken file that can't be read any more.
        self.verdict.head = if header.previous.seq >= head.seq { header.previous } else { head };
        self.skipped = 0;
        self.link = Some(header.hash());
        Ok(())
    }

    /// Whether the file before was broken, as this says. One that is no longer as it was found is a fault of its own.
    fn names_a_break(&mut self, folder: &Path, broken: &Broken) -> Result<bool, AuditError> {
        if self.before != Some(broken.file) {
            return Ok(false);
        }
        if folder::digest(folder, broken.file)? != (broken.length, broken.digest) {
            self.fault_at(broken.file, broken.offset, self.due(), FaultKind::ChangedSince);
            return Ok(true);
        }
        Ok(self.faulty == Some(broken.file))
    }

    /// A torn end is one only if nothing comes after it.
    fn torn_is_damage(&mut self) {
        if let Some((offset, bytes)) = self.torn.take() {
            self.at.1 = offset;
            self.fault(self.due(), FaultKind::Damaged { bytes });
        }
    }

    /// The number of the record that should come next.
    fn due(&self) -> u64 {
        self.verdict.head.seq.saturating_add(1).saturating_add(self.skipped)
    }

    fn record(&mut self, record: &Record, hash: Hash) {
        let head = self.verdict.head;
        self.verdict.records += 1;
        if record.seq <= head.seq {
            let kind = if hash == head.hash { FaultKind::Duplicate } else { FaultKind::OutOfOrder };
            return self.fault(record.seq, kind);
        }
        let due = self.due();
        if record.seq > due && self.link.is_some() {
            self.fault(due, FaultKind::Missing { last: record.seq - 1 });
        } else if self.link.is_some_and(|link| link != record.before) {
            self.fault(record.seq, FaultKind::Unlinked);
        }
        if self.expected.is_some_and(|expected| expected.seq == record.seq && expected.hash != hash) {
            self.fault(record.seq, FaultKind::OtherHistory);
        }
        self.verdict.head = Head { seq: record.seq, hash };
        self.skipped = 0;
        self.link = Some(hash);
    }

    fn damaged(&mut self, offset: u64, bytes: u64, one: bool) {
        self.at.1 = offset;
        self.fault(self.due(), FaultKind::Damaged { bytes });
        self.link = None;
        self.skipped += u64::from(one);
    }

    fn end(mut self) -> Verdict {
        let head = self.verdict.head;
        if let Some(expected) = self.expected.filter(|expected| expected.seq > head.seq) {
            self.fault(self.due(), FaultKind::Truncated { expected });
        }
        self.verdict.torn_bytes = self.torn.map_or(0, |(_, bytes)| bytes);
        self.verdict
    }

    fn fault(&mut self, seq: u64, kind: FaultKind) {
        let (file, offset) = self.at;
        self.fault_at(file, offset, seq, kind);
    }

    fn fault_at(&mut self, file: u32, offset: u64, seq: u64, kind: FaultKind) {
        self.faulty = Some(file);
        self.verdict.faults_in_all += 1;
        if self.verdict.faults.len() < FAULTS_MAX {
            self.verdict.faults.push(Fault { file, offset, seq, kind });
        }
    }
}
