//! What keeps a source or a target from being opened, in words that tell a person what to do.

use std::io;
use std::path::PathBuf;

/// What a client library says; it names no file.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

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
    /// Not a URL of a share or export. The URL itself is not told: it might hold a password.
    #[error("this is no URL that can be read: {why}. It must be of the form {form}")]
    Url {
        /// What is wrong with it.
        why: &'static str,
        /// What it must look like.
        form: &'static str,
    },
    /// Neither `latest` nor a time.
    #[error("this is no time of a snapshot: write 'latest', or a time in UTC as in 2026-11-20T00:00:00Z")]
    AsOf,
    /// This kind of source, or this server, keeps no snapshots.
    #[error("{location} has no snapshots of its own: nothing was read. Leave --as-of out to read it as it is")]
    NoSnapshots {
        /// URL or path without secrets.
        location: String,
    },
    /// The server keeps others.
    #[error(
        "{location} has no snapshot of {wanted}: nothing was read. Its newest one is of {newest}; 'keepwell source snapshots' lists all"
    )]
    NoSuchSnapshot {
        /// URL without secrets.
        location: String,
        /// The time asked for, UTC.
        wanted: String,
        /// The newest one's, UTC.
        newest: String,
    },
    /// A folder of it, or the list of snapshots, can't be read.
    #[error("{location} can't be listed: {why}")]
    Listing {
        /// URL or path without secrets.
        location: String,
        /// The source's words.
        why: String,
    },
    /// It takes one to get in.
    #[error("{location} can't be opened without the password of its account: nothing was done. Give it with --password-file")]
    NoPassword {
        /// URL without secrets.
        location: String,
    },
    /// Nobody answers there.
    #[error("{server} can't be reached: nothing was done. Check its name, the network, and that it serves {service}")]
    Unreachable {
        /// `host:port`.
        server: String,
        /// `SMB 2.1 to 3.1.1`, `NFS 3`.
        service: &'static str,
        /// What the client says.
        #[source]
        source: Cause,
    },
    /// It is too old, or set up as if it were.
    #[error(
        "{server} only speaks SMB 1, which is refused because it protects neither password nor data: nothing was done. Switch SMB 2 or 3 on there"
    )]
    OnlySmb1 {
        /// `host:port`.
        server: String,
        /// What the client says.
        #[source]
        source: Cause,
    },
    /// Wrong name or password, or a locked account.
    #[error("{server} does not let {user} in: nothing was done. Check user name and password, and whether the account is locked")]
    SignIn {
        /// `host:port`.
        server: String,
        /// Who.
        user: String,
        /// What the client says.
        #[source]
        source: Cause,
    },
    /// It offers no session that is protected against changes on the way.
    #[error(
        "{server} offers no signed session for this user: nothing was done. Switch on SMB signing or encryption there; guest access is not used"
    )]
    Unprotected {
        /// `host:port`.
        server: String,
        /// What the client says.
        #[source]
        source: Cause,
    },
    /// The share, export or folder can't be opened.
    #[error("{location} can't be opened: nothing was done. Check that share and folder exist and that this account may use them")]
    Share {
        /// URL without secrets.
        location: String,
        /// What the client says.
        #[source]
        source: Cause,
    },
    /// Not in this release.
    #[error("{location} can't be used this way by this release: nothing was done")]
    NotYet {
        /// URL without secrets.
        location: String,
    },
    /// No threads to be had.
    #[error("no further thread could be started: nothing was done")]
    Threads(#[source] io::Error),
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
