//! The one writer: opens a ledger after whatever happened to it, and adds records to it.
//!
//! Order of a record: its bytes, their sync, then the answer. What a power cut left of a record that was never acknowledged is cut off; any other damage
//! stays as it is, and a new file names it. Never writes over a record.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::codec;
use crate::error::AuditError;
use crate::file::{Broken, HEADER_LEN, Header, NoHeader, frame};
use crate::folder::{self, Folder};
use crate::hash::{Hash, Head};
use crate::record::{Draft, Record};
use crate::scan::{Piece, Pieces};
use crate::verify::{Fault, FaultKind};

/// A file that has so many bytes gets no more records.
pub const FILE_MAX: u64 = 16 << 20;

/// What was found when a ledger was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its last record.
    pub head: Head,
    /// So many bytes of a record that was never acknowledged were cut off: the power failed.
    pub torn_bytes: u64,
    /// The newest file is broken. It stays as it is; what is added goes to a new file that names the break.
    pub broken: Option<Fault>,
}

/// A ledger, open for writing. One process has it at a time.
#[derive(Debug)]
pub struct Ledger {
    folder: Folder,
    head: Head,
    /// What the next record holds as the hash before it.
    link: Hash,
    place: Place,
    file_max: u64,
}

/// Where the next record goes.
#[derive(Debug)]
enum Place {
    /// To the end of a file.
    File { file: File, number: u32, length: u64 },
    /// To a file to be made.
    New { number: u32, broken: Option<Broken> },
}

impl Ledger {
    /// Opens the ledger in `folder`, which is made if it is not there. Looks at the newest file alone; [`crate::verify`] looks at all.
    pub fn open(folder: &Path) -> Result<(Self, Opened), AuditError> {
        let folder = Folder::open(folder)?;
        let numbers = folder::numbers(folder.path())?;
        let Some(&number) = numbers.last() else {
            let place = Place::New { number: 1, broken: None };
            let ledger = Self { folder, head: Head::EMPTY, link: Hash::ZERO, place, file_max: FILE_MAX };
            return Ok((ledger, Opened { head: Head::EMPTY, torn_bytes: 0, broken: None }));
        };
        let last = Last::look(folder.path(), number)?;
        let (head, place) = match &last.fault {
            None => (last.head, last.resume(&folder, number)?),
            Some(fault) => (last_readable(folder.path(), &numbers)?, last.give_up(folder.path(), number, fault)?),
        };
        let opened = Opened { head, torn_bytes: last.torn, broken: last.fault };
        Ok((Self { folder, head, link: last.link, place, file_max: FILE_MAX }, opened))
    }

    /// Begins a new file sooner than at [`FILE_MAX`].
    pub fn rotating_at(self, bytes: u64) -> Self {
        Self { file_max: bytes.min(FILE_MAX), ..self }
    }

    /// The last record.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Adds a record. When this returns it is durable; if it fails, the record is not there, and the next one may be tried.
    pub fn append(&mut self, draft: &Draft) -> Result<Head, AuditError> {
        // So that a draft that is no record makes no file.
        codec::encode(0, Hash::ZERO, draft).map_err(AuditError::Draft)?;
        self.make_room()?;
        let seq = self.head.seq.saturating_add(1);
        let record = codec::encode(seq, self.link, draft).map_err(AuditError::Draft)?;
        let frame = frame(&record);
        let Place::File { file, number, length } = &mut self.place else { unreachable!("there is room in a file") };
        // What an attempt that failed left there is cut off first: it must not show behind a shorter record.
        let written = file.set_len(*length).and_then(|()| file.write_all_at(&frame, *length)).and_then(|()| file.sync_data());
        written.map_err(AuditError::io("written", folder::file_path(self.folder.path(), *number)))?;
        *length += frame.len() as u64;
        self.head = Head { seq, hash: Hash::of_record(&record) };
        self.link = self.head.hash;
        Ok(self.head)
    }

    /// Up to `max` records from number `from` on, in order; those that are damaged are missing.
    pub fn read(&self, from: u64, max: usize) -> Result<Vec<Record>, AuditError> {
        crate::read::read(self.folder.path(), from, max)
    }

