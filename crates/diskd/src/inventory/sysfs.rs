//! What the kernel says of a block device in sysfs, and udev's words where it says nothing. Reads attributes; opens no device, so a dead disk delays nobody.

use std::fs;
use std::path::{Path, PathBuf};

use keepwell_api::disks::{Bus, Serial};

use super::mounts::Number;

/// Attributes are a page at most.
const ATTRIBUTE_MAX: usize = 4096;

/// An attribute as text without blanks around it; none when it is absent or empty.
pub(super) fn text(folder: &Path, name: &str) -> Option<String> {
    let bytes = fs::read(folder.join(name)).ok()?;
    let text: String = String::from_utf8_lossy(&bytes[..bytes.len().min(ATTRIBUTE_MAX)]).chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn number(folder: &Path, name: &str) -> Option<u64> {
    text(folder, name)?.parse().ok()
}

pub(super) fn flag(folder: &Path, name: &str) -> bool {
    text(folder, name).is_some_and(|value| value == "1")
}

pub(super) fn device_number(folder: &Path) -> Option<Number> {
    Number::parse(&text(folder, "dev")?)
}

/// Names in a folder, sorted.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// How it is connected, by the path of its device in the machine's tree.
pub(super) fn bus(name: &str, folder: &Path) -> Bus {
    let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let real = real.to_string_lossy();
    let device = fs::canonicalize(folder.join("device")).unwrap_or_default();
    let path = format!("{real}:{}", device.to_string_lossy());
    match name {
        _ if name.starts_with("loop") => Bus::Loop,
        _ if name.starts_with("nvme") => Bus::Nvme,
        _ if name.starts_with("mmcblk") => Bus::Mmc,
        _ if path.contains("/usb") => Bus::Usb,
        _ if path.contains("/virtio") || name.starts_with("xvd") => Bus::Virtual,
        _ if path.contains("/ata") => Bus::Sata,
        _ if path.contains("/end_device-") || path.contains("/host") => Bus::Sas,
        _ => Bus::Other,
    }
}

/// The serial number: of the unit (SPC-4, vital product data page 80h), of the NVMe controller or card, of a hypervisor's disk, else udev's. For a file in place of a
/// disk a hash of its path.
pub(super) fn serial(name: &str, folder: &Path, bus: Bus) -> Option<Serial> {
    if bus == Bus::Loop {
        return loop_serial(folder);
    }
    let page = fs::read(folder.join("device/vpd_pg80")).ok().and_then(|page| {
        let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
        Some(String::from_utf8_lossy(page.get(4..4 + length)?).into_owned())
    });
    let page = page.as_deref().and_then(Serial::parse);
    page.or_else(|| Serial::parse(&text(folder, "device/serial")?))
        .or_else(|| Serial::parse(&text(folder, "serial")?))
        .or_else(|| Serial::parse(&udev_property(name, "ID_SERIAL_SHORT")?))
}

fn loop_serial(folder: &Path) -> Option<Serial> {
    let file = text(folder, "loop/backing_file")?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, file.as_bytes());
    Serial::parse(&format!("LOOP-{}", keepwell_api::hex::encode(&hash.as_ref()[..6]).to_ascii_uppercase()))
}

pub(super) fn wwn(name: &str, folder: &Path) -> Option<String> {
    let wwn = text(folder, "device/wwid").or_else(|| text(folder, "wwid"));
    let wwn = wwn.or_else(|| udev_property(name, "ID_WWN_WITH_EXTENSION")).or_else(|| udev_property(name, "ID_WWN"))?;
    Some(wwn.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(Serial::MAX).collect())
}

pub(super) fn model(folder: &Path, bus: Bus) -> String {
    if bus == Bus::Loop {
        return text(folder, "loop/backing_file").map_or_else(|| "file".into(), |file| format!("file {file}"));
    }
    // SATA disks have "ATA" in the maker's place.
    let vendor = text(folder, "device/vendor").filter(|vendor| vendor != "ATA" && !vendor.starts_with("0x"));
    let model = text(folder, "device/model").or_else(|| text(folder, "device/name"));
    let words: Vec<_> = [vendor, model].into_iter().flatten().collect();
    if words.is_empty() { format!("{bus} disk") } else { words.join(" ").chars().take(Serial::MAX).collect() }
}

/// What udev's rules found out. Without udev: nothing.
fn udev_property(name: &str, property: &str) -> Option<String> {
    let device = udev::Device::from_subsystem_sysname("block".into(), name.into()).ok()?;
    Some(device.property_value(property)?.to_str()?.to_owned())
}

/// Whole devices under a device of partitions, encryption, RAID: `slaves` all the way down, then the disk of a partition.
pub(super) fn whole_devices(sys: &Path, name: &str) -> Vec<String> {
    // More layers than any box has; a loop in the tree ends here.
    const LAYERS: usize = 8;
    let (mut wholes, mut next) = (Vec::new(), vec![name.to_owned()]);
    for _ in 0..LAYERS {
        for name in std::mem::take(&mut next) {
            let folder = sys.join("class/block").join(&name);
            let slaves = names(&folder.join("slaves"));
            if !slaves.is_empty() {
                next.extend(slaves);
            } else if folder.join("partition").exists() {
                next.extend(parent(&folder));
            } else {
                wholes.push(name);
            }
        }
    }
    wholes.sort();
    wholes.dedup();
    wholes
}

fn parent(folder: &Path) -> Option<String> {
    let real: PathBuf = fs::canonicalize(folder).ok()?;
    Some(real.parent()?.file_name()?.to_str()?.to_owned())
}
