//! The bits SMB speaks of files with. Owns their numbers, as MS-SMB2 and MS-FSCC name them; never decides which to use.

/// Access rights (MS-SMB2 2.2.13.1.1, 2.2.13.1.2).
pub mod access {
    /// Read a file's data, list a folder.
    pub const READ_DATA: u32 = 0x0000_0001;
    /// Write a file's data, make files in a folder.
    pub const WRITE_DATA: u32 = 0x0000_0002;
    /// Append to a file, make folders in a folder.
    pub const APPEND_DATA: u32 = 0x0000_0004;
    /// Read extended attributes.
    pub const READ_EA: u32 = 0x0000_0008;
    /// Write extended attributes.
    pub const WRITE_EA: u32 = 0x0000_0010;
    /// Run a file, pass through a folder.
    pub const EXECUTE: u32 = 0x0000_0020;
    /// Delete entries of a folder.
    pub const DELETE_CHILD: u32 = 0x0000_0040;
    /// Read times, sizes and attributes.
    pub const READ_ATTRIBUTES: u32 = 0x0000_0080;
    /// Change times and attributes.
    pub const WRITE_ATTRIBUTES: u32 = 0x0000_0100;
    /// Delete or rename.
    pub const DELETE: u32 = 0x0001_0000;
    /// Read owner, group and DACL.
    pub const READ_CONTROL: u32 = 0x0002_0000;
    /// Change the DACL.
    pub const WRITE_DAC: u32 = 0x0004_0000;
    /// Change owner and group.
    pub const WRITE_OWNER: u32 = 0x0008_0000;
    /// Wait on the handle.
    pub const SYNCHRONIZE: u32 = 0x0010_0000;
    /// Read and change the SACL; needs a privilege.
    pub const SYSTEM_SECURITY: u32 = 0x0100_0000;
    /// All that the user may do.
    pub const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
}

/// What others may do meanwhile (MS-SMB2 2.2.13, ShareAccess).
pub mod sharing {
    /// Read.
    pub const READ: u32 = 1;
    /// Write.
    pub const WRITE: u32 = 2;
    /// Delete and rename.
    pub const DELETE: u32 = 4;
    /// Anything.
    pub const ALL: u32 = READ | WRITE | DELETE;
}

/// File attributes (MS-FSCC 2.6).
pub mod attribute {
    /// Can't be written.
    pub const READONLY: u32 = 0x0001;
    /// Not shown.
    pub const HIDDEN: u32 = 0x0002;
    /// Of the operating system.
    pub const SYSTEM: u32 = 0x0004;
    /// A folder.
    pub const DIRECTORY: u32 = 0x0010;
    /// Changed since some backup.
    pub const ARCHIVE: u32 = 0x0020;
    /// None of the others.
    pub const NORMAL: u32 = 0x0080;
    /// Has holes.
    pub const SPARSE_FILE: u32 = 0x0200;
    /// Carries a reparse tag.
    pub const REPARSE_POINT: u32 = 0x0400;
    /// Compressed by the server.
    pub const COMPRESSED: u32 = 0x0800;
    /// Data is not at hand.
    pub const OFFLINE: u32 = 0x1000;
    /// Encrypted by the server.
    pub const ENCRYPTED: u32 = 0x4000;
}

/// Parts of a security descriptor (MS-SMB2 2.2.37, AdditionalInformation).
pub mod part {
    /// The owner.
    pub const OWNER: u32 = 0x01;
    /// The primary group.
    pub const GROUP: u32 = 0x02;
    /// Who may do what.
    pub const DACL: u32 = 0x04;
    /// What is audited.
    pub const SACL: u32 = 0x08;
    /// The integrity label.
    pub const LABEL: u32 = 0x10;
}
