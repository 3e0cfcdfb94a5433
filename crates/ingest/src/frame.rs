//! Frames: `u32 length ‖ u8 kind ‖ u32 channel ‖ payload`, little-endian. Owns kinds, their caps, and reading them without more copies than need be.
//! Never allocates for a length that its kind may not have.

use std::io::{self, Read};
use std::sync::Mutex;

use crate::IngestError;

/// Bytes before the payload.
pub(crate) const HEAD: usize = 9;
/// Bytes of file content in one frame, at most.
pub(crate) const DATA_MAX: usize = 1 << 20;
/// A frame with entries or a node.
pub(crate) const NODE_MAX: usize = 4 << 20;
/// Any other frame: two keys and a little.
const CONTROL_MAX: usize = 512 << 10;
/// What is read at once when frames are short.
const BUFFER: usize = 64 << 10;
/// What is read at once where the next frame is probably long: its content is then read to where it stays.
const GLANCE: usize = 512;
/// Pieces that a file is read in, and buffers that are kept.
pub(crate) const PIECE: usize = 256 << 10;
const KEPT: usize = 16;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// What a frame is. Below 128: from the caller.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Kind {
            $($(#[$doc])* $name = $value,)*
        }

        impl Kind {
            fn of(value: u8) -> Option<Self> {
                match value {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// Magic and version.
    Hello = 1,
    /// Order of a source.
    Source = 2,
    /// Order of a target.
    Target = 3,
    /// Begins a walk.
    Walk = 4,
    /// Entries were taken.
    WalkCredit = 5,
    /// No more entries are wanted.
    WalkStop = 6,
    /// Entries below this number are not opened any more.
    Done = 7,
    /// Opens a file that nobody waits for yet.
    Expect = 8,
    /// Opens a file.
    Open = 9,
    /// Opens an alternate stream.
    OpenStream = 10,
    /// More of a file may be sent.
    Credit = 11,
    /// A file is not wanted any more.
    Drop = 12,
    /// Asks what an account may do.
    Check = 13,
    /// [`keepwell_format::port::Target::look`]
    Look = 16,
    /// [`keepwell_format::port::Target::is_unfinished`]
    IsUnfinished = 17,
    /// [`keepwell_format::port::Target::folder`]
    Folder = 18,
    /// [`keepwell_format::port::Target::file`]
    File = 19,
    /// [`keepwell_format::port::Target::stream`]
    Stream = 20,
    /// [`keepwell_format::port::Target::special`]
    Special = 21,
    /// [`keepwell_format::port::Target::link`]
    Link = 22,
    /// [`keepwell_format::port::Target::finish_folder`]
    FinishFolder = 23,
    /// [`keepwell_format::port::Target::read`]
    ReadBack = 24,
    /// [`keepwell_format::port::Target::differences`]
    Differences = 25,
    /// [`keepwell_format::port::Target::sync`]
    Sync = 26,
    /// What could not be set so far.
    Warnings = 27,
    /// Bytes of a file.
    Write = 28,
    /// [`keepwell_format::port::WriteFile::finish`]
    FinishFile = 29,
    /// [`keepwell_format::port::WriteFile::abandon`]
    Abandon = 30,
    /// Magic and version.
    Welcome = 129,
    /// It is open.
    Opened = 130,
    /// It is not.
    Refused = 131,
    /// A sign of life.
    Heartbeat = 132,
    /// Entries of the walk.
    Entries = 133,
    /// The end of the walk, or why there are no more entries.
    WalkEnd = 134,
    /// Bytes of a file.
    Data = 135,
    /// A hole in a file.
    Hole = 136,
    /// The end of a file, and what was seen of it then; or why it can't be read.
    FileEnd = 137,
    /// The server is gone for good.
    ServerGone = 138,
    /// The answer to a request about the target.
    Answer = 139,
    /// More of a file may be written.
    WriteCredit = 140,
    /// Writing a file failed; its end will say so too.
    WriteFailed = 141,
    /// What an account may do.
    Checked = 142,
}

impl Kind {
    /// Longest payload.
    const fn most(self) -> usize {
        match self {
            Self::Data => DATA_MAX,
            Self::Write => DATA_MAX + 8,
            Self::Entries | Self::FileEnd | Self::Folder | Self::File | Self::Special => NODE_MAX,
            Self::FinishFolder | Self::Differences | Self::FinishFile => NODE_MAX,
            _ => CONTROL_MAX,
        }
    }

    const fn is_from_caller(self) -> bool {
        (self as u8) < 128
    }
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Caller,
    Answering,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) length: usize,
    pub(crate) kind: Kind,
    pub(crate) channel: u32,
}

impl Head {
    /// Its bytes.
    pub(crate) fn encode(kind: Kind, channel: u32, length: usize) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        // No frame that is sent is longer than its cap, which is far below 4 GiB.
        head[..4].copy_from_slice(&(length as u32).to_le_bytes());
        head[4] = kind as u8;
        head[5..].copy_from_slice(&channel.to_le_bytes());
        head
    }

    fn parse(bytes: [u8; HEAD], reader: End) -> Result<Self, IngestError> {
        let [a, b, c, d, kind, w, x, y, z] = bytes;
        let kind = Kind::of(kind).ok_or(IngestError::Protocol("a frame of an unknown kind"))?;
        if kind.is_from_caller() != (reader == End::Answering) {
            return Err(IngestError::Protocol("a frame that only the other end may send"));
        }
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > kind.most() {
            return Err(IngestError::Protocol("a frame is too long"));
        }
        Ok(Self { length, kind, channel: u32::from_le_bytes([w, x, y, z]) })
    }
}

/// Reads frames, one after the other.
pub(crate) struct Frames<R> {
    from: R,
    reader: End,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The last frame was long, so the next is too, probably.
    bulk: bool,
}

impl<R: Read> Frames<R> {
    pub(crate) fn new(from: R, reader: End) -> Self {
        Self { from, reader, buffer: vec![0; BUFFER], start: 0, end: 0, bulk: false }
    }

    /// The next frame's head; none at the end of the connection, between frames. The payload must be taken before the next call.
    pub(crate) fn head(&mut self) -> Result<Option<Head>, IngestError> {
        if self.start == self.end && self.buffer.len() > BUFFER {
            self.buffer = vec![0; BUFFER];
        }
        let most = if self.bulk { GLANCE } else { BUFFER };
        if !self.fill(HEAD, most)? {
            return Ok(None);
        }
        let (bytes, _) = self.buffer[self.start..self.end].split_first_chunk().ok_or(IngestError::Gone(None))?;
        let head = Head::parse(*bytes, self.reader)?;
        self.start += HEAD;
        self.bulk = head.length >= BUFFER / 2;
        Ok(Some(head))
    }

    /// The payload of a short frame.
    pub(crate) fn payload(&mut self, head: Head) -> Result<&[u8], IngestError> {
        if head.length > 0 && !self.fill(head.length, BUFFER)? {
            return Err(IngestError::Gone(None));
        }
        let from = self.start;
        self.start += head.length;
        Ok(&self.buffer[from..self.start])
    }

    /// Part of the payload of a long frame, to where it stays.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<(), IngestError> {
        let here = (self.end - self.start).min(into.len());
        into[..here].copy_from_slice(&self.buffer[self.start..self.start + here]);
        self.start += here;
        let mut rest = &mut into[here..];
        while !rest.is_empty() {
            match self.from.read(rest) {
                Ok(0) => return Err(IngestError::Gone(None)),
                Ok(read) => rest = &mut rest[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(IngestError::io(error)),
            }
        }
        Ok(())
    }

    /// Overwrites what was read: a password was in it.
    pub(crate) fn wipe(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.buffer[..self.start]);
    }

    /// Reads until `wanted` bytes are there, no more than `most` at once. False at the end of the connection, if nothing is there.
    fn fill(&mut self, wanted: usize, most: usize) -> Result<bool, IngestError> {
        if self.end - self.start >= wanted {
            return Ok(true);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.end < wanted {
            let to = self.buffer.len().min(self.end + most.max(wanted - self.end));
            match self.from.read(&mut self.buffer[self.end..to]) {
                Ok(0) if self.end == 0 => return Ok(false),
                Ok(0) => return Err(IngestError::Gone(None)),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(IngestError::io(error)),
            }
        }
        Ok(true)
    }
}

/// Bytes in a buffer that is used again.
#[derive(Default)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// How much of it counts.
    pub(crate) used: usize,
}

