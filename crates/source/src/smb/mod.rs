//! An SMB share as a source, read only: a stopgap on crate `smb2` until Keepwell's own client replaces it.
//!
//! Always signed, never guest, no SMB 1. What it can't do, so that nobody takes a backup through it for more than it is:
//!
//! - Servers that demand encryption are refused (the crate does not offer it when it negotiates).
//! - Not read at all: security descriptors, alternate streams, extended attributes, link targets, hard links (each path is a file),
//!   holes (they are read as zeros).
//! - Symbolic links and other reparse points are gaps. Samba shows a Unix link as what it points to; a folder that contains itself
//!   that way is a gap.
//! - Names: those with unpaired surrogates, and such that Windows forbids and the server shows nevertheless, can't be opened and are
//!   gaps. U+F001-U+F029 are shown as the characters they stand for, as macOS does.
//! - No backup intent and no previous versions: files that others hold open exclusively are gaps.
//! - No reconnect: when the server goes away, the walk ends with an error. DFS links are gaps.

mod read;
mod source;
mod walk;

pub use source::SmbSource;

use keepwell_format::{Gap, GapReason, Time};
use smb2::ErrorKind;
use smb2::pack::FileTime;

/// Seconds from 1601 to 1970 (MS-DTYP 2.3.3).
const EPOCH_SECONDS: i64 = 11_644_473_600;

/// The gap that an error makes. The client's own words are not used, because they may hold names.
fn gap(error: &smb2::Error) -> Gap {
    let (reason, text) = match error.kind() {
        ErrorKind::AccessDenied | ErrorKind::AuthRequired | ErrorKind::SigningRequired => {
            (GapReason::Permission, "the server denies access")
        }
        ErrorKind::SharingViolation => (GapReason::Locked, "another program holds it open or locked"),
        ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory => {
            (GapReason::Vanished, "it is gone, or its name can't be spelled over SMB")
        }
        ErrorKind::InvalidName => (GapReason::Name, "the server does not take its name"),
        ErrorKind::Unsupported | ErrorKind::DfsReferral => (GapReason::Unsupported, "the server can't read it this way"),
        ErrorKind::TimedOut => (GapReason::Read, "the server did not answer in time"),
        kind if is_gone(kind) => (GapReason::Read, "the connection to the server is lost"),
        _ => (GapReason::Read, "the server failed to read it"),
    };
    let status = error.status().map_or_else(String::new, |status| format!(" ({status})"));
    Gap { reason, text: format!("{text}{status}") }
}

/// Whether nothing further will come from this connection.
fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionLost | ErrorKind::SessionExpired | ErrorKind::SignatureInvalid | ErrorKind::TimedOut)
}

/// 100 ns since 1601; zero means unknown (MS-FSCC 2.4.7).
fn time(time: FileTime) -> Option<Time> {
    let ticks = time.0;
    let seconds = i64::try_from(ticks / 10_000_000).ok()? - EPOCH_SECONDS;
    let nanos = u32::try_from(ticks % 10_000_000).ok()? * 100;
    (ticks != 0).then_some(Time { seconds, nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_fraction() {
        assert_eq!(time(FileTime(0)), None);
        assert_eq!(time(FileTime(1)), Some(Time { seconds: -EPOCH_SECONDS, nanos: 100 }));
        assert_eq!(time(FileTime(116_444_736_000_000_000 - 1)), Some(Time { seconds: -1, nanos: 999_999_900 }));
        assert_eq!(time(FileTime(116_444_736_000_000_000)), Some(Time { seconds: 0, nanos: 0 }));
        assert!(time(FileTime(u64::MAX)).is_some());
    }
}
