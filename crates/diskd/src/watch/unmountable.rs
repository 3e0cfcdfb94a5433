//! A disk of the box that could not be mounted: why, and when that is tried again. Pure: the moment is passed in.

use std::io;
use std::time::{Duration, Instant};

use keepwell_api::error::chain;
use rustix::io::Errno;

use crate::error::DiskError;

/// It is tried again after this, and then after twice the time of before,
const FIRST: Duration = Duration::from_secs(10);
/// but never later.
const LAST: Duration = Duration::from_secs(1800);

/// What became of the tries so far.
#[derive(Clone, Debug)]
pub(super) struct Unmountable {
    /// Why its file system can't be read; none if something else stood in the way.
    pub(super) unreadable: Option<String>,
    /// When it is tried again.
    pub(super) again: Instant,
    pause: Duration,
}

impl Unmountable {
    /// A try has failed, after others or as the first.
    pub(super) fn after(before: Option<&Self>, error: &DiskError, now: Instant) -> Self {
        let pause = before.map_or(FIRST, |before| (before.pause * 2).min(LAST));
        Self { unreadable: is_unreadable(error).then(|| chain(error)), again: now + pause, pause }
    }
}

/// Whether it is the file system that can't be read, by what the system says of a mount (mount(2); XFS says `EUCLEAN` of damage and `EBADMSG` of a wrong checksum).
fn is_unreadable(error: &DiskError) -> bool {
    let said = |source: &io::Error| Errno::from_io_error(source);
    match error {
        DiskError::Io { doing: "mount", source, .. } => {
            matches!(said(source), Some(Errno::UCLEAN | Errno::BADMSG | Errno::INVAL | Errno::IO | Errno::NODATA | Errno::FBIG))
        }
        DiskError::Refused { code, .. } => *code == "no-file-system",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(errno: Errno) -> DiskError {
        DiskError::io("mount", "/dev/sda1")(io::Error::from(errno))
    }

    #[test]
    fn tries_get_rarer_and_never_end() {
        let now = Instant::now();
        let mut last = Unmountable::after(None, &failed(Errno::UCLEAN), now);
        let mut pauses = vec![last.again - now];
        for _ in 0..20 {
            last = Unmountable::after(Some(&last), &failed(Errno::UCLEAN), now);
            pauses.push(last.again - now);
        }
        assert_eq!(pauses[..3], [10, 20, 40].map(Duration::from_secs));
        assert!(pauses.is_sorted() && pauses[20] == LAST, "{pauses:?}");
    }

    #[test]
    fn only_a_file_system_that_cannot_be_read_is_called_so() {
        let now = Instant::now();
        let why = |error: &DiskError| Unmountable::after(None, error, now).unreadable;
        for errno in [Errno::UCLEAN, Errno::BADMSG, Errno::INVAL, Errno::IO] {
            assert!(why(&failed(errno)).is_some_and(|text| text.contains("/dev/sda1")), "{errno:?}");
        }
        for errno in [Errno::BUSY, Errno::PERM, Errno::NODEV, Errno::NXIO, Errno::NOENT] {
            assert_eq!(why(&failed(errno)), None, "{errno:?}");
        }
        assert!(why(&DiskError::refused("no-file-system", "it is another one")).is_some());
        assert_eq!(why(&DiskError::refused("absent", "it is not connected")), None);
    }
}
