//! The disks of this box: its own pool, to be read, and a pool for each tenant in folders beside it. Writes nothing outside `tenants`, and only on disks that the own pool knows:
//! an empty mount point is no disk.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keepwell_api::hex;
use keepwell_storage::{Access, Disk, DiskState, Layout, Pool, PoolError, PoolIds, Reserve, Role, TENANTS, disk_at, mounted_in};

/// What a tenant leaves free on each disk, in per cent: more than the own vault does, so that this one always has room left.
const SPARED: u8 = 10;

/// Why a pool can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    /// The folder of mount points.
    #[error("the disks of this box can't be looked for at {}", path.display())]
    Folder {
        /// It.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder on a disk.
    #[error("the folder {} can't be made or used", path.display())]
    Own {
        /// It.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Disks are missing.
    #[error("{missing} of this box's disks are not there: a new tenant is taken in when all of them are")]
    NotAllThere {
        /// How many.
        missing: usize,
    },
    /// The pool itself.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random(#[source] io::Error),
}

/// Where the disks are.
#[derive(Clone, Debug)]
pub(crate) struct Shelves {
    folder: PathBuf,
}

impl Shelves {
    /// Disks that are mounted in this folder.
    pub(crate) fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The own pool, to be read: as it is now.
    pub(crate) fn own(&self) -> Result<Pool, ShelfError> {
        let disks = mounted_in(&self.folder).map_err(|source| ShelfError::Folder { path: self.folder.clone(), source })?;
        Ok(Pool::open(disks, Access::Read)?)
    }

    /// A tenant's pool.
    pub(crate) fn open(&self, vault: [u8; 16], random: &dyn Fn(&mut [u8]) -> io::Result<()>) -> Result<Pool, ShelfError> {
        let (there, missing) = self.disks()?;
        let tenant = hex::encode(&vault);
        for disk in &there {
            // A disk that has taken another's place gets its folder; the pool makes it one of its own below.
            make(&disk.join(TENANTS))?;
            settle(&disk.join(TENANTS), &tenant)?;
            make(&disk.join(TENANTS).join(&tenant))?;
        }
        let mut pool = Pool::open(self.of_tenant(&there, &tenant), Access::Write)?;
        pool.set_reserve(Reserve::Percent(SPARED));
        // As long as one of the own pool is away, nobody takes its place here: it may come back.
        let ids = fresh_ids(if missing == 0 { pool.empty_disks() } else { 0 }, random)?;
        if !ids.is_empty() {
            pool.adopt_empty_disks(&ids)?;
        }
        Ok(pool)
    }

    /// A pool for a new tenant, on all disks. One that was begun and not finished is made again.
    pub(crate) fn create(&self, vault: [u8; 16], random: &dyn Fn(&mut [u8]) -> io::Result<()>) -> Result<Pool, ShelfError> {
        let (there, missing) = self.disks()?;
        if missing > 0 {
            return Err(ShelfError::NotAllThere { missing });
        }
        let tenant = hex::encode(&vault);
        let any = |name: &str| there.iter().any(|disk| disk.join(TENANTS).join(name).exists());
        if !any(&tenant) {
            let new = unfinished(&tenant);
            for disk in &there {
                let folder = disk.join(TENANTS);
                make(&folder)?;
                // Without a name of its own nothing in it was ever acknowledged.
                match fs::remove_dir_all(folder.join(&new)) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        return Err(ShelfError::Own { path: folder.join(&new), source });
                    }
                    _ => make(&folder.join(&new))?,
                }
            }
            let ids = PoolIds { vault, disks: fresh_ids(there.len(), random)? };
            drop(Pool::create(self.of_tenant(&there, &new), ids, Layout::usual(there.len()))?);
            for disk in &there {
                rename(&disk.join(TENANTS), &new, &tenant)?;
            }
        }
        self.open(vault, random)
    }

    /// Removes a tenant's folders from all disks. Called again, it goes on where it was.
    pub(crate) fn remove(&self, vault: [u8; 16]) -> Result<(), ShelfError> {
        let (there, missing) = self.disks()?;
        if missing > 0 {
            return Err(ShelfError::NotAllThere { missing });
        }
        let tenant = hex::encode(&vault);
        let gone = format!("{tenant}.gone");
        for disk in &there {
            let folder = disk.join(TENANTS);
            // All of it at once: half a folder would be a damaged tenant.
            if folder.join(&tenant).exists() {
                rename(&folder, &tenant, &gone)?;
            }
            match fs::remove_dir_all(folder.join(&gone)) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(ShelfError::Own { path: folder.join(&gone), source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether no disk has anything of a tenant any more, and all of them are there to say so.
    pub(crate) fn is_gone(&self, vault: [u8; 16]) -> bool {
        let tenant = hex::encode(&vault);
        self.disks().is_ok_and(|(there, missing)| missing == 0 && there.iter().all(|disk| !disk.join(TENANTS).join(&tenant).exists()))
    }

    /// Folders of the own pool's disks that are there, and how many are not.
    fn disks(&self) -> Result<(Vec<PathBuf>, usize), ShelfError> {
        let health = self.own()?.health();
        let members = health.disks.iter().filter(|disk| disk.slot.is_some() && disk.role == Role::Active);
        let (there, missing): (Vec<_>, Vec<_>) = members.partition(|disk| disk.state == DiskState::Present && disk.failed.is_none());
        Ok((there.into_iter().map(|disk| self.folder.join(&disk.name)).collect(), missing.len()))
    }

    fn of_tenant(&self, disks: &[PathBuf], tenant: &str) -> Vec<Arc<dyn Disk>> {
        let name = |disk: &Path| disk.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        disks.iter().map(|disk| disk_at(&name(disk), &disk.join(TENANTS).join(tenant))).collect()
    }
}

fn unfinished(tenant: &str) -> String {
    format!("{tenant}.new")
}

/// Gives a disk's part its name where the program ended before it could.
fn settle(folder: &Path, tenant: &str) -> Result<(), ShelfError> {
    let new = unfinished(tenant);
    if folder.join(&new).exists() && !folder.join(tenant).exists() { rename(folder, &new, tenant) } else { Ok(()) }
}

fn rename(folder: &Path, from: &str, to: &str) -> Result<(), ShelfError> {
    let done = fs::rename(folder.join(from), folder.join(to)).and_then(|()| File::open(folder)?.sync_all());
    done.map_err(|source| ShelfError::Own { path: folder.join(to), source })
}

/// Makes a folder that only this user may look into, durably.
fn make(folder: &Path) -> Result<(), ShelfError> {
    let made = match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made,
    };
    let durable = made.and_then(|()| folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()));
    durable.map_err(|source| ShelfError::Own { path: folder.to_owned(), source })
}

fn fresh_ids(count: usize, random: &dyn Fn(&mut [u8]) -> io::Result<()>) -> Result<Vec<[u8; 16]>, ShelfError> {
    let id = |_| {
        let mut id = [0; 16];
        random(&mut id).map(|()| id)
    };
    (0..count).map(id).collect::<io::Result<_>>().map_err(ShelfError::Random)
}

#[cfg(test)]
mod tests {
    use keepwell_storage::Class;

    use super::*;

    const VAULT: [u8; 16] = [0xab; 16];

    /// A counter is random enough for ids.
    fn random() -> impl Fn(&mut [u8]) -> io::Result<()> {
        let count = std::cell::Cell::new(0_u8);
        move |bytes| {
            count.set(count.get() + 1);
            bytes.fill(count.get());
            Ok(())
        }
    }

    /// A box with a pool of its own on three disks.
    fn shelves() -> (tempfile::TempDir, Shelves) {
        let folder = tempfile::tempdir().unwrap();
        let disks: Vec<PathBuf> = (1..=3).map(|n| folder.path().join(format!("disk-{n}"))).collect();
        disks.iter().for_each(|disk| fs::create_dir(disk).unwrap());
        let ids = PoolIds { vault: [1; 16], disks: (1..=3).map(|n| [n; 16]).collect() };
        Pool::create(mounted_in(folder.path()).unwrap(), ids, Layout::usual(3)).unwrap();
        let shelves = Shelves::at(folder.path());
        (folder, shelves)
    }

    fn names(folder: &Path) -> Vec<String> {
        let tenants = (1..=3).flat_map(|n| fs::read_dir(folder.join(format!("disk-{n}")).join(TENANTS)).into_iter().flatten());
        let mut names: Vec<String> = tenants.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_tenant_lies_on_every_disk_and_the_own_pool_finds_nothing_foreign() {
        let (folder, shelves) = shelves();
        let pool = shelves.create(VAULT, &random()).unwrap();
        let name = pool.put(Class::Pack, Class::Pack.spread(), &[7; 1 << 20]).unwrap();
        assert_eq!(pool.layout(), Layout::usual(3));
        drop(pool);
        assert_eq!(names(folder.path()), vec![hex::encode(&VAULT); 3]);
        assert_eq!(shelves.own().unwrap().foreign_files(), []);
        let again = shelves.create(VAULT, &random()).unwrap();
        assert_eq!(again.objects(Class::Pack).len(), 1, "{name:?} is where it was");
    }

    #[test]
    fn what_was_cut_in_the_middle_is_made_whole_or_made_again() {
        let (folder, shelves) = shelves();
        let at = |disk: u8, name: &str| folder.path().join(format!("disk-{disk}")).join(TENANTS).join(name);
        let (tenant, new) = (hex::encode(&VAULT), unfinished(&hex::encode(&VAULT)));
        // Before any of it had a name: nothing was acknowledged.
        for disk in 1..=2 {
            fs::create_dir_all(at(disk, &new).join("packs")).unwrap();
            fs::write(at(disk, &new).join("packs/rest"), b"x").unwrap();
        }
        drop(shelves.create(VAULT, &random()).unwrap());
        assert_eq!(names(folder.path()), vec![tenant.clone(); 3]);
        // When one disk of three had its name.
        for disk in 2..=3 {
            fs::rename(at(disk, &tenant), at(disk, &new)).unwrap();
        }
        let pool = shelves.create(VAULT, &random()).unwrap();
        assert!(pool.health().is_whole());
        assert_eq!(names(folder.path()), vec![tenant; 3]);
    }

    #[test]
    fn an_empty_mount_point_is_no_disk() {
        let (folder, shelves) = shelves();
        drop(shelves.create(VAULT, &random()).unwrap());
        let (mounted, away) = (folder.path().join("disk-2"), folder.path().join("away"));
        fs::rename(&mounted, &away).unwrap();
        fs::create_dir(&mounted).unwrap();
        assert!(matches!(shelves.create([3; 16], &random()), Err(ShelfError::NotAllThere { missing: 1 })));
        let pool = shelves.open(VAULT, &random()).unwrap();
        assert_eq!(pool.health().disks.iter().filter(|disk| disk.state == DiskState::Present).count(), 2);
        drop(pool);
        assert_eq!(fs::read_dir(&mounted).unwrap().count(), 0, "nothing was written beside the disk");
        fs::remove_dir(&mounted).unwrap();
        fs::rename(&away, &mounted).unwrap();
        assert!(shelves.open(VAULT, &random()).unwrap().health().is_whole());
    }
}
