//! A local folder as a source. Reads only; as root or as any user.
//!
//! Mount points below the root are crossed, because a share's root may hold mounts; nothing is skipped. A tree with pseudo file
//! systems in it (`/proc`, `/sys`) is read as it is: back up the folders that matter instead.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use keepwell_format::port::{Encoding, ReadFile, Source, SourceInfo, Walk, Walked};
use keepwell_format::{Gap, GapReason};
use rustix::fs::{CWD, FileType, Mode, OFlags, Statx, fstatfs, fstatvfs, openat};
use rustix::io::Errno;

use super::folders::{Folders, split};
use super::gap;
use super::metadata::{Place, look};
use super::read::LocalFile;
use super::walk::LocalWalk;
use crate::SourceError;

/// Reads in flight that keep a disk busy.
const PARALLEL_READS: usize = 4;

/// A folder of this machine.
#[derive(Debug)]
pub struct LocalSource {
    info: SourceInfo,
    pub(super) folders: Folders,
    volumes: Mutex<HashMap<(u32, u32), u64>>,
}

impl LocalSource {
    /// Opens the folder at `path`; the path itself may lead over symbolic links.
    ///
    /// # Errors
    /// [`SourceError`] if it is no folder or can't be opened for listing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let absolute = std::fs::canonicalize(path).map_err(|e| SourceError::io(path, "opened", e))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, &absolute, flags, Mode::empty()).map_err(|e| SourceError::io(path, "opened", e))?;
        let failed = |e: Errno| SourceError::io(path, "looked at", e);
        let seen = look(Place::Open(&root)).map_err(failed)?;
        let volume = volume(&root, &seen);
        let kind = fstatfs(&root).map_err(failed)?.f_type;
        if std::fs::metadata("/proc/self/fd").is_err() {
            return Err(SourceError::NoProc);
        }
        let info = SourceInfo {
            location: absolute.to_string_lossy().into_owned(),
            identity: format!("local:{kind:x}:{volume:016x}:{}", seen.stx_ino),
            encoding: Encoding::Bytes,
            parallel_reads: PARALLEL_READS,
        };
        Ok(Self { info, folders: Folders::new(root), volumes: Mutex::default() })
    }

    /// The number of the file system that `seen` lies on: its own id, which outlives reboots, where it was met through a folder;
    /// else the device number.
    pub(super) fn volume(&self, seen: &Statx, folder: Option<&OwnedFd>) -> u64 {
        let device = (seen.stx_dev_major, seen.stx_dev_minor);
        let mut volumes = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        match (volumes.get(&device), folder) {
            (Some(known), _) => *known,
            (None, Some(folder)) => *volumes.entry(device).or_insert_with(|| volume(folder, seen)),
            (None, None) => u64::from(device.0) << 32 | u64::from(device.1),
        }
    }
}

fn volume(folder: &OwnedFd, seen: &Statx) -> u64 {
    match fstatvfs(folder) {
        Ok(system) if system.f_fsid != 0 => system.f_fsid,
        _ => u64::from(seen.stx_dev_major) << 32 | u64::from(seen.stx_dev_minor),
    }
}

impl Source for LocalSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        Ok(Box::new(LocalWalk::new(self)))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let failed = |errno| gap(errno, GapReason::Read);
        let (folder, name) = split(entry.key.as_bytes());
        let parent = self.folders.get(folder).map_err(failed)?;
        // Not blocking, in case a pipe has taken the file's place.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&*parent, name, flags | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => openat(&*parent, name, flags, Mode::empty()),
            other => other,
        }
        .map_err(failed)?;
        let seen = look(Place::Open(&file)).map_err(failed)?;
        let same = entry.node.file_id.is_some_and(|id| id.file == u128::from(seen.stx_ino));
        if !same || FileType::from_raw_mode(seen.stx_mode.into()) != FileType::RegularFile {
            return Err(Gap { reason: GapReason::Vanished, text: "another file has taken its place since the folder was listed".into() });
        }
        Ok(Box::new(LocalFile::new(file, seen)))
    }
}
