//! What keeps a source or a target from being opened, in words that tell a person what to do.

use std::io;
use std::path::PathBuf;

/// A source or target can't be used. What goes wrong later, entry by entry, is a gap or a warning.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No such folder.
    #[error("{} does not exist: nothing was read. Check the path, and that its disk is mounted", .0.display())]
    Missing(PathBuf),
    /// It is a file or something else.
    #[error("{} is not a folder: give the folder that holds what is meant", .0.display())]
    NotFolder(PathBuf),
    /// The account may not.
    #[error("{} may not be opened by this user: nothing was done. Run as a user who may, or change its permissions", .path.display())]
    Denied {
        /// Which.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// A restore only writes into an empty folder.
    #[error("{} is not empty: nothing was written, so that nothing is overwritten. Give a new or an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// Extended attributes are reached through it.
    #[error("/proc is not mounted: extended attributes can't be reached, so nothing was done. Mount it: mount -t proc proc /proc")]
    NoProc,
    /// The system failed.
    #[error("{} could not be {doing}: nothing was done. The system's reason follows", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried, as a participle.
        doing: &'static str,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// Not a URL of a share. The URL itself is not told: it might hold a password.
    #[error("this is no URL of a share: {0}. It must read smb://USER@HOST[:PORT]/SHARE[/PATH]")]
    Url(&'static str),
    /// Nobody answers there.
    #[error("{server} can't be reached: nothing was read. Check its name, the network, and that it serves SMB 2 or 3")]
    Unreachable {
        /// `host:port`.
        server: String,
        /// What the client says.
        #[source]
        source: smb2::Error,
    },
    /// Wrong name or password, or a locked account.
    #[error("{server} does not let {user} in: nothing was read. Check user name and password, and whether the account is locked")]
    SignIn {
        /// `host:port`.
        server: String,
        /// Who.
        user: String,
        /// What the client says.
        #[source]
        source: smb2::Error,
    },
    /// It offers no session that is protected against changes on the way.
    #[error("{0} offers no signed session for this user: nothing was read. Switch on SMB signing there; guest access is not used")]
    Unsigned(String),
    /// The share or folder can't be opened.
    #[error(
        "{location} can't be opened: nothing was read. Check that share and folder exist and that this user may read them; a server \
         that demands encryption can't be read by this release"
    )]
    Share {
        /// URL without secrets.
        location: String,
        /// What the client says.
        #[source]
        source: smb2::Error,
    },
    /// No threads to be had.
    #[error("the SMB client could not start: nothing was read")]
    Runtime(#[source] io::Error),
}

impl SourceError {
    /// Sorts what the system said about a path.
    pub(crate) fn io(path: impl Into<PathBuf>, doing: &'static str, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.into(), source.into());
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing(path),
            io::ErrorKind::NotADirectory => Self::NotFolder(path),
            io::ErrorKind::PermissionDenied => Self::Denied { path, source },
            _ => Self::Io { path, doing, source },
        }
    }
}
