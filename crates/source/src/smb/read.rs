//! Opens files and streams of a share: small ones in one round trip, the others in pieces, and those that somebody holds closed from a
//! snapshot of the server.

use bytes::Bytes;
use keepwell_format::port::{Piece, ReadFile, Steady};
use keepwell_format::{Gap, GapReason, Node};
use keepwell_smb::{Fetched, FileTime, NtStatus, Open, SmbError, Stat, Want, WidePath, attribute};

use super::folder::EVERYTHING;
use super::large::LargeFile;
use super::metadata::{complete, opened, streams};
use super::session::Session;
use super::time;
use crate::utc;

/// Up to here a file comes in one round trip.
const SMALL: u64 = 1 << 20;

/// Requests are paid for in units of this many bytes (MS-SMB2 3.1.5.2).
pub(super) const UNIT: u64 = 64 << 10;

/// Snapshots that are tried for one file.
const SNAPSHOTS_TRIED: usize = 8;

/// What is to be read.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) path: WidePath,
    /// As far as is known.
    pub(super) size: u64,
    /// It may have holes.
    pub(super) is_sparse: bool,
    pub(super) want: Want,
    pub(super) as_of: Option<FileTime>,
}

impl Wanted {
    /// A file with all that belongs to it.
    pub(super) fn file(path: WidePath, size: u64, is_sparse: bool, as_of: Option<FileTime>) -> Self {
        Self { path, size, is_sparse, want: EVERYTHING, as_of }
    }

    /// Whether one request brings all of it, if it is no longer than it was.
    pub(super) fn is_small(&self, session: &Session) -> bool {
        self.size <= SMALL.min(session.facts.max_read.into()) && !self.is_sparse
    }

    /// Bytes to ask for in that request.
    pub(super) fn limit(&self, session: &Session) -> u32 {
        (self.size + 1).next_multiple_of(UNIT).min(session.facts.max_read.into()) as u32
    }

    /// An alternate stream, whose size is not known.
    pub(super) fn stream(path: WidePath, as_of: Option<FileTime>) -> Self {
        Self { path, size: 0, is_sparse: false, want: Want::default(), as_of }
    }
}

/// A file that is being read.
pub(super) struct SmbFile<'a> {
    body: Body<'a>,
    stat: Stat,
    /// The snapshot that stands in for a file that is held closed.
    stand_in: Option<FileTime>,
}

enum Body<'a> {
    /// All of it came; and whether it held still.
    Whole(Bytes, bool),
    Pieces(Box<LargeFile<'a>>),
}

impl<'a> SmbFile<'a> {
    /// Opens it as it is.
    pub(super) fn open(session: &'a Session, wanted: &Wanted) -> Result<Self, SmbError> {
        if wanted.is_small(session) {
            let limit = wanted.limit(session);
            let fetch = || session.again_content(|share| share.begin_fetch(&wanted.path, limit, wanted.want, wanted.as_of)?.wait());
            // What a large answer takes is the network's affair, not the server's.
            let fetched = if wanted.size < UNIT { session.pace.small(fetch) } else { session.pace.turn(fetch) }?;
            if let Some(file) = Self::whole(fetched) {
                return Ok(file);
            }
            // It has grown since the walk, or has holes.
        }
        let file = LargeFile::open(session, wanted.path.clone(), Open::reading(wanted.want, wanted.as_of))?;
        Ok(Self { stat: file.file().stat().clone(), body: Body::Pieces(Box::new(file)), stand_in: None })
    }

    /// What came in one request, if that is all of it.
    pub(super) fn whole(fetched: Fetched) -> Option<Self> {
        let held_still = fetched.held_still().unwrap_or(true);
        let Fetched { stat, data, whole, .. } = fetched;
        let has_holes = stat.info.attributes & attribute::SPARSE_FILE != 0 && stat.info.size > 0;
        (whole && !has_holes).then_some(Self { body: Body::Whole(data, held_still), stat, stand_in: None })
    }

    /// Opens it as of the newest of these snapshots that has it.
    pub(super) fn stand_in(session: &'a Session, wanted: &Wanted, snapshots: &[FileTime]) -> Option<Self> {
        snapshots.iter().take(SNAPSHOTS_TRIED).find_map(|snapshot| {
            let then = Wanted { as_of: Some(*snapshot), ..wanted.clone() };
            Self::open(session, &then).ok().map(|file| Self { stand_in: Some(*snapshot), ..file })
        })
    }

    pub(super) fn stands_in(&self) -> Option<FileTime> {
        self.stand_in
    }
}

/// Whether somebody else keeps it from being read.
pub(super) fn is_held(error: &SmbError) -> bool {
    matches!(error.status(), Some(NtStatus::SHARING_VIOLATION | NtStatus::FILE_LOCK_CONFLICT | NtStatus::LOCK_NOT_GRANTED))
}

impl ReadFile for SmbFile<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        match &mut self.body {
            Body::Pieces(file) => file.next(buffer),
            Body::Whole(data, _) if data.is_empty() => Ok(Piece::End),
            Body::Whole(data, _) => {
                let length = data.len().min(buffer.len());
                buffer[..length].copy_from_slice(&data.split_to(length));
                Ok(Piece::Data(length))
            }
        }
    }

    /// Compares with what was seen when the file was opened. If it changed before that but held still since, what was read is
    /// whole, and the node gets the times that belong to it.
    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        let held_still = match &mut self.body {
            Body::Whole(_, held_still) => *held_still,
            Body::Pieces(file) => file.held_still()?,
        };
        if !held_still {
            return Ok(Steady::Changed);
        }
        opened(node, &self.stat.info);
        complete(node, &self.stat);
        if let Some(snapshot) = self.stand_in {
            let then = time(snapshot).map_or_else(String::new, utc);
            let text = format!("held open by another program; its content is as of the server's snapshot of {then}");
            node.gap = Some(Gap { reason: GapReason::Locked, text });
        }
        Ok(Steady::Unchanged)
    }

    fn streams(&self) -> Vec<Vec<u8>> {
        streams(&self.stat)
    }
}
