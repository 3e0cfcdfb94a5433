//! NTSTATUS codes as servers answer them (MS-ERREF 2.3.1). Owns their numbers and names; never decides what a caller does about one.

use std::fmt;

/// Answer of a server to a request. Shown as `STATUS_SHARING_VIOLATION (0xC0000043)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NtStatus(pub u32);

/// Declares the codes this crate knows by name.
macro_rules! statuses {
    ($($name:ident = $code:literal,)*) => {
        #[allow(missing_docs, reason = "the names are those of MS-ERREF 2.3.1")]
        impl NtStatus {
            $(pub const $name: Self = Self($code);)*
        }

        const NAMES: &[(NtStatus, &str)] = &[$((NtStatus::$name, stringify!($name)),)*];
    };
}

statuses! {
    SUCCESS = 0x0000_0000,
    PENDING = 0x0000_0103,
    NOTIFY_CLEANUP = 0x0000_010B,
    NOTIFY_ENUM_DIR = 0x0000_010C,
    BUFFER_OVERFLOW = 0x8000_0005,
    NO_MORE_FILES = 0x8000_0006,
    NO_MORE_ENTRIES = 0x8000_001A,
    STOPPED_ON_SYMLINK = 0x8000_002D,
    NO_EAS_ON_FILE = 0xC000_0052,
    EA_CORRUPT_ERROR = 0xC000_0053,
    EAS_NOT_SUPPORTED = 0xC000_004F,
    EA_TOO_LARGE = 0xC000_0050,
    NONEXISTENT_EA_ENTRY = 0xC000_0051,
    UNSUCCESSFUL = 0xC000_0001,
    NOT_IMPLEMENTED = 0xC000_0002,
    INVALID_INFO_CLASS = 0xC000_0003,
    INFO_LENGTH_MISMATCH = 0xC000_0004,
    INVALID_HANDLE = 0xC000_0008,
    INVALID_PARAMETER = 0xC000_000D,
    NO_SUCH_FILE = 0xC000_000F,
    INVALID_DEVICE_REQUEST = 0xC000_0010,
    END_OF_FILE = 0xC000_0011,
    MORE_PROCESSING_REQUIRED = 0xC000_0016,
    NO_MEMORY = 0xC000_0017,
    ACCESS_DENIED = 0xC000_0022,
    BUFFER_TOO_SMALL = 0xC000_0023,
    OBJECT_TYPE_MISMATCH = 0xC000_0024,
    OBJECT_NAME_INVALID = 0xC000_0033,
    OBJECT_NAME_NOT_FOUND = 0xC000_0034,
    OBJECT_NAME_COLLISION = 0xC000_0035,
    OBJECT_PATH_INVALID = 0xC000_0039,
    OBJECT_PATH_NOT_FOUND = 0xC000_003A,
    OBJECT_PATH_SYNTAX_BAD = 0xC000_003B,
    DATA_ERROR = 0xC000_003E,
    CRC_ERROR = 0xC000_003F,
    SHARING_VIOLATION = 0xC000_0043,
    QUOTA_EXCEEDED = 0xC000_0044,
    FILE_LOCK_CONFLICT = 0xC000_0054,
    LOCK_NOT_GRANTED = 0xC000_0055,
    DELETE_PENDING = 0xC000_0056,
    INVALID_OWNER = 0xC000_005A,
    PRIVILEGE_NOT_HELD = 0xC000_0061,
    WRONG_PASSWORD = 0xC000_006A,
    LOGON_FAILURE = 0xC000_006D,
    ACCOUNT_RESTRICTION = 0xC000_006E,
    INVALID_LOGON_HOURS = 0xC000_006F,
    PASSWORD_EXPIRED = 0xC000_0071,
    ACCOUNT_DISABLED = 0xC000_0072,
    INVALID_SID = 0xC000_0078,
    INVALID_SECURITY_DESCR = 0xC000_0079,
    DISK_FULL = 0xC000_007F,
    INSUFFICIENT_RESOURCES = 0xC000_009A,
    MEDIA_WRITE_PROTECTED = 0xC000_00A2,
    FILE_IS_A_DIRECTORY = 0xC000_00BA,
    NOT_SUPPORTED = 0xC000_00BB,
    NETWORK_NAME_DELETED = 0xC000_00C9,
    BAD_NETWORK_NAME = 0xC000_00CC,
    REQUEST_NOT_ACCEPTED = 0xC000_00D0,
    DIRECTORY_NOT_EMPTY = 0xC000_0101,
    NOT_A_DIRECTORY = 0xC000_0103,
    NAME_TOO_LONG = 0xC000_0106,
    TOO_MANY_OPENED_FILES = 0xC000_011F,
    CANCELLED = 0xC000_0120,
    CANNOT_DELETE = 0xC000_0121,
    FILE_CLOSED = 0xC000_0128,
    ACCOUNT_LOCKED_OUT = 0xC000_0234,
    PASSWORD_MUST_CHANGE = 0xC000_0224,
    NOT_FOUND = 0xC000_0225,
    USER_SESSION_DELETED = 0xC000_0203,
    PATH_NOT_COVERED = 0xC000_0257,
    NOT_A_REPARSE_POINT = 0xC000_0275,
    IO_REPARSE_TAG_NOT_HANDLED = 0xC000_0279,
    VOLUME_DISMOUNTED = 0xC000_026E,
    NETWORK_SESSION_EXPIRED = 0xC000_035C,
    HOPLIMIT_EXCEEDED = 0xC000_A012,
}

impl NtStatus {
    /// Severity "error" (MS-ERREF 2.3): no success, information or warning.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.0 >> 30 == 3
    }

    /// Whether the server says that it has no such information about a file, or can't be asked for it: a part is missing, not the file.
    #[must_use]
    pub fn is_unsupported(self) -> bool {
        matches!(
            self,
            Self::NOT_IMPLEMENTED
                | Self::INVALID_INFO_CLASS
                | Self::INVALID_PARAMETER
                | Self::INVALID_DEVICE_REQUEST
                | Self::NOT_SUPPORTED
                | Self::EAS_NOT_SUPPORTED
        )
    }

    /// Its name in MS-ERREF, without the `STATUS_`.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(status, _)| *status == self).map(|(_, name)| *name)
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "STATUS_{name} (0x{:08X})", self.0),
            None => write!(f, "status 0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_named_once() {
        let mut codes: Vec<u32> = NAMES.iter().map(|(status, _)| status.0).collect();
        codes.sort_unstable();
        let all = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), all);
        assert_eq!(NtStatus::SHARING_VIOLATION.to_string(), "STATUS_SHARING_VIOLATION (0xC0000043)");
        assert_eq!(NtStatus(0xC123_4567).to_string(), "status 0xC1234567");
        assert!(NtStatus::ACCESS_DENIED.is_error() && !NtStatus::BUFFER_OVERFLOW.is_error() && !NtStatus::SUCCESS.is_error());
    }
}
