//! What ends a job, told so that whoever runs it knows whose fault it was. Names no file.

use std::io;
use std::sync::Arc;

use keepwell_format::port::WriteError;
use keepwell_format::{FormatError, Gap, GapReason};

/// Why the answering end does not open what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// For programs: kebab-case, such as `password`, `unreachable`, `not-found`.
    pub code: String,
    /// For people.
    pub text: String,
    /// What lies below it, outermost first.
    pub causes: Vec<String>,
}

/// Why a job ended before it was done. Cheap to copy: all that wait hear of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IngestError {
    /// It could not be opened.
    #[error(transparent)]
    Refused(Refusal),
    /// The other end died, was killed, or closed the connection.
    #[error("the program that holds the connection to the share ended before its job was done; what was read so far is no whole copy")]
    Gone(#[source] Option<Arc<io::Error>>),
    /// Somebody wanted it so.
    #[error("the job was cancelled: {0}")]
    Cancelled(String),
    /// The other end sent what nobody asked for, or what can't be.
    #[error("the program that holds the connection to the share does not keep to the protocol, so the job was ended: {0}")]
    Protocol(&'static str),
    /// What the other end sent can't be parsed.
    #[error("the program that holds the connection to the share does not keep to the protocol, so the job was ended")]
    Format(#[source] FormatError),
    /// No sign of life for [`crate::PATIENCE`], or it took nothing for as long.
    #[error("the program that holds the connection to the share gave no sign of life, so the job was ended")]
    Silent,
    /// No threads to be had.
    #[error("no further thread could be started: nothing was done")]
    Threads(#[source] Arc<io::Error>),
}

impl IngestError {
    /// Sorts what the socket said.
    pub(crate) fn io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Gone(Some(Arc::new(error))),
        }
    }

    /// As a source says it. Such a gap is the end of a walk, and what [`keepwell_format::port::Source::gone`] answers.
    pub(crate) fn gap(&self) -> Gap {
        Gap { reason: GapReason::Read, text: self.to_string() }
    }

    /// As a target says it.
    pub(crate) fn write_error(&self) -> WriteError {
        WriteError { fatal: true, text: self.to_string() }
    }
}

impl From<FormatError> for IngestError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}
