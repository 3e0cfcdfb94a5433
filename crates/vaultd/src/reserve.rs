//! Room for the worst day: a file and some empty ones beside the state that are given away when the box's own disk is full, so that its programs start, say so, and have what they record
//! before they act recorded. One for all of them, since they share that disk. Holds nothing. A disk is full without room for bytes, and without room for files: each is kept back for itself.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use keepwell_api::vault::OWN_DISK_LOW;

/// Bytes that are kept back.
const BYTES: Kept = Kept { reserve: 8 << 20, low: OWN_DISK_LOW.0 };
/// Files that are kept back: a database and its journal, a temporary file that replaces one, for each program, several times over.
const FILES: Kept = Kept { reserve: 64, low: OWN_DISK_LOW.1 };

/// How much of something there has to be.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// What is kept back.
    reserve: u64,
    /// With less than this, nothing can be counted on.
    low: u64,
}

/// The reserve.
#[derive(Debug)]
pub(crate) struct Reserve {
    /// The one that takes room for bytes.
    file: PathBuf,
    /// The folder of those that take room for files. It stays when they go: there may be none for it later.
    files: PathBuf,
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
        Self { file: folder.join("reserve"), files: folder.join("reserve.files"), full: AtomicBool::new(false) }
    }

    /// Whether the disk was full when it was looked at last.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Looks how much room there is, and gives or takes the reserve.
    pub(crate) fn look(&self) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let room = rustix::fs::statvfs(folder)?;
        let bytes = room.f_bavail.saturating_mul(room.f_frsize);
        // A file system that makes room for them as they come says that it has none at all.
        let files = if room.f_files == 0 { u64::MAX } else { room.f_favail };
        let has_bytes = self.file.try_exists()?;
        let has_files = self.files.join(last()).try_exists()?;
        self.full.store(!BYTES.has_room(bytes, has_bytes) || !FILES.has_room(files, has_files), Ordering::Release);
        let given =
            |what| tracing::error!(bytes, files, "the box's own disk is full: the {what} that were kept back for that are given away");
        // One is full for itself, and what can be done about the other is done all the same.
        let of_bytes = match BYTES.decide(bytes, has_bytes) {
            Move::Give => {
                given("bytes");
                fs::remove_file(&self.file)
            }
            Move::Take => self.take_bytes().inspect_err(|_| drop(fs::remove_file(&self.file))),
            Move::Nothing => Ok(()),
        };
        let of_files = match FILES.decide(files, has_files) {
            Move::Give => {
                given("files");
                self.give_files()
            }
            Move::Take => self.take_files().inspect_err(|_| drop(self.give_files())),
            Move::Nothing => Ok(()),
        };
        of_bytes.and(of_files)
    }

    /// Written, since a hole takes no room.
    fn take_bytes(&self) -> io::Result<()> {
        let mut file = File::create(&self.file)?;
        let piece = vec![0x5a; 1 << 20];
        for _ in 0..BYTES.reserve >> 20 {
            file.write_all(&piece)?;
        }
        file.sync_all()
    }

    /// The last one comes last: while it is there, so are the others.
    fn take_files(&self) -> io::Result<()> {
        fs::create_dir_all(&self.files)?;
        (1..=FILES.reserve).try_for_each(|number| File::create(self.files.join(number.to_string())).map(drop))
    }

    /// And goes first.
    fn give_files(&self) -> io::Result<()> {
        for number in (1..=FILES.reserve).rev() {
            match fs::remove_file(self.files.join(number.to_string())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Kept {
    /// With more than this beside it, it is kept back again: not at once what was just given.
    fn ample(self) -> u64 {
        4 * self.reserve
    }

    fn decide(self, available: u64, there: bool) -> Move {
        match there {
            true if available < self.low => Move::Give,
            false if available > self.ample() => Move::Take,
            _ => Move::Nothing,
        }
    }

    /// A disk whose reserve was given is full until there is room for it again.
    fn has_room(self, available: u64, there: bool) -> bool {
        if there { available >= self.low } else { available > self.ample() }
    }
}

fn last() -> String {
    FILES.reserve.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_not_taken_again_before_there_is_room_for_more() {
        for kept in [BYTES, FILES] {
            let (low, reserve, ample) = (kept.low, kept.reserve, kept.ample());
            for (available, there, expected, room) in [
                (0, true, Move::Give, false),
                (low - 1, true, Move::Give, false),
                (low, true, Move::Nothing, true),
                (low + reserve, false, Move::Nothing, false),
                (ample, false, Move::Nothing, false),
                (ample + 1, false, Move::Take, true),
                (0, false, Move::Nothing, false),
                (u64::MAX, true, Move::Nothing, true),
            ] {
                assert_eq!(
                    (kept.decide(available, there), kept.has_room(available, there)),
                    (expected, room),
                    "{available} {there} {kept:?}"
                );
            }
        }
    }

    #[test]
    fn it_takes_real_room_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(folder.path());
        reserve.look().unwrap();
        // Where tests run there is room for it.
        let length = fs::metadata(&reserve.file).unwrap();
        assert!(
            !reserve.is_full() && length.len() == BYTES.reserve && std::os::unix::fs::MetadataExt::blocks(&length) * 512 >= BYTES.reserve
        );
        let files = || fs::read_dir(&reserve.files).unwrap().count() as u64;
        assert_eq!(files(), FILES.reserve);
        reserve.look().unwrap();
        assert!(reserve.file.exists() && files() == FILES.reserve);
        reserve.give_files().unwrap();
        assert_eq!(files(), 0);
        // One that a crash cut is made whole.
        File::create(reserve.files.join("7")).unwrap();
        reserve.look().unwrap();
        assert_eq!(files(), FILES.reserve);
    }
}
