//! Where the disks of the pool are: folders on a developer's machine, or what diskd has mounted. Takes places from diskd's answers, so that nobody else needs the right to
//! list where it mounts. Asks only, and has diskd mount what is this box's own.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keepwell_api::disks::{Disk as Known, Disks, Mounted, Serial, Standing, Typed};
use keepwell_api::recovery::COMING;
use keepwell_api::{Client, ClientError};
use keepwell_storage::{Disk, TENANTS, disk_at, disk_number};

/// diskd answers from what it knows; it asks no disk meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);
/// A mount may have to replay what was written last.
const MOUNTING: Duration = Duration::from_secs(120);
/// A file system on a large, slow disk takes its time: who waits for it holds up nobody.
const PREPARING: Duration = Duration::from_secs(2_400);

/// The program that has the disks.
#[derive(Clone, Debug)]
pub struct Diskd {
    /// Its socket.
    pub socket: PathBuf,
    /// The pool is on the disks that it mounts; otherwise it is only asked how they are.
    pub has_pool: bool,
}

/// A disk that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bay {
    /// What the pool calls it: its serial number, or the name of its folder.
    pub(crate) name: String,
    /// Where its files are.
    pub(crate) at: PathBuf,
}

impl Bay {
    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        disk_at(&self.name, &self.at)
    }

    /// Whether a vault is still being fetched onto it.
    pub(crate) fn is_coming(&self) -> bool {
        self.at.join(COMING).exists()
    }

    /// Makes the folder in which replicad keeps what other boxes send. On the box its group is the disk's, which is replicad's too; only vaultd can make folders there.
    pub(crate) fn make_tenants(&self) -> io::Result<()> {
        let folder = self.at.join(TENANTS);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770))?;
        fs::File::open(&self.at)?.sync_all()
    }
}

impl Diskd {
    /// All disks.
    pub(crate) fn ask(&self) -> Result<Disks, ClientError> {
        self.client(PATIENCE).get("/v1/disks")
    }

    /// Has it do something with a disk, within the time that this takes.
    pub(crate) fn have<T: serde::de::DeserializeOwned>(
        &self,
        disk: &Known,
        verb: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, ClientError> {
        let patience = if verb.starts_with("prepare") { PREPARING } else { MOUNTING };
        self.client(patience).post(&format!("/v1/disks/{}/{verb}", disk.serial.in_route()), body)
    }

    /// The same with a disk that is called by its serial number alone.
    pub(crate) fn have_named<T: serde::de::DeserializeOwned>(
        &self,
        serial: &Serial,
        verb: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, ClientError> {
        self.client(MOUNTING).post(&format!("/v1/disks/{}/{verb}", serial.in_route()), body)
    }

    /// Has a disk of this box mounted; one that is stays where it is.
    pub(crate) fn mount(&self, disk: &Known) -> Result<Bay, ClientError> {
        let route = format!("/v1/disks/{}/mount", disk.serial.in_route());
        let mounted: Mounted = self.client(MOUNTING).post(&route, &Typed::default())?;
        Ok(Bay { name: disk.serial.to_string(), at: mounted.at.into() })
    }

    fn client(&self, patience: Duration) -> Client {
        Client::new("keepwell-diskd", &self.socket, patience)
    }
}

/// Where a disk of a box is mounted.
pub(crate) fn mounted_at(disk: &Known) -> Option<&str> {
    match &disk.standing {
        Standing::Prepared { mounted_at, .. } | Standing::OtherBox { mounted_at, .. } => mounted_at.as_deref(),
        _ => None,
    }
}

/// The disks that are mounted. Another box's is mounted only when a person said so.
pub(crate) fn mounted(known: &Disks) -> Vec<Bay> {
    let bay = |disk: &Known| Some(Bay { name: disk.serial.to_string(), at: mounted_at(disk)?.into() });
    known.disks.iter().filter_map(bay).collect()
}

/// This box's disks that nobody has mounted; not those that diskd could not mount, which it tries again by itself.
pub(crate) fn unmounted(known: &Disks) -> impl Iterator<Item = &Known> {
    known.disks.iter().filter(|disk| matches!(disk.standing, Standing::Prepared { mounted_at: None, unreadable: None, .. }))
}

/// Serial numbers of this box's disks that are connected and can't be read.
pub(crate) fn unreadable(known: &Disks) -> Vec<String> {
    let is_unreadable = |disk: &&Known| matches!(disk.standing, Standing::Prepared { .. }) && disk.standing.unreadable().is_some();
    known.disks.iter().filter(is_unreadable).map(|disk| disk.serial.to_string()).collect()
}

/// The folders that stand for disks: `disk-1` and so on, or all where none is called so.
pub(crate) fn folders(pool: &Path) -> io::Result<Vec<Bay>> {
    let mut bays = Vec::new();
    for entry in fs::read_dir(pool)? {
        let entry = entry?;
        if let (Ok(name), true) = (entry.file_name().into_string(), fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir())) {
            bays.push(Bay { name, at: entry.path() });
        }
    }
    if bays.iter().any(|bay| disk_number(&bay.name).is_some()) {
        bays.retain(|bay| disk_number(&bay.name).is_some());
    }
    bays.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(bays)
}
