//! Owns what an open file is to the server, and the rights it was opened with. Never reads or writes content.

use crate::{status::Status, tree::NodeId};

/// FILE_READ_DATA, or FILE_LIST_DIRECTORY.
pub(crate) const READ_DATA: u32 = 1;
/// FILE_WRITE_DATA or FILE_APPEND_DATA.
pub(crate) const WRITE_DATA: u32 = 2 | 4;
pub(crate) const READ_EA: u32 = 8;
pub(crate) const WRITE_EA: u32 = 0x10;
pub(crate) const READ_ATTRIBUTES: u32 = 0x80;
pub(crate) const WRITE_ATTRIBUTES: u32 = 0x100;
pub(crate) const DELETE: u32 = 0x1_0000;
pub(crate) const READ_CONTROL: u32 = 0x2_0000;
pub(crate) const WRITE_DAC: u32 = 0x4_0000;
pub(crate) const WRITE_OWNER: u32 = 0x8_0000;
pub(crate) const SYSTEM_SECURITY: u32 = 0x100_0000;
const MAXIMUM: u32 = 0x200_0000;

/// An open file, folder or stream.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) node: NodeId,
    /// The folder and the name it was opened by; the root has none.
    pub(crate) place: Option<(NodeId, Vec<u16>)>,
    pub(crate) stream: Option<Vec<u16>>,
    /// For patterns of faults.
    pub(crate) path: String,
    pub(crate) as_of: bool,
    pub(crate) access: u32,
    pub(crate) deletes: bool,
    /// Times were set through this handle: writes no longer move them (MS-FSA 2.1.5.14.2).
    pub(crate) times_kept: bool,
    pub(crate) cursor: Cursor,
}

/// How far a listing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// `.` and `..` and the names that only the listing has.
    pub(crate) given_first: usize,
    pub(crate) last: Option<Vec<u16>>,
    pub(crate) made_up: u64,
    pub(crate) began: bool,
}

impl Handle {
    /// Refuses unless at least one of these rights was granted.
    pub(crate) fn need(&self, rights: u32) -> Result<(), Status> {
        if self.access & rights == 0 { Err(Status::ACCESS_DENIED) } else { Ok(()) }
    }
}

/// The rights that are granted for what is asked (MS-SMB2 2.2.13.1), or why not.
pub(crate) fn grant(asked: u32, most: u32, privileged: bool) -> Result<u32, Status> {
    let mut access = asked & 0x01FF_FFFF;
    for (generic, rights) in
        [(0x8000_0000, 0x0012_0089), (0x4000_0000, 0x0012_0116), (0x2000_0000, 0x0012_00A0), (0x1000_0000, 0x001F_01FF)]
    {
        if asked & generic != 0 {
            access |= rights;
        }
    }
    if asked & MAXIMUM != 0 {
        access |= most;
    }
    match access & SYSTEM_SECURITY != 0 {
        true if !privileged => Err(Status::PRIVILEGE_NOT_HELD),
        _ if access & !(most | SYSTEM_SECURITY) != 0 => Err(Status::ACCESS_DENIED),
        _ => Ok(access),
    }
}
