//! Owns the NTSTATUS codes (MS-ERREF 2.3.1) that the server answers with, and their names for scripts.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de};

/// An NTSTATUS.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

macro_rules! statuses {
    ($($name:ident = $code:literal,)*) => {
        #[allow(missing_docs, reason = "the names are those of MS-ERREF")]
        impl Status {
            $(pub const $name: Status = Status($code);)*
        }
        const NAMES: &[(&str, Status)] = &[$((stringify!($name), Status::$name),)*];
    };
}

statuses! {
    SUCCESS = 0,
    PENDING = 0x103,
    BUFFER_OVERFLOW = 0x8000_0005,
    NO_MORE_FILES = 0x8000_0006,
    STOPPED_ON_SYMLINK = 0x8000_002D,
    NOT_IMPLEMENTED = 0xC000_0002,
    INVALID_INFO_CLASS = 0xC000_0003,
    INFO_LENGTH_MISMATCH = 0xC000_0004,
    INVALID_PARAMETER = 0xC000_000D,
    NO_SUCH_FILE = 0xC000_000F,
    INVALID_DEVICE_REQUEST = 0xC000_0010,
    END_OF_FILE = 0xC000_0011,
    MORE_PROCESSING_REQUIRED = 0xC000_0016,
    ACCESS_DENIED = 0xC000_0022,
    BUFFER_TOO_SMALL = 0xC000_0023,
    OBJECT_NAME_INVALID = 0xC000_0033,
    OBJECT_NAME_NOT_FOUND = 0xC000_0034,
    OBJECT_NAME_COLLISION = 0xC000_0035,
    OBJECT_PATH_NOT_FOUND = 0xC000_003A,
    OBJECT_PATH_SYNTAX_BAD = 0xC000_003B,
    DATA_ERROR = 0xC000_003E,
    SHARING_VIOLATION = 0xC000_0043,
    EAS_NOT_SUPPORTED = 0xC000_004F,
    NO_EAS_ON_FILE = 0xC000_0052,
    FILE_LOCK_CONFLICT = 0xC000_0054,
    DELETE_PENDING = 0xC000_0056,
    PRIVILEGE_NOT_HELD = 0xC000_0061,
    LOGON_FAILURE = 0xC000_006D,
    DISK_FULL = 0xC000_007F,
    INSUFFICIENT_RESOURCES = 0xC000_009A,
    IO_TIMEOUT = 0xC000_00B5,
    FILE_IS_A_DIRECTORY = 0xC000_00BA,
    NOT_SUPPORTED = 0xC000_00BB,
    NETWORK_NAME_DELETED = 0xC000_00C9,
    BAD_NETWORK_NAME = 0xC000_00CC,
    UNEXPECTED_NETWORK_ERROR = 0xC000_00C4,
    DIRECTORY_NOT_EMPTY = 0xC000_0101,
    NOT_A_DIRECTORY = 0xC000_0103,
    CANCELLED = 0xC000_0120,
    CANNOT_DELETE = 0xC000_0121,
    FILE_CLOSED = 0xC000_0128,
    IO_DEVICE_ERROR = 0xC000_0185,
    FS_DRIVER_REQUIRED = 0xC000_019C,
    USER_SESSION_DELETED = 0xC000_0203,
    NOT_FOUND = 0xC000_0225,
    NOT_A_REPARSE_POINT = 0xC000_0275,
    IO_REPARSE_TAG_NOT_HANDLED = 0xC000_0279,
    NETWORK_SESSION_EXPIRED = 0xC000_035C,
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, status)| status == self) {
            Some((name, _)) => write!(f, "STATUS_{name}"),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Status {
    /// `"STATUS_SHARING_VIOLATION"` or `"0xC0000043"`.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = Cow::<str>::deserialize(from)?;
        let name = word.strip_prefix("STATUS_").unwrap_or(&word);
        let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, status)| *status);
        let number = || u32::from_str_radix(word.strip_prefix("0x")?, 16).ok().map(Status);
        known.or_else(number).ok_or_else(|| de::Error::custom("a status is named as in MS-ERREF, or 0x and eight digits"))
    }
}

/// An error answer: the status, and the error data of MS-SMB2 2.2.2.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    pub(crate) data: Vec<u8>,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { status, data: Vec::new() }
    }
}

impl From<crate::wire::Short> for Refusal {
    fn from(_: crate::wire::Short) -> Self {
        Status::INVALID_PARAMETER.into()
    }
}
