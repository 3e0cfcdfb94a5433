//! Makes a disk ours: partition table, file system, signed label, in this order; the label comes last, so that a disk whose preparation was cut is never taken for ours.
//! Never begins before the box's identity has signed, and never without having the disk to itself.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Access, OFlags};

use crate::content::{read_label, xfs_uuid};
use crate::error::DiskError;
use crate::identity::{Identity, Statement, signed};
use crate::inventory::{self, Found, Partition, Places};
use crate::label::{DiskId, LABEL_AT, LABEL_BYTES, Label};
use crate::mount::{self, MountPlace};
use crate::program;

/// Type of our partition (UEFI 2.10, 5.3.3): chosen at random for Keepwell, used by nothing else.
pub const PARTITION_TYPE: &str = "8d4fb2a6-6f1c-4c39-9f0e-7b2d5a91c3e4";
/// Of a disk to take away: files of any Linux (UEFI Discoverable Partitions Specification, generic data).
const PLAIN_TYPE: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";
/// Our partition begins here and ends so much before the end of the disk, whose last sectors hold the copy of the table.
pub const MARGIN: u64 = 1 << 20;

const PARTITIONING: Duration = Duration::from_secs(120);
const FORMATTING: Duration = Duration::from_secs(1800);
/// The kernel shows a new partition within milliseconds; a slow disk takes longer.
const APPEARING: Duration = Duration::from_secs(20);

/// Programs that do it.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Of util-linux: looks for known formats.
    pub wipefs: PathBuf,
    /// Of util-linux: writes partition tables.
    pub sfdisk: PathBuf,
    /// Of util-linux: tells the kernel of partitions that it did not see by itself.
    pub partx: PathBuf,
    /// Makes the file system.
    pub mkfs: PathBuf,
    /// Makes the plain file system of a disk to take away.
    pub mkfs_plain: PathBuf,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            wipefs: "wipefs".into(),
            sfdisk: "sfdisk".into(),
            partx: "partx".into(),
            mkfs: "mkfs.xfs".into(),
            mkfs_plain: "mkfs.ext4".into(),
        }
    }
}

/// Prepares a disk; whoever calls has leave for it (`guard`). Returns the label that it has now.
pub fn prepare(found: &Found, places: &Places, tools: &Tools, identity: &dyn Identity, now: i64) -> Result<Label, DiskError> {
    let (label, copy) = new_label(found, identity, now)?;
    // As long as it is open, no other disk gets its name, by which the programs find it.
    let device = found.device();
    let held = OpenOptions::new().read(true).write(true).open(&device).map_err(DiskError::io("open", &device))?;
    wipe(found, places)?;
    still_there(found, places)?;
    partition(found, tools, (&label.disk.0, &label.file_system), PARTITION_TYPE)?;
    let part = appeared(found, places, tools)?;
    still_there(found, places)?;
    make_file_system(found, &part, tools, &label)?;
    still_there(found, places)?;
    write_label(&held, found, &copy)?;
    check(&held, found, &part, &label)?;
    Ok(label)
}

/// Makes a plain file system on a disk that is to be taken away; whoever calls has leave for it (`guard`). Its partition, and an id of its own.
pub fn prepare_outward(found: &Found, places: &Places, tools: &Tools) -> Result<(Partition, String), DiskError> {
    let (mut disk, mut id) = ([0; 16], [0; 16]);
    for bytes in [&mut disk, &mut id] {
        getrandom::fill(bytes).map_err(|_| DiskError::refused("random", "the system gave no random bytes. Nothing was changed"))?;
    }
    let device = found.device();
    // As in `prepare`.
    let _held = OpenOptions::new().read(true).write(true).open(&device).map_err(DiskError::io("open", &device))?;
    wipe(found, places)?;
    still_there(found, places)?;
    partition(found, tools, (&disk, &id), PLAIN_TYPE)?;
    let part = appeared(found, places, tools)?;
    still_there(found, places)?;
    let (at, uuid) = (Path::new("/dev").join(&part.name), uuid(&id));
    let at = at.to_string_lossy();
    let args = ["-q", "-F", "-m", "0", "-L", "restore", "-U", &uuid, &*at];
    program::succeed(&tools.mkfs_plain, &args, &[], FORMATTING).map_err(failed("make the file system of", found))?;
    still_there(found, places)?;
    Ok((part, keepwell_api::hex::encode(&id)))
}

/// The disk for us alone: the kernel refuses this while anything is mounted from it or built on it, in whatever namespace.
pub(crate) fn claim(found: &Found, places: &Places, write: bool) -> Result<File, DiskError> {
    let device = found.device();
    let flags = OFlags::EXCL.bits() as i32;
    let file = OpenOptions::new().read(true).write(write).custom_flags(flags).open(&device).map_err(DiskError::io("have", &device))?;
    still_there(found, places)?;
    Ok(file)
}

