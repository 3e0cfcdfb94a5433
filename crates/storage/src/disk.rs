//! The port to a disk: a flat, two-level store of files with explicit syncs.
//!
//! Owns the trait, its errors and nothing else. Nothing written counts before the sync that makes it durable:
//! `write` -> `sync_file` -> `rename` -> `sync_folder`. Never modifies a file in place.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;

/// One disk. Paths are `name` or `folder/name`; the folder `""` is the root.
pub trait Disk: Send + Sync {
    /// What people call it, `disk-2`.
    fn name(&self) -> &str;
    /// What is in a folder, by ascending name. A missing folder is empty; a missing root is [`DiskErrorKind::Gone`].
    fn list(&self, folder: &str) -> Result<Vec<FileInfo>, DiskError>;
    /// Fills `buffer` from `offset`; a file that ends before that is an error of kind [`DiskErrorKind::Short`].
    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError>;
    /// Length of a file in bytes.
    fn len(&self, path: &str) -> Result<u64, DiskError>;
    /// Creates a file, or empties the one there, and writes the parts one after the other. Not durable before [`Disk::sync_file`].
    fn write(&self, path: &str, parts: &[&[u8]]) -> Result<(), DiskError>;
    /// The same with parts that are asked for one after the other until there is none, each with the memory of the one before. What came before an early end may be there.
    fn write_chunks(&self, path: &str, next: &mut dyn FnMut(Vec<u8>) -> Option<Vec<u8>>) -> Result<(), DiskError> {
        let chunks: Vec<Vec<u8>> = std::iter::from_fn(|| next(Vec::new())).collect();
        self.write(path, &chunks.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
    /// Makes the content of a file durable; its name is so only after [`Disk::sync_folder`].
    fn sync_file(&self, path: &str) -> Result<(), DiskError>;
    /// Renames a file within its folder, replacing what has the new name. Atomic, not durable.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &str) -> Result<(), DiskError>;
    /// Makes a folder in the root; one that is there is fine. Durable after `sync_folder("")`.
    fn make_folder(&self, folder: &str) -> Result<(), DiskError>;
    /// Removes a file. Not durable before [`Disk::sync_folder`].
    fn remove(&self, path: &str) -> Result<(), DiskError>;
    /// Capacity and what is free.
    fn space(&self) -> Result<Space, DiskError>;
    /// Takes the one writer's lock until the guard is dropped; [`DiskErrorKind::Locked`] when somebody has it.
    fn lock(&self) -> Result<DiskLock, DiskError>;
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileInfo {
    /// Name without the folder. A name that is no UTF-8 is shown with replacement characters.
    pub name: String,
    /// Bytes; 0 for what is no file.
    pub len: u64,
    /// What it is.
    pub kind: FileKind,
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, socket, device.
    Other,
}

/// Bytes of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Capacity.
    pub total: u64,
    /// Free for us.
    pub free: u64,
}

/// Keeps other writers off a disk while it lives.
pub struct DiskLock(#[expect(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>);

impl DiskLock {
    /// A lock that is held as long as `guard` is.
    pub fn holding(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for DiskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskLock")
    }
}

/// Classes of failure that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskErrorKind {
    /// No such file.
    NotFound,
    /// No space left.
    Full,
    /// Mounted or made read-only.
    ReadOnly,
    /// This user may not.
    Denied,
    /// The file ends before what was asked for.
    Short,
    /// The device failed.
    Io,
    /// The disk is not there any more.
    Gone,
    /// It does not answer in time.
    Stalled,
    /// Another writer has it.
    Locked,
}

impl fmt::Display for DiskErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::Full => "no space left",
            Self::ReadOnly => "read-only",
            Self::Denied => "permission denied",
            Self::Short => "ends too early",
            Self::Io => "input/output error",
            Self::Gone => "the disk is not there",
            Self::Stalled => "the disk does not answer",
            Self::Locked => "in use by another writer",
        })
    }
}

/// What went wrong on which disk.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{disk}: {}{kind}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct DiskError {
    /// Class of failure.
    pub kind: DiskErrorKind,
    /// The disk's name.
    pub disk: String,
    /// Path on it; empty for the disk as a whole.
    pub path: String,
    /// The system's own words.
    #[source]
    pub source: Option<Arc<io::Error>>,
}

impl DiskError {
    /// An error that no system call reported.
    pub fn new(kind: DiskErrorKind, disk: &str, path: &str) -> Self {
        Self { kind, disk: disk.into(), path: path.into(), source: None }
    }

    /// Sorts a system error into its class.
    pub fn from_io(disk: &str, path: &str, error: io::Error) -> Self {
        use nix::errno::Errno;
        let kind = match error.kind() {
            io::ErrorKind::NotFound => DiskErrorKind::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskErrorKind::Full,
            io::ErrorKind::ReadOnlyFilesystem => DiskErrorKind::ReadOnly,
            io::ErrorKind::PermissionDenied => DiskErrorKind::Denied,
            io::ErrorKind::UnexpectedEof => DiskErrorKind::Short,
            io::ErrorKind::WouldBlock => DiskErrorKind::Locked,
            _ => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENODEV | Errno::ENXIO | Errno::ENOTCONN | Errno::ESHUTDOWN | Errno::ESTALE) => DiskErrorKind::Gone,
                _ => DiskErrorKind::Io,
            },
        };
        Self { kind, disk: disk.into(), path: path.into(), source: Some(Arc::new(error)) }
    }
}
