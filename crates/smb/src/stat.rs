//! What is known of a file besides its data. Owns plain facts as the server gave them; sizes and names in them may be lies.

use crate::{FileTime, NtStatus};

/// Which parts of a file are wanted besides its times, sizes and attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Owner, group and DACL.
    pub descriptor: bool,
    /// The SACL too, where the account has the privilege; see [`Stat::has_sacl`].
    pub sacl: bool,
    /// Alternate streams.
    pub streams: bool,
    /// Extended attributes. Worth a question only where [`DirEntry::ea_size`] is not zero.
    pub attributes: bool,
    /// What the account may do with the file.
    pub maximal_access: bool,
    /// Open a reparse point itself and read its data, instead of what it leads to.
    pub reparse: bool,
}

/// An entry of a folder (MS-FSCC 2.4.17). Its name holds no separator, colon or NUL, and is not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// UTF-16 units, not always well-formed.
    pub name: Vec<u16>,
    /// A listing does not say how many paths lead to it.
    pub info: FileInfo,
    /// MS-FSCC 2.1.2.1; 0 if it is no reparse point.
    pub reparse_tag: u32,
}

/// Times, sizes and attributes of a file (MS-FSCC 2.4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileInfo {
    /// When it was made.
    pub created: FileTime,
    /// When its data was written last.
    pub written: FileTime,
    /// When anything about it changed last.
    pub changed: FileTime,
    /// Bytes.
    pub size: u64,
    /// Bytes it takes on the server.
    pub allocated: u64,
    /// See [`crate::attribute`].
    pub attributes: u32,
    /// Paths that lead to it; 0 where the server did not say.
    pub links: u32,
    /// Stays the same while it is the same file; 0 where the server did not say, 0 or all ones where it has none.
    pub file_id: u64,
    /// Bytes of extended attributes; 0 if there are none, and for the entry of a reparse point.
    pub ea_size: u32,
    /// Whether it is a folder.
    pub is_directory: bool,
}

/// An alternate stream. [`crate::WidePath::stream`] refuses names that can't be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// UTF-16 units, without colons and type.
    pub name: Vec<u16>,
    /// Bytes.
    pub size: u64,
}

/// Name and value of an extended attribute.
pub type Attribute = (Vec<u8>, Vec<u8>);

/// A file but for its data. A part that the server would not give carries its answer; where it has no such thing, the part is empty.
#[derive(Clone, Debug)]
pub struct Stat {
    /// Times, sizes and attributes.
    pub info: FileInfo,
    /// Self-relative security descriptor (MS-DTYP 2.4.6), byte for byte. None: not wanted.
    pub descriptor: Option<Result<Vec<u8>, NtStatus>>,
    /// Whether the descriptor was asked for with its SACL.
    pub has_sacl: bool,
    /// But for the main one. Empty if not wanted.
    pub streams: Result<Vec<StreamInfo>, NtStatus>,
    /// Empty if not wanted.
    pub attributes: Result<Vec<Attribute>, NtStatus>,
    /// REPARSE_DATA_BUFFER (MS-FSCC 2.1.2), byte for byte. None: not wanted, or not a reparse point.
    pub reparse: Option<Result<Vec<u8>, NtStatus>>,
    /// Access bits. None: not wanted, or the server did not say.
    pub maximal_access: Option<u32>,
}

/// What a file was like when it was closed (MS-SMB2 2.2.16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloseInfo {
    /// When its data was written last.
    pub written: FileTime,
    /// When anything about it changed last.
    pub changed: FileTime,
    /// Bytes.
    pub size: u64,
    /// See [`crate::attribute`].
    pub attributes: u32,
}

/// Times and attributes to set; None leaves them as they are (MS-FSCC 2.4.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Basic {
    /// When it was made.
    pub created: Option<FileTime>,
    /// When it was read last.
    pub accessed: Option<FileTime>,
    /// When its data was written last.
    pub written: Option<FileTime>,
    /// When anything about it changed last.
    pub changed: Option<FileTime>,
    /// See [`crate::attribute`]; 0 is taken as None by servers, [`crate::attribute::NORMAL`] clears all.
    pub attributes: Option<u32>,
}

/// What a share's file system is (MS-FSCC 2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Serial number.
    pub serial: u32,
    /// When it was made.
    pub created: FileTime,
    /// UTF-16 units.
    pub label: Vec<u16>,
    /// `NTFS`, `ReFS`: as the server calls it.
    pub file_system: String,
    /// What it can do: see [`Volume::has`].
    pub attributes: u32,
    /// Bytes in all; None if the server did not say.
    pub total: Option<u64>,
    /// Bytes free for this account; None if the server did not say.
    pub free: Option<u64>,
}

/// A capability of a file system (MS-FSCC 2.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Ability {
    /// Security descriptors are kept.
    Descriptors = 0x0000_0008,
    /// Files may have holes.
    Sparse = 0x0000_0040,
    /// Reparse points.
    ReparsePoints = 0x0000_0080,
    /// Alternate streams.
    Streams = 0x0004_0000,
    /// It can't be written.
    ReadOnly = 0x0008_0000,
    /// Hard links.
    HardLinks = 0x0040_0000,
    /// Extended attributes.
    Attributes = 0x0080_0000,
}

impl Volume {
    /// Whether the server says that it can do this.
    #[must_use]
    pub fn has(&self, ability: Ability) -> bool {
        self.attributes & ability as u32 != 0
    }
}
