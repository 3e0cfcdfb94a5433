//! Mounts the file system of a prepared disk where vaultd finds it, and unmounts it. Only what a label vouches for is mounted, and nothing on it can run, be a device or
//! lead elsewhere by a link.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags};

use crate::content::xfs_uuid;
use crate::error::DiskError;
use crate::inventory::Partition;
use crate::label::Label;

/// A program that is just being started has our open files for a moment, so that busy means busy only when it lasts.
const BUSY_TRIES: u32 = 10;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Nothing on a disk can run, be a device or lead elsewhere.
const FLAGS: MountFlags =
    MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC).union(MountFlags::NOATIME).union(MountFlags::NOSYMFOLLOW);

/// Where, and for whom.
#[derive(Clone, Debug)]
pub struct MountPlace {
    /// Folder of the mount points, each named by its disk's id.
    pub base: PathBuf,
    /// User and group whose the root folder of each disk is; as it is when absent.
    pub owner: Option<(u32, u32)>,
}

impl MountPlace {
    /// Where a disk is mounted.
    pub fn of(&self, label: &Label) -> PathBuf {
        self.base.join(label.disk.to_string())
    }
}

/// Mounts the partition of a disk; whoever calls has leave for it (`guard`). One that is mounted there already stays so.
pub fn mount(part: &Partition, label: &Label, place: &MountPlace, mounted_at: Option<&str>) -> Result<PathBuf, DiskError> {
    let at = place.of(label);
    if mounted_at.is_some_and(|there| Path::new(there) == at) {
        return Ok(at);
    }
    let device = Path::new("/dev").join(&part.name);
    let there = xfs_uuid(&device).map_err(DiskError::io("read", &device))?;
    if there != Some(label.file_system) {
        let text = format!("disk {} was not mounted: its file system is not the one that its label names", label.serial);
        return Err(DiskError::refused("no-file-system", text));
    }
    fs::create_dir_all(&at).map_err(DiskError::io("make", &at))?;
    fs::set_permissions(&at, fs::Permissions::from_mode(0o700)).map_err(DiskError::io("make", &at))?;
    rustix::mount::mount(&device, &at, "xfs", FLAGS, None).map_err(DiskError::io("mount", &device))?;
    hand_over(&at, place.owner)?;
    Ok(at)
}

/// Mounts the file system that was just made on a disk to take away.
pub fn mount_outward(part: &Partition, at: &Path, owner: Option<(u32, u32)>) -> Result<PathBuf, DiskError> {
    let device = Path::new("/dev").join(&part.name);
    fs::create_dir_all(at).map_err(DiskError::io("make", at))?;
    rustix::mount::mount(&device, at, "ext4", FLAGS, None).map_err(DiskError::io("mount", &device))?;
    hand_over(at, owner)?;
    Ok(at.to_owned())
}

fn hand_over(at: &Path, owner: Option<(u32, u32)>) -> Result<(), DiskError> {
    fs::set_permissions(at, fs::Permissions::from_mode(0o700)).map_err(DiskError::io("hand over", at))?;
    match owner {
        Some((user, group)) => std::os::unix::fs::chown(at, Some(user), Some(group)).map_err(DiskError::io("hand over", at)),
        None => Ok(()),
    }
}

/// Writes what is not written yet and unmounts.
pub fn unmount(at: &Path, serial: &str) -> Result<(), DiskError> {
    let folder = File::open(at).map_err(DiskError::io("open", at))?;
    rustix::fs::syncfs(&folder).map_err(DiskError::io("write what is left to", at))?;
    drop(folder);
    let mut tries = 0;
    while let Err(error) = rustix::mount::unmount(at, UnmountFlags::NOFOLLOW) {
        tries += 1;
        if error != rustix::io::Errno::BUSY {
            return Err(DiskError::io("unmount", at)(io::Error::from(error)));
        }
        if tries > BUSY_TRIES {
            let text = format!("disk {serial} was not unmounted: a program still has files open on it. Take it out of the pool first");
            return Err(DiskError::refused("in-use", text));
        }
        thread::sleep(BUSY_PAUSE);
    }
    // The folder is only a place; it is made again.
    let _ = fs::remove_dir(at);
    Ok(())
}

/// Lets go of the mount of a disk that is gone, so that it can be mounted when it comes back. Who still has files open gets errors.
pub fn let_go(at: &Path) -> io::Result<()> {
    rustix::mount::unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    let _ = fs::remove_dir(at);
    Ok(())
}
