//! Mounts the file system of a prepared disk where vaultd finds it, and unmounts it. Only what a label vouches for is mounted, and nothing on it can run, be a device or
//! lead elsewhere by a link.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::content::xfs_uuid;
use crate::error::DiskError;
use crate::inventory::Partition;
use crate::label::Label;
use crate::mounter::{Act, Kind, Mounter, Rules};

/// A program that is just being started has our open files for a moment, so that busy means busy only when it lasts.
const BUSY_TRIES: u32 = 10;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Where, and for whom.
#[derive(Clone, Debug)]
pub struct MountPlace {
    /// Folder of the mount points, each named by its disk's id.
    pub base: PathBuf,
    /// User and group whose the root folder of each disk is; as it is when absent.
    pub owner: Option<(u32, u32)>,
    /// Group that may read the disks of the pool.
    pub readers: Option<u32>,
    /// Who mounts.
    pub mounter: Mounter,
}

impl MountPlace {
    /// Where a disk is mounted.
    pub fn of(&self, label: &Label) -> PathBuf {
        self.base.join(label.disk.to_string())
    }

    /// Folder of the mount points of disks to take away, beside the one of the pool's.
    pub fn outward(&self) -> PathBuf {
        self.base.parent().unwrap_or(Path::new("/")).join("outward")
    }

    fn act(&self, act: &Act) -> io::Result<()> {
        self.mounter.act(
            act,
            &Rules {
                bases: vec![self.base.clone(), self.outward()],
                owner: self.owner,
                readers: self.readers,
                growfs: "xfs_growfs".into(),
            },
        )
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
    put(part, Kind::Xfs, &at, place)?;
    Ok(at)
}

/// Mounts the file system that was just made on a disk to take away.
pub fn mount_outward(part: &Partition, id: &str, place: &MountPlace) -> Result<PathBuf, DiskError> {
    let at = place.outward().join(id);
    put(part, Kind::Ext4, &at, place)?;
    Ok(at)
}

fn put(part: &Partition, kind: Kind, at: &Path, place: &MountPlace) -> Result<(), DiskError> {
    fs::create_dir_all(at).map_err(DiskError::io("make", at))?;
    // What is below it is nobody's, when there is no disk.
    fs::set_permissions(at, fs::Permissions::from_mode(0o700)).map_err(DiskError::io("make", at))?;
    let device = Path::new("/dev").join(&part.name);
    place.act(&Act::Mount { device: part.name.clone(), kind, at: at.to_owned() }).map_err(DiskError::io("mount", &device))
}

/// Writes what is not written yet and unmounts.
pub fn unmount(at: &Path, serial: &str, place: &MountPlace) -> Result<(), DiskError> {
    let mut tries = 0;
    while let Err(error) = place.act(&Act::Unmount { at: at.to_owned() }) {
        tries += 1;
        if error.kind() != io::ErrorKind::ResourceBusy {
            return Err(DiskError::io("unmount", at)(error));
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
pub fn let_go(at: &Path, place: &MountPlace) -> io::Result<()> {
    place.act(&Act::LetGo { at: at.to_owned() })?;
    let _ = fs::remove_dir(at);
    Ok(())
}

/// Lets a mounted file system use all of its partition.
pub fn grow(at: &Path, place: &MountPlace) -> Result<(), DiskError> {
    place.act(&Act::Grow { at: at.to_owned() }).map_err(DiskError::io("grow the file system at", at))
}
