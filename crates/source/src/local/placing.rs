//! How what is new comes to its name: whole, at once, and never in the place of something else.
//! Where it needs another name until then, that is `.keepwell-PROCESS-NUMBER.part`.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, RenameFlags, linkat, renameat_with, unlinkat};
use rustix::io::{Errno, Result};

/// Temporary names that are tried before giving up.
const ATTEMPTS: u32 = 100;

/// Makes something under a temporary name that is free.
pub(super) fn under_temporary_name<T>(numbers: &AtomicU64, mut make: impl FnMut(&[u8]) -> Result<T>) -> Result<(Vec<u8>, T)> {
    for _ in 0..ATTEMPTS {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let name = format!(".keepwell-{}-{number}.part", std::process::id()).into_bytes();
        match make(&name) {
            Err(Errno::EXIST) => {}
            made => return made.map(|made| (name, made)),
        }
    }
    Err(Errno::EXIST)
}

/// Gives an open file that has none a name, unless something has it.
pub(super) fn link_open(file: &OwnedFd, parent: &OwnedFd, name: &[u8]) -> Result<()> {
    linkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), parent, name, AtFlags::SYMLINK_FOLLOW)
}

/// Gives what has a temporary name its own, unless something has it.
pub(super) fn rename_new(parent: &OwnedFd, from: &[u8], to: &[u8]) -> Result<()> {
    match renameat_with(parent, from, parent, to, RenameFlags::NOREPLACE) {
        // NFS, old FUSE.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_new(parent, from, to),
        renamed => renamed,
    }
}

fn link_new(parent: &OwnedFd, from: &[u8], to: &[u8]) -> Result<()> {
    linkat(parent, from, parent, to, AtFlags::empty())?;
    unlinkat(parent, from, AtFlags::empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may unwrap")]

    use std::fs::{self, File};

    use super::*;

    #[test]
    fn neither_way_to_a_name_takes_anothers_place() {
        let scratch = tempfile::tempdir().unwrap();
        let parent = OwnedFd::from(File::open(scratch.path()).unwrap());
        for way in [rename_new, link_new] {
            fs::write(scratch.path().join("part"), "new").unwrap();
            fs::write(scratch.path().join("f"), "old").unwrap();
            assert_eq!(way(&parent, b"part", b"f"), Err(Errno::EXIST));
            assert_eq!(fs::read(scratch.path().join("f")).unwrap(), b"old");
            fs::remove_file(scratch.path().join("f")).unwrap();
            way(&parent, b"part", b"f").unwrap();
            assert_eq!(fs::read(scratch.path().join("f")).unwrap(), b"new");
            assert!(!scratch.path().join("part").exists());
        }
    }
}