impl Chunk {
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// Adds a whole frame.
    pub(crate) fn push(&mut self, kind: Kind, channel: u32, payload: &[u8]) {
        self.append(&Head::encode(kind, channel, payload.len()));
        self.append(payload);
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let to = self.used + bytes.len();
        if self.bytes.len() < to {
            self.bytes.resize(to, 0);
        }
        self.bytes[self.used..to].copy_from_slice(bytes);
        self.used = to;
    }
}

/// A frame of its own.
impl From<(Kind, u32, &[u8])> for Chunk {
    fn from((kind, channel, payload): (Kind, u32, &[u8])) -> Self {
        let mut bytes = Vec::with_capacity(HEAD + payload.len());
        bytes.extend_from_slice(&Head::encode(kind, channel, payload.len()));
        bytes.extend_from_slice(payload);
        Self { used: bytes.len(), bytes }
    }
}

/// Large buffers that wait to be used again, so that nobody has to zero new ones.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    /// An empty chunk with room for a piece and its head.
    pub(crate) fn take(&self) -> Chunk {
        let bytes = crate::lock(&self.0).pop().unwrap_or_else(|| vec![0; HEAD + PIECE]);
        Chunk { bytes, used: 0 }
    }

    pub(crate) fn give(&self, chunk: Chunk) {
        let mut kept = crate::lock(&self.0);
        if chunk.bytes.len() == HEAD + PIECE && kept.len() < KEPT {
            kept.push(chunk.bytes);
        }
    }
}
