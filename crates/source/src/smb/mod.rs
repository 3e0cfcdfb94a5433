//! SMB 2.1 to 3.1.1 shares as sources and targets, on `keepwell-smb`.
//!
//! Owns how a share's entries become nodes and how nodes become entries of a share again. Never talks to a server that neither signs
//! nor encrypts, never follows a link, never addresses anything but single components below its own root, and never writes to a source.
//!
//! - Every reparse point that stands for something else (symbolic link, junction, ...) is kept as its raw reparse data. Those that only say
//!   where a file's bytes are kept (deduplicated, compressed, in a cloud) are read as the files they are.
//! - Samba shows a Unix link as what it points to; a folder that contains itself that way is a gap.
//! - A file that another program holds closed is read from the server's newest snapshot that has it.

mod ahead;
mod apply;
mod compare;
mod descriptor;
mod expected;
mod folder;
mod large;
mod metadata;
mod read;
mod resume;
mod rights;
mod rows;
mod session;
mod source;
mod target;
mod walk;
mod write;

pub use session::SmbOptions;
pub use source::SmbSource;
pub use target::SmbTarget;

use keepwell_format::{Gap, GapReason, Time};
use keepwell_smb::{FileTime, NtStatus, SmbError};

/// The gap that an error makes.
fn gap(error: &SmbError) -> Gap {
    match error {
        SmbError::Status { status, .. } => refusal(*status),
        SmbError::Timeout => Gap { reason: GapReason::Read, text: "the server did not answer in time".into() },
        error if error.is_gone() => Gap { reason: GapReason::Read, text: "the connection to the server is lost".into() },
        error => Gap { reason: GapReason::Read, text: error.to_string() },
    }
}

/// The gap that a server's refusal makes.
fn refusal(status: NtStatus) -> Gap {
    let (reason, text) = match status {
        NtStatus::ACCESS_DENIED | NtStatus::PRIVILEGE_NOT_HELD => (GapReason::Permission, "the server denies access"),
        NtStatus::SHARING_VIOLATION => (GapReason::Locked, "another program holds it open"),
        NtStatus::FILE_LOCK_CONFLICT | NtStatus::LOCK_NOT_GRANTED => (GapReason::Locked, "another program has locked a part of it"),
        NtStatus::OBJECT_NAME_NOT_FOUND
        | NtStatus::OBJECT_PATH_NOT_FOUND
        | NtStatus::NO_SUCH_FILE
        | NtStatus::NOT_FOUND
        | NtStatus::DELETE_PENDING
        | NtStatus::FILE_IS_A_DIRECTORY
        | NtStatus::NOT_A_DIRECTORY => (GapReason::Vanished, "it is gone, or something else has taken its place"),
        NtStatus::OBJECT_NAME_INVALID | NtStatus::OBJECT_PATH_INVALID | NtStatus::OBJECT_PATH_SYNTAX_BAD | NtStatus::NAME_TOO_LONG => {
            (GapReason::Name, "the server does not take its name")
        }
        NtStatus::PATH_NOT_COVERED => (GapReason::Unsupported, "it leads to another server (DFS)"),
        NtStatus::IO_REPARSE_TAG_NOT_HANDLED | NtStatus::STOPPED_ON_SYMLINK => {
            (GapReason::Unsupported, "the server can't resolve this link")
        }
        status if status.is_unsupported() => (GapReason::Unsupported, "the server can't read it"),
        _ => (GapReason::Read, "the server failed to read it"),
    };
    Gap { reason, text: format!("{text}: {status}") }
}

/// None where the server knows no time.
fn time(time: FileTime) -> Option<Time> {
    time.to_unix().map(|(seconds, nanos)| Time { seconds, nanos })
}
