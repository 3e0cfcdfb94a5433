//! Where the disks of a vault are mounted: `disk-1`, `disk-2` and so on in one folder, or under any names. Of numbered ones, those between that are missing count; the labels know of
//! further ones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{DeadlineDisk, DirectoryDisk, Disk};

/// Folder on a disk of a vault in which a receiver keeps what other boxes sent, a pool of its own for each (`docs/format.md` 2).
pub const TENANTS: &str = "tenants";
/// How long a disk may take for one piece of work: longer than one takes to spin up or to remap a sector.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a box mounts its disks: `disk-1` to the highest number that `folder` has, or else a disk for each folder in it, by name.
///
/// # Errors
/// The folder can't be listed.
pub fn mounted_in(folder: &Path) -> io::Result<Vec<Arc<dyn Disk>>> {
    let numbered = disks_in(folder)?;
    if !numbered.is_empty() {
        return Ok(numbered);
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let (Ok(name), true) = (entry.file_name().into_string(), entry.file_type()?.is_dir()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|name| disk(name.clone(), folder.join(name))).collect())
}

/// Disks `disk-1` to the highest number that `folder` has; none if it has none.
///
/// # Errors
/// The folder can't be listed.
pub fn disks_in(folder: &Path) -> io::Result<Vec<Arc<dyn Disk>>> {
    let mut highest = 0;
    for entry in fs::read_dir(folder)? {
        highest = highest.max(entry?.file_name().to_str().and_then(disk_number).unwrap_or(0));
    }
    Ok(disks_up_to(folder, highest))
}

/// Disks `disk-1` to `disk-N` of a folder, whether they are there or not.
pub fn disks_up_to(folder: &Path, highest: u8) -> Vec<Arc<dyn Disk>> {
    (1..=highest).map(|number| disk(format!("disk-{number}"), disk_folder(folder, number))).collect()
}

/// The disk that is mounted at `folder`, by what people call it.
pub fn disk_at(name: &str, folder: &Path) -> Arc<dyn Disk> {
    disk(name.to_owned(), folder.to_owned())
}

fn disk(name: String, folder: PathBuf) -> Arc<dyn Disk> {
    Arc::new(DeadlineDisk::new(Arc::new(DirectoryDisk::new(name, folder)), PATIENCE))
}

/// The number in `disk-N`, as it is written there.
pub fn disk_number(name: &str) -> Option<u8> {
    let number = name.strip_prefix("disk-")?.parse().ok().filter(|number| *number > 0)?;
    (format!("disk-{number}") == name).then_some(number)
}

/// Where a disk is mounted.
pub fn disk_folder(folder: &Path, number: u8) -> PathBuf {
    folder.join(format!("disk-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_counted_by_the_highest_number() {
        let folder = tempfile::tempdir().unwrap();
        let names = || disks_in(folder.path()).unwrap().iter().map(|disk| disk.name().to_owned()).collect::<Vec<_>>();
        assert!(names().is_empty());
        for name in ["disk-2", "disk-4", "disk-07", "disk-x", "disk-999", "disk-0", "cache"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert_eq!(names(), ["disk-1", "disk-2", "disk-3", "disk-4"]);
        let other = tempfile::tempdir().unwrap();
        ["b-2", "a-1"].iter().for_each(|name| fs::create_dir(other.path().join(name)).unwrap());
        fs::write(other.path().join("file"), "").unwrap();
        let mounted = |folder: &Path| mounted_in(folder).unwrap().iter().map(|disk| disk.name().to_owned()).collect::<Vec<_>>();
        assert_eq!((mounted(other.path()), mounted(folder.path()).len()), (vec!["a-1".to_owned(), "b-2".to_owned()], 4));
        assert!(disks_in(&folder.path().join("absent")).is_err());
    }
}
