//! What NFS version 3 says of files (RFC 1813 sections 2.5 and 2.6), as values. No I/O, no bytes.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The server's name of a file, up to 64 bytes; stays valid across connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Handle(pub(crate) Arc<[u8]>);

impl Handle {
    /// Longest handle.
    pub(crate) const MAX: usize = 64;

    /// The server's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Short: handles are long and say nothing to people.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({} bytes)", self.0.len())
    }
}

/// `ftype3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// NF3REG.
    Regular,
    /// NF3DIR.
    Folder,
    /// NF3BLK.
    Block,
    /// NF3CHR.
    Character,
    /// NF3LNK.
    Symlink,
    /// NF3SOCK.
    Socket,
    /// NF3FIFO.
    Fifo,
}

impl FileType {
    /// The type with this number, if there is one; version 4 numbers them alike (RFC 8881 section 3.2).
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Regular,
            2 => Self::Folder,
            3 => Self::Block,
            4 => Self::Character,
            5 => Self::Symlink,
            6 => Self::Socket,
            7 => Self::Fifo,
            _ => return None,
        })
    }
}

/// `nfstime3`: seconds since 1970 without a sign, and nanoseconds below 10^9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds: from 1970 to 2106.
    pub seconds: u32,
    /// On top.
    pub nanos: u32,
}

/// `specdata3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// `fattr3`, without the time of access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// What it is.
    pub kind: FileType,
    /// Permission and set-id bits; servers may add bits of the kind.
    pub mode: u32,
    /// Paths.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes, holes included.
    pub size: u64,
    /// Bytes on the server's disk.
    pub used: u64,
    /// Of a device.
    pub device: Device,
    /// File system.
    pub fsid: u64,
    /// Number in it.
    pub fileid: u64,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of anything.
    pub ctime: Timestamp,
}

impl Attributes {
    /// Whether both are of one file, perhaps under two names.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.fsid, self.fileid) == (other.fsid, other.fileid)
    }
}

/// A time to set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    #[default]
    Keep,
    /// To this.
    To(Timestamp),
}

/// `sattr3`: what is none stays as it is. The time of access is never set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetAttributes {
    /// Permission and set-id bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Cuts or extends a file.
    pub size: Option<u64>,
    /// Last change of the content.
    pub mtime: SetTime,
}

/// How CREATE deals with a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It is taken over.
    Unchecked(SetAttributes),
    /// That is an error.
    Guarded(SetAttributes),
    /// That is an error, unless this very call made it; attributes come later.
    Exclusive([u8; 8]),
}

/// What a new thing is; servers may leave both out.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its handle.
    pub handle: Option<Handle>,
    /// Its attributes.
    pub attributes: Option<Attributes>,
}

/// An entry of a folder.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The server's bytes: one name, never `.` or `..`, with no separator in it.
    pub name: Box<[u8]>,
    /// Number of the file, as the folder has it.
    pub fileid: u64,
    /// Where the listing goes on.
    pub cookie: u64,
    /// With READDIRPLUS, where the server could tell.
    pub attributes: Option<Attributes>,
    /// Likewise.
    pub handle: Option<Handle>,
}

/// Says whether a listing that goes on is still the same (`cookieverf3`), or writes reached the same server run (`writeverf3`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verifier(pub [u8; 8]);

/// A part of a listing.
#[derive(Debug, Clone)]
pub struct Page {
    /// In the server's order.
    pub entries: Vec<Entry>,
    /// Goes into the next call.
    pub verifier: Verifier,
    /// Cookie for the next call: that of the last entry, left out ones included. None: the page was empty.
    pub next: Option<u64>,
    /// There is no more.
    pub end: bool,
    /// Of the folder.
    pub attributes: Option<Attributes>,
    /// Names that no file can have (empty, with `/` or NUL in them): left out.
    pub refused: usize,
}

/// Answer of READ.
#[derive(Debug, Clone)]
pub struct ReadData {
    /// At most as many bytes as asked for; shares the answer's memory.
    pub data: Bytes,
    /// The file ends here.
    pub end: bool,
    /// Of the file, after the read.
    pub attributes: Option<Attributes>,
}

/// `stable_how`. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stability {
    /// Perhaps only in the server's memory.
    Unstable = 0,
    /// The data is on disk.
    Data = 1,
    /// Data and metadata are.
    File = 2,
}

/// Answer of WRITE.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Bytes that were taken, at most those sent.
    pub count: u32,
    /// How safe they are.
    pub stability: Stability,
    /// Changes when the server forgot unstable writes.
    pub verifier: Verifier,
}

/// Answer of FSSTAT, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Space {
    /// Size of the file system.
    pub total: u64,
    /// Free for this user.
    pub available: u64,
}

/// An entry of an access list (NFSACL): tags and permissions are those of POSIX access lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessEntry {
    /// 1 owner, 2 user, 4 group, 8 named group, 16 mask, 32 others.
    pub tag: u16,
    /// User or group, where the tag names one.
    pub id: u32,
    /// Bits: 4 read, 2 write, 1 execute.
    pub permissions: u16,
}

/// Answer of GETACL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessLists {
    /// Of the file.
    pub access: Vec<AccessEntry>,
    /// What new entries of a folder inherit.
    pub default: Vec<AccessEntry>,
}

/// Bits of ACCESS (RFC 1813 section 3.3.4).
pub mod access {
    /// Read a file or list a folder.
    pub const READ: u32 = 1;
    /// Look a name up.
    pub const LOOKUP: u32 = 2;
    /// Change what is there.
    pub const MODIFY: u32 = 4;
    /// Add something.
    pub const EXTEND: u32 = 8;
    /// Remove an entry.
    pub const DELETE: u32 = 16;
    /// Execute.
    pub const EXECUTE: u32 = 32;
}
