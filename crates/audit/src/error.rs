//! What can go wrong with a ledger's files. What is wrong *in* them is a [`crate::Fault`], not an error.

use std::io;
use std::path::PathBuf;

/// Something that is no record of this version: which rule it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRecord(pub(crate) &'static str);

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The system refuses.
    #[error("the ledger can't be {verb} ({})", path.display())]
    Io {
        /// What was to be done.
        verb: &'static str,
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process writes this ledger.
    #[error("another program writes the ledger in {}; only one may", .0.display())]
    InUse(PathBuf),
    /// Written by a later release.
    #[error("the ledger was written by a newer program ({}): nothing was changed", .0.display())]
    Newer(PathBuf),
    /// A draft that is no record.
    #[error("this can't be recorded")]
    Draft(#[source] InvalidRecord),
}

impl AuditError {
    pub(crate) fn io(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { verb, path, source }
    }
}
