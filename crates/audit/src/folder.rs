//! The folder of a ledger: its files by number, each read whole and within bounds, made so that a crash leaves no half of a header.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::AuditError;
use crate::file::{FRAME_MAX, HEADER_LEN, Header};
use crate::ledger::FILE_MAX;

/// A predecessor that is ending lets go of the lock within 2 s.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// More of a file than this is never read.
const READ_MAX: u64 = FILE_MAX + FRAME_MAX as u64;

/// Where file `number` of the ledger is.
pub(crate) fn file_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(file_name(number))
}

/// What file `number` of a ledger is called; the first one has number 1, and none is ever missing between.
pub fn file_name(number: u32) -> String {
    format!("ledger-{number:08}.kwl")
}

/// The numbers of the files that are there, ascending.
pub(crate) fn numbers(folder: &Path) -> Result<Vec<u32>, AuditError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(AuditError::io("listed", folder))? {
        let name = entry.map_err(AuditError::io("listed", folder))?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix("ledger-")?.strip_suffix(".kwl"));
        let number = digits.and_then(|digits| digits.parse::<u32>().ok());
        numbers.extend(number.filter(|number| file_name(*number).as_str() == name));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The beginning of a file, as long as a header.
pub(crate) fn read_header(folder: &Path, number: u32) -> Result<Vec<u8>, AuditError> {
    let path = file_path(folder, number);
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(AuditError::io("opened", &path))?;
    file.take(HEADER_LEN as u64).read_to_end(&mut bytes).map_err(AuditError::io("read", &path))?;
    Ok(bytes)
}

/// A file's bytes, and whether it has more than a file may have.
pub(crate) fn read_file(folder: &Path, number: u32) -> Result<(Vec<u8>, bool), AuditError> {
    let path = file_path(folder, number);
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(AuditError::io("opened", &path))?;
    file.take(READ_MAX + 1).read_to_end(&mut bytes).map_err(AuditError::io("read", &path))?;
    let longer = bytes.len() as u64 > READ_MAX;
    bytes.truncate(READ_MAX as usize);
    Ok((bytes, longer))
}

/// Length and BLAKE3 of all of a file, whatever its length.
pub(crate) fn digest(folder: &Path, number: u32) -> Result<(u64, [u8; 32]), AuditError> {
    let path = file_path(folder, number);
    let mut file = File::open(&path).map_err(AuditError::io("opened", &path))?;
    let mut hasher = blake3::Hasher::new();
    let length = io::copy(&mut file, &mut hasher).map_err(AuditError::io("read", &path))?;
    Ok((length, *hasher.finalize().as_bytes()))
}

/// Makes the folder if it is not there, so that it is still there after a power cut.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// The folder, held by one writer.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Holds the lock, and is synced when a file was made.
    directory: File,
}

impl Folder {
    /// Makes it if it is not there, and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, AuditError> {
        make(path).map_err(AuditError::io("made", path))?;
        let directory = File::open(path).map_err(AuditError::io("opened", path))?;
        for _ in 0..LOCK_TRIES {
            match directory.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), directory }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(source)) => return Err(AuditError::io("locked", path)(source)),
            }
        }
        Err(AuditError::InUse(path.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file to add to it.
    pub(crate) fn open_file(&self, number: u32) -> Result<File, AuditError> {
        let path = file_path(&self.path, number);
        OpenOptions::new().write(true).open(&path).map_err(AuditError::io("opened", &path))
    }

    /// Makes a file with its header: written aside, synced, renamed, the folder synced.
    pub(crate) fn make_file(&self, header: &Header) -> Result<File, AuditError> {
        let path = file_path(&self.path, header.number);
        let aside = path.with_extension("new");
        let make = || {
            if path.try_exists()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
            file.write_all(&header.encode())?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            self.directory.sync_all()?;
            Ok(file)
        };
        make().map_err(AuditError::io("written", &path))
    }
}
