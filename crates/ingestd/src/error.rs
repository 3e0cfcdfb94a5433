//! Why the program can't do its job. What is wrong with a share is told to the caller, not here.

use std::io;
use std::path::PathBuf;

/// Why there is no job, or no more jobs. Nothing is read or written then.
#[derive(Debug, thiserror::Error)]
pub enum IngestdError {
    /// It was started by hand.
    #[error("standard input is no connection: this program is started for one, by the service manager or by `keepwell-ingestd accept`")]
    NoConnection(#[source] io::Error),
    /// Somebody else called.
    #[error("user {uid} called, who has no right to; only user {wanted} may")]
    NotYou {
        /// Who called.
        uid: u32,
        /// Who may.
        wanted: u32,
    },
    /// The system failed.
    #[error("{doing} failed, so no job can be done")]
    System {
        /// What was tried.
        doing: &'static str,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// It can't listen.
    #[error("{} can't be listened at", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

impl IngestdError {
    pub(crate) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }
}
