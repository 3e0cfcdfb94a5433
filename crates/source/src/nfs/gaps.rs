//! What an NFS error means for a backup, in words. No file names.

use keepwell_format::{Gap, GapReason};
use keepwell_nfs::{NfsError, Status};

use crate::SourceError;

/// What is asked for in messages.
const SERVICE: &str = "NFS 3";

/// The gap that an error makes. Something that turns up as another kind of thing was replaced, so what was there is gone.
pub(super) fn gap(error: &NfsError, otherwise: GapReason) -> Gap {
    let reason = match error.status() {
        Some(Status::ACCES | Status::PERM) => GapReason::Permission,
        Some(Status::NOENT | Status::STALE | Status::BADHANDLE | Status::NOTDIR | Status::ISDIR) => GapReason::Vanished,
        Some(Status::JUKEBOX) => GapReason::Locked,
        Some(Status::NOTSUPP | Status::NXIO | Status::NODEV) => GapReason::Unsupported,
        _ => otherwise,
    };
    Gap { reason, text: words(error) }
}

/// The error and what is behind it, in a line.
pub(super) fn words(error: &NfsError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub(super) fn vanished() -> Gap {
    Gap { reason: GapReason::Vanished, text: "another file has taken its place since the folder was listed".into() }
}

/// What keeps an export from being opened.
pub(super) fn refusal(error: NfsError, server: &str, location: &str) -> SourceError {
    match error {
        NfsError::Unreachable { .. } | NfsError::NoPort { .. } | NfsError::Lost(_) | NfsError::Timeout => {
            SourceError::Unreachable { server: server.to_owned(), service: SERVICE, source: error.into() }
        }
        _ => SourceError::Share { location: location.to_owned(), source: error.into() },
    }
}
