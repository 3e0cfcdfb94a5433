//! Why something could not be done with a disk. Names the disk or the path; says what it means for the data.

use std::io;
use std::path::PathBuf;

use crate::program::ProgramError;
use crate::smart::SmartError;

/// A failure of diskd.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It is not allowed; nothing was changed.
    #[error("{text}")]
    Refused {
        /// A stable word for programs, such as `wrong-serial`.
        code: &'static str,
        /// What was refused and why.
        text: String,
    },
    /// The system refused a file, folder or device.
    #[error("can't {doing} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A program that was needed failed.
    #[error("can't {doing} disk {disk}")]
    Program {
        /// What was being done, as a verb.
        doing: &'static str,
        /// Serial number or device.
        disk: String,
        /// What happened.
        source: ProgramError,
    },
    /// The disk can't be asked for its health.
    #[error("disk {disk} can't be asked")]
    Smart {
        /// Serial number.
        disk: String,
        /// What happened.
        source: SmartError,
    },
    /// The box's identity did not sign.
    #[error("the box's identity could not sign; nothing was changed")]
    Identity(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The history of the disks can't be used.
    #[error("the history of the disks can't be used: {}", path.display())]
    History {
        /// Its file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// What was just written is not what is read.
    #[error("disk {disk} does not give back what was just written to it: {what}. Replace it")]
    Unfaithful {
        /// Serial number or device.
        disk: String,
        /// What.
        what: &'static str,
    },
}

impl DiskError {
    /// A refusal.
    pub fn refused(code: &'static str, text: impl Into<String>) -> Self {
        Self::Refused { code, text: text.into() }
    }

    /// A failure of the system.
    pub(crate) fn io<E: Into<io::Error>>(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source: source.into() }
    }

    /// The word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Io { .. } => "system",
            Self::Program { .. } => "program",
            Self::Smart { .. } => "smart",
            Self::Identity(_) => "identity",
            Self::History { .. } => "history",
            Self::Unfaithful { .. } => "unfaithful",
        }
    }
}
