//! Which disks there are, and what holds each of them. sysfs and the kernel's lists of mounts are the truth; udev only says when to look again. Opens no device.

pub mod mounts;
mod sysfs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keepwell_api::disks::{Bus, Serial};

pub use mounts::{Mount, Number};

/// Where to look, and what is the box's own.
#[derive(Clone, Debug)]
pub struct Places {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc/self/mountinfo`.
    pub mountinfo: PathBuf,
    /// `/proc/swaps`.
    pub swaps: PathBuf,
    /// Disks that these are mounted from are the box's own.
    pub own_mounts: Vec<PathBuf>,
    /// So are these, mounted or not.
    pub own_serials: BTreeSet<String>,
    /// Files in this folder count as disks when they are loop devices, which is for tests; no loop device does when absent.
    pub loops: Option<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        let own = ["/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/var/lib/keepwell", "/etc", "/home"];
        Self {
            sys: "/sys".into(),
            mountinfo: "/proc/self/mountinfo".into(),
            swaps: "/proc/swaps".into(),
            own_mounts: own.map(PathBuf::from).into(),
            own_serials: BTreeSet::new(),
            loops: None,
        }
    }
}

/// What uses a disk or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The box lives on it; why.
    Own(String),
    /// Mounted here.
    Mounted(PathBuf),
    /// Swapped to.
    Swap,
    /// Encryption, RAID or the like, by name.
    Holder(String),
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The kernel's name.
    pub name: String,
    /// Its number on the disk, from 1.
    pub index: u64,
    /// Its device number.
    pub number: Number,
    /// First byte.
    pub start_bytes: u64,
    /// Length.
    pub size_bytes: u64,
}

/// A disk as it is connected now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The kernel's name.
    pub name: String,
    /// Counts up with each disk that appears, so that another one under the same name is noticed.
    pub sequence: Option<u64>,
    /// Serial number.
    pub serial: Option<Serial>,
    /// World wide name.
    pub wwn: Option<String>,
    /// Maker and model.
    pub model: String,
    /// How it is connected.
    pub bus: Bus,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Size of a logical sector.
    pub sector_bytes: u64,
    /// Whether it turns.
    pub rotational: bool,
    /// Whether it is meant to be taken out.
    pub removable: bool,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// Zones of a shingled disk, when the kernel knows of them: `host-aware` or `host-managed`.
    pub zoned: Option<String>,
    /// Its partitions by number.
    pub partitions: Vec<Partition>,
    /// What uses it.
    pub holds: Vec<Hold>,
}

impl Found {
    /// Its device file.
    pub fn device(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Whether this is still the same disk in the same place.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.name, self.sequence, &self.serial, self.size_bytes) == (&other.name, other.sequence, &other.serial, other.size_bytes)
    }
}

/// All disks by name, as they are now.
pub fn scan(places: &Places) -> Vec<Found> {
    let mounts = mounts(places);
    let swaps = mounts::parse_swaps(&std::fs::read(&places.swaps).unwrap_or_default());
    let own = own_disks(places, &mounts);
    let class = places.sys.join("class/block");
    let disks = sysfs::names(&class).into_iter().filter(|name| is_disk(&class.join(name), name, places.loops.as_deref()));
    disks.filter_map(|name| found(places, &class.join(&name), &name, &mounts, &swaps, &own)).collect()
}

/// What is mounted now.
pub fn mounts(places: &Places) -> Vec<Mount> {
    mounts::parse_mountinfo(&std::fs::read(&places.mountinfo).unwrap_or_default())
}

fn is_disk(folder: &Path, name: &str, loops: Option<&Path>) -> bool {
    const NONE: [&str; 9] = ["dm-", "md", "ram", "zram", "sr", "fd", "nbd", "drbd", "zd"];
    let other = NONE.iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    let boot_area = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    let usable = !folder.join("partition").exists() && !sysfs::flag(folder, "hidden") && sysfs::number(folder, "size").unwrap_or(0) > 0;
    let loop_file = name.starts_with("loop").then(|| sysfs::text(folder, "loop/backing_file").unwrap_or_default());
    let admitted = loop_file.is_none_or(|file| loops.is_some_and(|loops| Path::new(&file).starts_with(loops)));
    usable && !other && !boot_area && admitted
}

/// Names of the disks that the box lives on, and what of it is there.
fn own_disks(places: &Places, mounts: &[Mount]) -> Vec<(String, String)> {
    let mut own = Vec::new();
    for at in &places.own_mounts {
        let Some(mount) = mounts::mounted_at(mounts, at) else { continue };
        let device = if mount.number.major == 0 { by_source(&places.sys, &mount.source) } else { by_number(&places.sys, mount.number) };
        let wholes = device.map(|name| sysfs::whole_devices(&places.sys, &name)).unwrap_or_default();
        own.extend(wholes.into_iter().map(|name| (name, format!("the box's own {} is on it", at.display()))));
    }
    own
}

fn by_number(sys: &Path, number: Number) -> Option<String> {
    let real = std::fs::canonicalize(sys.join(format!("dev/block/{}:{}", number.major, number.minor))).ok()?;
    Some(real.file_name()?.to_str()?.to_owned())
}

/// File systems without a device of their own (btrfs) still name one.
fn by_source(sys: &Path, source: &Path) -> Option<String> {
    let real = std::fs::canonicalize(source.starts_with("/dev").then_some(source)?).ok()?;
    let name = real.file_name()?.to_str()?.to_owned();
    sys.join("class/block").join(&name).exists().then_some(name)
}

fn found(places: &Places, folder: &Path, name: &str, mounts: &[Mount], swaps: &[PathBuf], own: &[(String, String)]) -> Option<Found> {
    let bus = sysfs::bus(name, folder);
    let serial = sysfs::serial(name, folder, bus);
    let partitions = partitions(folder);
    let mut holds: Vec<_> = own.iter().filter(|(disk, _)| disk == name).map(|(_, why)| Hold::Own(why.clone())).collect();
    if serial.as_ref().is_some_and(|serial| places.own_serials.contains(serial.as_str())) {
        holds.push(Hold::Own("the box was told that it is its own".into()));
    }
    let whole = (name, sysfs::device_number(folder)?, folder.to_owned());
    let parts = partitions.iter().map(|part| (part.name.as_str(), part.number, folder.join(&part.name)));
    for (name, number, folder) in std::iter::once(whole).chain(parts) {
        holds.extend(mounts.iter().filter(|mount| mount.number == number).map(|mount| Hold::Mounted(mount.at.clone())));
        holds.extend(swaps.iter().filter(|swap| **swap == Path::new("/dev").join(name)).map(|_| Hold::Swap));
        holds.extend(sysfs::names(&folder.join("holders")).into_iter().map(Hold::Holder));
    }
    Some(Found {
        name: name.to_owned(),
        sequence: sysfs::number(folder, "diskseq"),
        wwn: sysfs::wwn(name, folder),
        model: sysfs::model(folder, bus),
        size_bytes: sysfs::number(folder, "size")?.checked_mul(512)?,
        sector_bytes: sysfs::number(folder, "queue/logical_block_size").unwrap_or(512),
        rotational: sysfs::flag(folder, "queue/rotational"),
        removable: sysfs::flag(folder, "removable") || bus == Bus::Usb,
        read_only: sysfs::flag(folder, "ro"),
        zoned: sysfs::text(folder, "queue/zoned").filter(|zoned| zoned != "none"),
        serial,
        bus,
        partitions,
        holds,
    })
}

fn partitions(folder: &Path) -> Vec<Partition> {
    let parts = sysfs::names(folder).into_iter().filter_map(|name| {
        let part = folder.join(&name);
        Some(Partition {
            index: sysfs::number(&part, "partition")?,
            number: sysfs::device_number(&part)?,
            start_bytes: sysfs::number(&part, "start")?.checked_mul(512)?,
            size_bytes: sysfs::number(&part, "size")?.checked_mul(512)?,
            name,
        })
    });
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by_key(|part| part.index);
    parts
}