/// Another disk may have got the name since it was looked at.
fn still_there(found: &Found, places: &Places) -> Result<(), DiskError> {
    if inventory::scan(places).iter().any(|now| now.is_same(found)) {
        return Ok(());
    }
    let text = format!("the disk at {} is no longer the one that was looked at. No other one was changed", found.device().display());
    Err(DiskError::refused("changed", text))
}

fn new_label(found: &Found, identity: &dyn Identity, now: i64) -> Result<(Label, [u8; LABEL_BYTES]), DiskError> {
    let (mut disk, mut file_system) = ([0; 16], [0; 16]);
    for bytes in [&mut disk, &mut file_system] {
        getrandom::fill(bytes).map_err(|_| DiskError::refused("random", "the system gave no random bytes. Nothing was changed"))?;
    }
    // RFC 9562, version 4.
    file_system[6] = file_system[6] & 0x0f | 0x40;
    file_system[8] = file_system[8] & 0x3f | 0x80;
    let no_serial = || DiskError::refused("no-serial", format!("the disk at {} has no serial number", found.device().display()));
    let label = Label {
        disk: DiskId(disk),
        file_system,
        made_at: now.try_into().unwrap_or(0),
        size_bytes: found.size_bytes,
        key: identity.public_key()?,
        serial: found.serial.clone().ok_or_else(no_serial)?,
        box_name: identity.name().to_owned(),
    };
    let copy = sign(&label, identity)?;
    Ok((label, copy))
}

fn sign(label: &Label, identity: &dyn Identity) -> Result<[u8; LABEL_BYTES], DiskError> {
    let (_, signature) = signed(identity, Statement::DiskLabel(&label.statement()))?;
    let copy = label.encode(&signature);
    Label::parse(&copy).map_err(|error| DiskError::Identity(error.into()))?;
    Ok(copy)
}

/// Zeros at both ends, where all formats have their signatures, and over old labels.
fn wipe(found: &Found, places: &Places) -> Result<(), DiskError> {
    let file = claim(found, places, true)?;
    let zeros = vec![0; MARGIN as usize];
    for at in [0, found.size_bytes.saturating_sub(MARGIN)] {
        file.write_all_at(&zeros, at).map_err(DiskError::io("write to", found.device()))?;
    }
    file.sync_all().map_err(DiskError::io("write to", found.device()))
}

/// First sector and number of sectors of our partition.
fn geometry(found: &Found) -> (u64, u64) {
    let length = (found.size_bytes / MARGIN).saturating_sub(2) * MARGIN;
    (MARGIN / found.sector_bytes, length / found.sector_bytes)
}

