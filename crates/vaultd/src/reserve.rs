//! Room for the worst day: a file beside the state that is given away when the box's own disk is full, so that its programs start, say so, and have what they record before they act
//! recorded. One for all of them, since they share that disk. Holds nothing.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What is kept back.
const RESERVE: u64 = 8 << 20;
/// With less than this, nothing can be counted on.
const LOW: u64 = 2 << 20;
/// With more than this beside it, it is kept back again: not at once what was just given.
const AMPLE: u64 = 4 * RESERVE;

/// The file.
#[derive(Debug)]
pub(crate) struct Reserve {
    file: PathBuf,
    full: AtomicBool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Give,
    Take,
    Nothing,
}

impl Reserve {
    pub(crate) fn of(folder: &Path) -> Self {
        Self { file: folder.join("reserve"), full: AtomicBool::new(false) }
    }

    /// Whether the disk was full when it was looked at last.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Looks how much room there is, and gives or takes the reserve.
    pub(crate) fn look(&self) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let room = rustix::fs::statvfs(folder)?;
        let available = room.f_bavail.saturating_mul(room.f_frsize);
        let there = self.file.try_exists()?;
        self.full.store(!has_room(available, there), Ordering::Release);
        match decide(available, there) {
            Move::Give => {
                tracing::error!(available, "the box's own disk is full: what was kept back for that is given away");
                fs::remove_file(&self.file)
            }
            Move::Take => self.take().inspect_err(|_| drop(fs::remove_file(&self.file))),
            Move::Nothing => Ok(()),
        }
    }

    /// Written, since a hole takes no room.
    fn take(&self) -> io::Result<()> {
        let mut file = File::create(&self.file)?;
        let piece = vec![0x5a; 1 << 20];
        for _ in 0..RESERVE >> 20 {
            file.write_all(&piece)?;
        }
        file.sync_all()
    }
}

fn decide(available: u64, there: bool) -> Move {
    match there {
        true if available < LOW => Move::Give,
        false if available > AMPLE => Move::Take,
        _ => Move::Nothing,
    }
}

/// A disk whose reserve was given is full until there is room for it again.
fn has_room(available: u64, there: bool) -> bool {
    if there { available >= LOW } else { available > AMPLE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_not_taken_again_before_there_is_room_for_more() {
        for (available, there, expected, room) in [
            (0, true, Move::Give, false),
            (LOW, true, Move::Nothing, true),
            (LOW + RESERVE, false, Move::Nothing, false),
            (AMPLE, false, Move::Nothing, false),
            (AMPLE + 1, false, Move::Take, true),
            (0, false, Move::Nothing, false),
            (u64::MAX, true, Move::Nothing, true),
        ] {
            assert_eq!((decide(available, there), has_room(available, there)), (expected, room), "{available} {there}");
        }
    }

    #[test]
    fn it_takes_real_room_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(folder.path());
        reserve.look().unwrap();
        // Where tests run there is room for it.
        let length = fs::metadata(&reserve.file).unwrap();
        assert!(!reserve.is_full() && length.len() == RESERVE && std::os::unix::fs::MetadataExt::blocks(&length) * 512 >= RESERVE);
        reserve.look().unwrap();
        assert!(reserve.file.exists());
    }
}
