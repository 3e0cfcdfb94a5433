//! Puts metadata on what was restored. The order matters: owner (clears set-id bits and capabilities), mode, attributes (an ACL
//! changes the mode's group bits), and times last.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use keepwell_format::{Kind, Node, Time};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, chmodat, chownat, utimensat};
use rustix::io::{Errno, Result};

use super::metadata::{Place, look, set_attribute};

/// Set-user-id and set-group-id.
const SET_ID: u16 = 0o6000;

/// Values up to here fit everywhere, unless the disk is full.
const LONG_VALUE: usize = 1024;

/// Puts the node's metadata on what `fd` stands for, and hands everything that failed to `warn`; fatal errors are returned.
/// `only_path` says that the descriptor was opened with `O_PATH`.
pub(super) fn apply(fd: &OwnedFd, only_path: bool, node: &Node, warn: &mut dyn FnMut(String)) -> Result<()> {
    if let Some(owner) = node.owner {
        let owned = own(fd, owner.uid, owner.gid);
        tell(owned, "owner", warn)?;
        // A set-id file that belongs to somebody else than it should is a hole.
        let mode = if owned.is_ok() { owner.mode } else { owner.mode & !SET_ID };
        if node.kind != Kind::Symlink {
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            tell(chmodat(CWD, path, Mode::from_raw_mode(mode.into()), AtFlags::empty()), "mode", warn)?;
        }
    }
    for attribute in &node.attributes {
        let what = format!("attribute {}", attribute.name.escape_ascii());
        match set_attribute(fd, only_path, attribute) {
            // Some file systems say so when a value is too long for them.
            Err(Errno::NOSPC) if attribute.value.len() > LONG_VALUE => {
                warn(format!("{what}: {} bytes are too many for this file system", attribute.value.len()));
            }
            set => tell(set, &what, warn)?,
        }
    }
    if node.descriptor.is_some() {
        warn("security descriptor: this file system has none".into());
    }
    if let Some(mtime) = node.mtime {
        tell(set_mtime(fd, mtime), "time", warn)?;
    }
    Ok(())
}

/// Whether nothing further can be written.
pub(super) fn is_fatal(errno: Errno) -> bool {
    matches!(errno, Errno::NOSPC | Errno::ROFS | Errno::DQUOT | Errno::NODEV | Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

fn tell(result: Result<()>, what: &str, warn: &mut dyn FnMut(String)) -> Result<()> {
    match result {
        Err(errno) if is_fatal(errno) => Err(errno),
        Err(errno) => {
            warn(format!("{what}: {}", io::Error::from(errno)));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn own(fd: &OwnedFd, uid: u32, gid: u32) -> Result<()> {
    let seen = look(Place::Open(fd))?;
    if (seen.stx_uid, seen.stx_gid) == (uid, gid) {
        return Ok(());
    }
    let chown = |uid: Option<u32>| chownat(fd, c"", uid.map(Uid::from_raw), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH);
    let both = chown(Some(uid));
    if both == Err(Errno::PERM) {
        // A user may still give a file to a group of theirs.
        let group = chown(None);
        return if seen.stx_uid == uid { group } else { both };
    }
    both
}

fn set_mtime(fd: &OwnedFd, mtime: Time) -> Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() },
    };
    utimensat(fd, c"", &times, AtFlags::EMPTY_PATH)
}