fn partition(found: &Found, tools: &Tools, (table, part): (&[u8; 16], &[u8; 16]), kind: &str) -> Result<(), DiskError> {
    let (start, size) = geometry(found);
    let (table, part) = (uuid(table), uuid(part));
    let script = format!(
        "label: gpt\nlabel-id: {table}\nunit: sectors\n1 : start={start}, size={size}, type={kind}, uuid={part}, name=\"keepwell\"\n"
    );
    let device = found.device();
    // Nobody uses the disk: it was claimed. The kernel is told by partx, which needs nobody else to keep away meanwhile.
    let args = ["--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "always", "--wipe-partitions", "always", &device.to_string_lossy()];
    program::succeed(&tools.sfdisk, &args, script.as_bytes(), PARTITIONING).map_err(failed("partition", found))?;
    tell_kernel(tools, found)
}

/// The kernel's name for our partition. A kernel that does not read partition tables, or has not yet, is told of it.
pub fn appeared(found: &Found, places: &Places, tools: &Tools) -> Result<Partition, DiskError> {
    let until = Instant::now() + APPEARING;
    let device = found.device();
    let mut told = false;
    loop {
        let now = inventory::scan(places).into_iter().find(|now| now.is_same(found));
        match now.as_ref().and_then(our_partition) {
            Some(part) if is_usable(&part.name) => return Ok(part.clone()),
            _ if !told => {
                told = true;
                tell_kernel(tools, found)?;
            }
            _ if Instant::now() < until => thread::sleep(Duration::from_millis(50)),
            _ => return Err(DiskError::refused("no-partition", format!("the partition on {} did not appear", device.display()))),
        }
    }
}

/// A device file appears before udev has given it to the group that may use disks.
fn is_usable(name: &str) -> bool {
    rustix::fs::access(Path::new("/dev").join(name), Access::READ_OK | Access::WRITE_OK).is_ok()
}

fn tell_kernel(tools: &Tools, found: &Found) -> Result<(), DiskError> {
    let device = found.device();
    program::succeed(&tools.partx, &["--update", &device.to_string_lossy()], &[], PARTITIONING)
        .map_err(failed("find the partition of", found))?;
    Ok(())
}

/// Our partition of a disk, by its place.
fn our_partition(found: &Found) -> Option<&Partition> {
    found.partitions.iter().find(|part| part.index == 1 && part.start_bytes == MARGIN)
}

fn make_file_system(found: &Found, part: &Partition, tools: &Tools, label: &Label) -> Result<(), DiskError> {
    let device = Path::new("/dev").join(&part.name);
    let (id, name) = (format!("uuid={}", uuid(&label.file_system)), format!("kw-{}", keepwell_api::hex::encode(&label.disk.0[..4])));
    let device_name = device.to_string_lossy();
    let mut args = vec!["-q", "-f", "-L", &name, "-m", &id];
    if found.rotational {
        // Nothing to discard on platters.
        args.push("-K");
    }
    args.push(&device_name);
    program::succeed(&tools.mkfs, &args, &[], FORMATTING).map_err(failed("make the file system of", found))?;
    Ok(())
}

fn write_label(disk: &File, found: &Found, copy: &[u8; LABEL_BYTES]) -> Result<(), DiskError> {
    let device = found.device();
    // One after the other, so that a power cut leaves at least one whole.
    for at in LABEL_AT {
        write_sectors(disk, copy, at, found.sector_bytes).map_err(DiskError::io("write the label of", &device))?;
    }
    Ok(())
}

fn write_sectors(file: &File, copy: &[u8; LABEL_BYTES], at: u64, sector: u64) -> io::Result<()> {
    let mut bytes = vec![0; (sector as usize).clamp(LABEL_BYTES, 64 << 10)];
    bytes[..LABEL_BYTES].copy_from_slice(copy);
    file.write_all_at(&bytes, at)?;
    file.sync_all()
}

fn check(disk: &File, found: &Found, part: &Partition, label: &Label) -> Result<(), DiskError> {
    let device = found.device();
    let unfaithful = |what| DiskError::Unfaithful { disk: label.serial.to_string(), what };
    // What is read has to come from the disk, not from memory.
    rustix::fs::fadvise(disk, 0, None, rustix::fs::Advice::DontNeed).map_err(DiskError::io("read", &device))?;
    let read = read_label(disk).map_err(DiskError::io("read", &device))?;
    if read.as_ref() != Ok(label) {
        return Err(unfaithful("the label"));
    }
    let there = xfs_uuid(&Path::new("/dev").join(&part.name)).map_err(DiskError::io("read", &device))?;
    if there != Some(label.file_system) {
        return Err(unfaithful("the file system"));
    }
    Ok(())
}

/// Lets the partition and the mounted file system use all of a disk that became larger, then says so in the label.
pub fn grow(
    found: &Found,
    label: &Label,
    at: &Path,
    mounted: &MountPlace,
    places: &Places,
    tools: &Tools,
    identity: &dyn Identity,
) -> Result<Label, DiskError> {
    let label = Label { size_bytes: found.size_bytes, ..label.clone() };
    let copy = sign(&label, identity)?;
    let (start, size) = geometry(found);
    let device = found.device();
    let held = OpenOptions::new().read(true).write(true).open(&device).map_err(DiskError::io("open", &device))?;
    still_there(found, places)?;
    // The partition is in use, so the table is written around it and the kernel is told of the new length alone.
    let script = format!("{start},{size}\n");
    let args = ["--quiet", "--no-reread", "--no-tell-kernel", "-N", "1", &device.to_string_lossy()];
    program::succeed(&tools.sfdisk, &args, script.as_bytes(), PARTITIONING).map_err(failed("grow the partition of", found))?;
    tell_kernel(tools, found)?;
    mount::grow(at, mounted)?;
    write_label(&held, found, &copy)?;
    Ok(label)
}

fn failed(doing: &'static str, found: &Found) -> impl FnOnce(program::ProgramError) -> DiskError {
    let disk = found.serial.as_ref().map_or_else(|| found.name.clone(), ToString::to_string);
    move |source| DiskError::Program { doing, disk, source }
}

/// `8d4fb2a6-6f1c-...` (RFC 9562).
fn uuid(bytes: &[u8; 16]) -> String {
    let digits = keepwell_api::hex::encode(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// Makes the kernel forget the partitions of a disk that has none any more.
pub(crate) fn forget_partitions(tools: &Tools, device: &Path) -> Result<(), program::ProgramError> {
    program::succeed(&tools.partx, &["--delete", &device.to_string_lossy()], &[], PARTITIONING).map(drop)
}
