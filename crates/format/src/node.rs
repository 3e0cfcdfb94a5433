//! What a catalog entry says of one file, folder or link (`docs/format.md` 8.1).

use crate::{BlobId, ContentHash, Key};

/// A point in time as sources know it. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds since 1970-01-01 UTC, also before.
    pub seconds: i64,
    /// Nanoseconds on top, below 10^9.
    pub nanos: u32,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A regular file.
    File = 1,
    /// A folder.
    Folder = 2,
    /// A symbolic link.
    Symlink = 3,
    /// A named pipe.
    Fifo = 4,
    /// A Unix socket.
    Socket = 5,
    /// A character device.
    CharDevice = 6,
    /// A block device.
    BlockDevice = 7,
    /// A reparse point that is no symbolic link.
    Reparse = 8,
    /// Could not be told; always with a gap.
    Unknown = 9,
}

/// Owner and permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Permission and set-id bits: 12 bits.
    pub mode: u16,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The source's own name of a file: stays when the file is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Volume, device or file system.
    pub volume: u64,
    /// File on it.
    pub file: u128,
}

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    /// With its name space, as the source has it.
    pub name: Vec<u8>,
    /// Raw value.
    pub value: Vec<u8>,
}

/// An alternate data stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its name, without `:$DATA`.
    pub name: Vec<u8>,
    /// What it holds.
    pub content: Content,
}

/// A run of a file's bytes that lies in a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where in the file.
    pub at: u64,
    /// The blob.
    pub blob: BlobId,
    /// Where in the blob's plaintext.
    pub offset: u32,
    /// Bytes, > 0.
    pub length: u32,
}

/// A file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Bytes, holes included.
    pub size: u64,
    /// Hash of all of them.
    pub hash: ContentHash,
    /// Where they are.
    pub extents: Extents,
}

/// Where a file's bytes are. Ranges that no extent covers are holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extents {
    /// At most 64, ascending, without overlap.
    Inline(Vec<Extent>),
    /// More: an extent tree.
    Tree {
        /// Level of the root page.
        depth: u8,
        /// Root page.
        root: BlobId,
    },
}

/// Why something could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GapReason {
    /// The account may not.
    Permission = 1,
    /// Somebody holds it open.
    Locked = 2,
    /// The source failed.
    Read = 3,
    /// It was gone when its turn came.
    Vanished = 4,
    /// The kind of thing can't be read.
    Unsupported = 5,
    /// The name can't be kept.
    Name = 6,
    /// Content is here, metadata is not whole.
    Metadata = 7,
    /// The folder could not be listed, or not to its end.
    Listing = 8,
}

/// Something that is missing from a snapshot, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Class of reason.
    pub reason: GapReason,
    /// The source's words; no file name in it.
    pub text: String,
}

/// Everything known of one entry but its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// POSIX owner and mode.
    pub owner: Option<Owner>,
    /// Last change of the content.
    pub mtime: Option<Time>,
    /// Last change of content or metadata.
    pub ctime: Option<Time>,
    /// Creation.
    pub btime: Option<Time>,
    /// The source's id of the file.
    pub file_id: Option<FileId>,
    /// DOS attributes.
    pub dos: Option<u32>,
    /// Raw security descriptor.
    pub descriptor: Option<Vec<u8>>,
    /// Extended attributes, names ascending (POSIX ACLs among them).
    pub attributes: Vec<Attribute>,
    /// Alternate streams.
    pub streams: Vec<Stream>,
    /// Link target or reparse data.
    pub target: Option<Vec<u8>>,
    /// Paths that the source says the file has, from 1; those outside of the source count as well.
    pub links: u32,
    /// The first path of a file with several; then there is no content here.
    pub link_to: Option<Key>,
    /// Device number: major, minor.
    pub device: Option<(u32, u32)>,
    /// A file's bytes.
    pub content: Option<Content>,
    /// It changed while it was read.
    pub inconsistent: bool,
    /// What is missing.
    pub gap: Option<Gap>,
}

impl Node {
    /// A node of which only the kind is known.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            owner: None,
            mtime: None,
            ctime: None,
            btime: None,
            file_id: None,
            dos: None,
            descriptor: None,
            attributes: Vec::new(),
            streams: Vec::new(),
            target: None,
            links: 1,
            link_to: None,
            device: None,
            content: None,
            inconsistent: false,
            gap: None,
        }
    }
}
