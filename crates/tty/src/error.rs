//! Why the screen can't be shown.

use std::io;
use std::path::PathBuf;

/// What went wrong here, and not with a program that was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TtyError {
    /// Reading keys or drawing failed.
    #[error("the terminal can't be used")]
    Terminal(#[source] io::Error),
    /// No such zone.
    #[error("{zone} is no time zone that this system knows")]
    Zone {
        /// As given.
        zone: String,
        /// What is wrong with it.
        #[source]
        source: jiff::Error,
    },
    /// The address could not be written down.
    #[error("{} could not be written", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A program of the system did not do it.
    #[error("{program} did not do it: {why}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        why: String,
    },
}