    fn make_room(&mut self) -> Result<(), AuditError> {
        let (number, broken) = match &self.place {
            Place::File { length, .. } if *length < self.file_max => return Ok(()),
            Place::File { number, .. } => (number.saturating_add(1), None),
            Place::New { number, broken } => (*number, *broken),
        };
        let header = Header { number, previous: self.head, broken };
        let file = self.folder.make_file(&header)?;
        self.link = header.hash();
        self.place = Place::File { file, number, length: HEADER_LEN as u64 };
        Ok(())
    }
}

/// What the newest file says.
struct Last {
    head: Head,
    link: Hash,
    /// Where the next record would go.
    end: u64,
    torn: u64,
    fault: Option<Fault>,
}

impl Last {
    fn look(folder: &Path, number: u32) -> Result<Self, AuditError> {
        let newer = || AuditError::Newer(folder::file_path(folder, number));
        let (bytes, longer) = folder::read_file(folder, number)?;
        let header = match Header::decode(&bytes) {
            Ok(header) if header.number == number => header,
            Err(NoHeader::Newer) => return Err(newer()),
            _ => return Ok(Self::broken(Fault { file: number, offset: 0, seq: 0, kind: FaultKind::Header })),
        };
        let mut last = Self { head: header.previous, link: header.hash(), end: HEADER_LEN as u64, torn: 0, fault: None };
        for piece in Pieces::of(&bytes) {
            let fault = |offset, kind| Some(Fault { file: number, offset, seq: last.head.seq.saturating_add(1), kind });
            last.fault = match piece {
                Piece::Newer => return Err(newer()),
                Piece::Record { offset, length, record, hash }
                    if last.head.seq.checked_add(1) == Some(record.seq) && record.before == last.link =>
                {
                    last.head = Head { seq: record.seq, hash };
                    last.link = hash;
                    last.end = offset + length;
                    continue;
                }
                Piece::Torn { length, .. } if !longer => {
                    last.torn = length;
                    continue;
                }
                Piece::Record { offset, .. } => fault(offset, FaultKind::Unlinked),
                Piece::Torn { offset, length } | Piece::Damaged { offset, length, .. } => {
                    fault(offset, FaultKind::Damaged { bytes: length })
                }
            };
            break;
        }
        Ok(last)
    }

    fn broken(fault: Fault) -> Self {
        Self { head: Head::EMPTY, link: Hash::ZERO, end: 0, torn: 0, fault: Some(fault) }
    }

    /// Cuts off what is torn, and goes on in this file.
    fn resume(&self, folder: &Folder, number: u32) -> Result<Place, AuditError> {
        let file = folder.open_file(number)?;
        if self.torn > 0 {
            let cut = file.set_len(self.end).and_then(|()| file.sync_all());
            cut.map_err(AuditError::io("written", folder::file_path(folder.path(), number)))?;
        }
        Ok(Place::File { file, number, length: self.end })
    }

    /// Leaves this file as it is, and goes on in a new one.
    fn give_up(&self, folder: &Path, number: u32, fault: &Fault) -> Result<Place, AuditError> {
        let (length, digest) = folder::digest(folder, number)?;
        Ok(Place::New { number: number.saturating_add(1), broken: Some(Broken { file: number, offset: fault.offset, length, digest }) })
    }
}

/// The record with the highest number that can still be read, so that none is given twice.
fn last_readable(folder: &Path, numbers: &[u32]) -> Result<Head, AuditError> {
    for number in numbers.iter().rev() {
        let (bytes, _) = folder::read_file(folder, *number)?;
        let mut head = Header::decode(&bytes).map_or(Head::EMPTY, |header| header.previous);
        for piece in Pieces::of(&bytes) {
            if let Piece::Record { record, hash, .. } = piece
                && record.seq > head.seq
            {
                head = Head { seq: record.seq, hash };
            }
        }
        if head != Head::EMPTY {
            return Ok(head);
        }
    }
    Ok(Head::EMPTY)
}
