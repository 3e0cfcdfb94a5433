//! What can go wrong, and the status numbers of NFS. Never holds a file name.

use std::fmt;
use std::io;
use std::sync::Arc;

/// A call or a connection failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NfsError {
    /// Nobody answers there.
    #[error("{server} can't be reached")]
    Unreachable {
        /// `host:port`.
        server: String,
        /// The system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The server's port mapper knows no such service, or can't be asked.
    #[error("{server} does not tell on which port its {service} service is")]
    NoPort {
        /// Host.
        server: String,
        /// Which service.
        service: &'static str,
    },
    /// The connection broke.
    #[error("the connection to the NFS server was lost")]
    Lost(#[source] Arc<io::Error>),
    /// The server was silent for too long; the connection is closed.
    #[error("the NFS server did not answer in time")]
    Timeout,
    /// What came is no proper answer.
    #[error("the NFS server sent {0}, which is against the protocol")]
    Malformed(&'static str),
    /// The server does not speak this protocol, version or procedure.
    #[error("the server does not offer {0}")]
    NotOffered(&'static str),
    /// The server refuses the credentials, often because the client's port is not a privileged one.
    #[error("the server refuses this user or machine (RPC authentication error {0})")]
    Refused(u32),
    /// The server could not work on the call at all.
    #[error("the server failed: {0}")]
    Server(&'static str),
    /// The export can't be mounted.
    #[error("the server does not let this machine mount the export: {0}")]
    Mount(Status),
    /// The server answered with an error.
    #[error("{during}: {status}")]
    Status {
        /// Its status.
        status: Status,
        /// The procedure.
        during: &'static str,
    },
}

impl NfsError {
    /// The server's status, if it answered with one.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the connection can't be used any more; [`crate::Export::reconnect`] makes a new one.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost(_) | Self::Timeout)
    }
}

/// A status of NFS version 3 (RFC 1813 section 2.6) or of MOUNT (appendix I), whose numbers agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

macro_rules! statuses {
    ($($name:ident = $number:literal, $words:literal;)*) => {
        impl Status {
            $(#[doc = $words] pub const $name: Self = Self($number);)*

            fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                    _ => "unknown status",
                }
            }
        }
    };
}

statuses! {
    OK = 0, "no error";
    PERM = 1, "not owner";
    NOENT = 2, "no such file or folder";
    IO = 5, "the server's disk failed";
    NXIO = 6, "no such device";
    ACCES = 13, "permission denied";
    EXIST = 17, "it exists already";
    XDEV = 18, "another file system";
    NODEV = 19, "no such device";
    NOTDIR = 20, "not a folder";
    ISDIR = 21, "a folder";
    INVAL = 22, "invalid argument";
    FBIG = 27, "file too large";
    NOSPC = 28, "no space left on the server";
    ROFS = 30, "read-only file system";
    MLINK = 31, "too many hard links";
    NAMETOOLONG = 63, "name too long";
    NOTEMPTY = 66, "folder not empty";
    DQUOT = 69, "quota exceeded";
    STALE = 70, "it is gone (stale handle)";
    REMOTE = 71, "too many levels of remote";
    BADHANDLE = 10001, "bad file handle";
    NOT_SYNC = 10002, "changed meanwhile";
    BAD_COOKIE = 10003, "the listing can't be continued";
    NOTSUPP = 10004, "not supported";
    TOOSMALL = 10005, "buffer too small";
    SERVERFAULT = 10006, "the server failed";
    BADTYPE = 10007, "type not supported";
    JUKEBOX = 10008, "not available just now";
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (NFS status {})", self.words(), self.0)
    }
}
