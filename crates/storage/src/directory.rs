//! A disk that is a folder: a mount point in production, a plain folder elsewhere.
//!
//! Owns the system calls. Follows no symbolic link at the end of a path, and leaves the folder it was given by no path.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;

use crate::disk::{Disk, DiskError, DiskErrorKind, DiskLock, FileInfo, FileKind, Space};

/// A folder of the file system as a disk.
pub struct DirectoryDisk {
    name: String,
    root: PathBuf,
    /// Handles of files that are written and not synced: only the handle that wrote is sure to hear of a failed write-back.
    unsynced: Mutex<HashMap<String, File>>,
}

impl DirectoryDisk {
    /// The folder `root` under the name `name`. Touches nothing; a folder that is not there is found out at the first call.
    pub fn new(name: impl Into<String>, root: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), root: root.into(), unsynced: Mutex::default() }
    }

    fn at(&self, path: &str) -> Result<PathBuf, DiskError> {
        let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\0');
        if path.split('/').count() > 2 || path.split('/').any(bad) {
            return Err(self.error(path, io::Error::from(io::ErrorKind::InvalidInput)));
        }
        Ok(self.root.join(path))
    }

    fn folder(&self, folder: &str) -> Result<PathBuf, DiskError> {
        if folder.is_empty() { Ok(self.root.clone()) } else { self.at(folder) }
    }

    fn error(&self, path: &str, error: io::Error) -> DiskError {
        DiskError::from_io(&self.name, path, error)
    }

    fn open_to_read(&self, path: &str) -> Result<File, DiskError> {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits();
        OpenOptions::new().read(true).custom_flags(flags).open(self.at(path)?).map_err(|e| self.error(path, e))
    }

    fn open_to_write(&self, path: &str) -> Result<File, DiskError> {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits();
        let mut options = OpenOptions::new();
        // Who may read it beside its owner is said by the folder and the umask: it is ciphertext.
        options.write(true).create(true).truncate(true).mode(0o640).custom_flags(flags);
        options.open(self.at(path)?).map_err(|e| self.error(path, e))
    }

    fn handles(&self) -> std::sync::MutexGuard<'_, HashMap<String, File>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for DirectoryDisk {
    fn name(&self) -> &str {
        &self.name
    }

    fn list(&self, folder: &str) -> Result<Vec<FileInfo>, DiskError> {
        let entries = match fs::read_dir(self.folder(folder)?) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) && folder.is_empty() => {
                return Err(DiskError { kind: DiskErrorKind::Gone, ..self.error(folder, e) });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| self.error(folder, e))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            match entry.and_then(|entry| file_info(&entry)) {
                Ok(info) => found.push(info),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(self.error(folder, e)),
            }
        }
        found.sort();
        Ok(found)
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.open_to_read(path)?.read_exact_at(buffer, offset).map_err(|e| self.error(path, e))
    }

    fn len(&self, path: &str) -> Result<u64, DiskError> {
        fs::symlink_metadata(self.at(path)?).map(|m| m.len()).map_err(|e| self.error(path, e))
    }

    fn write(&self, path: &str, parts: &[&[u8]]) -> Result<(), DiskError> {
        let mut file = self.open_to_write(path)?;
        write_parts(&mut file, parts).map_err(|e| self.error(path, e))?;
        self.handles().insert(path.into(), file);
        Ok(())
    }

    fn write_chunks(&self, path: &str, next: &mut dyn FnMut(Vec<u8>) -> Option<Vec<u8>>) -> Result<(), DiskError> {
        let mut file = self.open_to_write(path)?;
        let mut chunk = Vec::new();
        while let Some(next) = next(chunk) {
            file.write_all(&next).map_err(|e| self.error(path, e))?;
            chunk = next;
        }
        self.handles().insert(path.into(), file);
        Ok(())
    }

    fn sync_file(&self, path: &str) -> Result<(), DiskError> {
        let written = self.handles().remove(path);
        let file = match written {
            Some(file) => file,
            None => self.open_to_read(path)?,
        };
        file.sync_all().map_err(|e| self.error(path, e))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        if from.rsplit_once('/').map(|p| p.0) != to.rsplit_once('/').map(|p| p.0) {
            return Err(self.error(to, io::Error::from(io::ErrorKind::InvalidInput)));
        }
        self.handles().remove(from);
        fs::rename(self.at(from)?, self.at(to)?).map_err(|e| self.error(from, e))
    }

    fn sync_folder(&self, folder: &str) -> Result<(), DiskError> {
        File::open(self.folder(folder)?).and_then(|f| f.sync_all()).map_err(|e| self.error(folder, e))
    }

    fn make_folder(&self, folder: &str) -> Result<(), DiskError> {
        match fs::create_dir(self.at(folder)?) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done.map_err(|e| self.error(folder, e)),
        }
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.handles().remove(path);
        fs::remove_file(self.at(path)?).map_err(|e| self.error(path, e))
    }

    fn space(&self) -> Result<Space, DiskError> {
        let stat = statvfs(&self.root).map_err(|e| self.error("", e.into()))?;
        let block = stat.fragment_size();
        Ok(Space { total: stat.blocks().saturating_mul(block), free: stat.blocks_available().saturating_mul(block) })
    }

    /// An advisory lock (flock) on the folder itself: it needs no file, works on a read-only disk, and ends with the process.
    fn lock(&self) -> Result<DiskLock, DiskError> {
        let folder = File::open(&self.root).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => DiskError { kind: DiskErrorKind::Gone, ..self.error("", e) },
            _ => self.error("", e),
        })?;
        match folder.try_lock() {
            Ok(()) => Ok(DiskLock::holding(folder)),
            Err(fs::TryLockError::WouldBlock) => Err(DiskError::new(DiskErrorKind::Locked, &self.name, "")),
            Err(fs::TryLockError::Error(e)) => Err(self.error("", e)),
        }
    }
}

impl fmt::Debug for DirectoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryDisk").field("name", &self.name).field("root", &self.root).finish_non_exhaustive()
    }
}

fn file_info(entry: &fs::DirEntry) -> io::Result<FileInfo> {
    let meta = entry.metadata()?;
    let kind = match meta.file_type() {
        t if t.is_file() => FileKind::File,
        t if t.is_dir() => FileKind::Folder,
        _ => FileKind::Other,
    };
    let len = if kind == FileKind::File { meta.len() } else { 0 };
    Ok(FileInfo { name: entry.file_name().to_string_lossy().into_owned(), len, kind })
}

/// Gathers the parts into as few system calls as the kernel allows.
fn write_parts(file: &mut File, parts: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().filter(|p| !p.is_empty()).map(|p| IoSlice::new(p)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut rest, n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
