//! Messages as bytes (MS-SMB2 2.2). Owns layouts; never does input or output and never decides anything.

pub(crate) mod close;
pub(crate) mod create;
pub(crate) mod cursor;
pub(crate) mod echo;
pub(crate) mod fscc;
pub(crate) mod header;
pub(crate) mod info;
pub(crate) mod ioctl;
pub(crate) mod negotiate;
pub(crate) mod payload;
pub(crate) mod session_setup;
pub(crate) mod transfer;
pub(crate) mod transform;
pub(crate) mod tree;

/// SecurityMode bits (MS-SMB2 2.2.3).
pub(crate) const SIGNING_ENABLED: u16 = 1;
pub(crate) const SIGNING_REQUIRED: u16 = 2;

/// What a request asks for (MS-SMB2 2.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Command {
    Negotiate = 0,
    SessionSetup = 1,
    Logoff = 2,
    TreeConnect = 3,
    Create = 5,
    Close = 6,
    Flush = 7,
    Read = 8,
    Write = 9,
    Ioctl = 11,
    Cancel = 12,
    Echo = 13,
    QueryDirectory = 14,
    QueryInfo = 16,
    SetInfo = 17,
    OplockBreak = 18,
}
