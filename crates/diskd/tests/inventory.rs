//! The inventory on trees made like sysfs: every bus, what holds a disk, what is the box's own.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use keepwell_api::disks::Bus;
use keepwell_diskd::inventory::{Found, Hold, Places, scan};
use keepwell_diskd::locate;

/// A machine's `/sys` and lists.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["sys/class/block", "sys/dev/block"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine.file("mountinfo", b"").file("swaps", b"Filename Type\n");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> &Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    /// A block device at `at` below `sys/devices`, with attributes.
    fn device(&self, at: &str, number: &str, attributes: &[(&str, &str)]) -> &Self {
        let (real, name) = (format!("sys/devices/{at}"), at.rsplit('/').next().unwrap());
        for (attribute, text) in [("dev", number), ("size", "2048000")].iter().chain(attributes) {
            self.file(&format!("{real}/{attribute}"), format!("{text}\n").as_bytes());
        }
        symlink(self.path(&real), self.path(&format!("sys/class/block/{name}"))).unwrap();
        symlink(self.path(&real), self.path(&format!("sys/dev/block/{number}"))).unwrap();
        self
    }

    fn places(&self, own: &[&str]) -> Places {
        Places {
            sys: self.path("sys"),
            mountinfo: self.path("mountinfo"),
            swaps: self.path("swaps"),
            own_mounts: own.iter().map(PathBuf::from).collect(),
            own_serials: ["TOLD".to_owned()].into(),
            loops: None,
        }
    }

    fn scan(&self, own: &[&str]) -> Vec<Found> {
        scan(&self.places(own))
    }

    fn disk(&self, name: &str) -> Found {
        self.scan(&["/"]).into_iter().find(|found| found.name == name).unwrap()
    }
}

#[test]
fn every_bus_has_its_serial_and_model() {
    let machine = Machine::new();
    machine
        .device(
            "pci/ata1/host0/target0/0:0:0:0/block/sda",
            "8:0",
            &[
                ("device/vendor", "ATA     "),
                ("device/model", "KW HDD"),
                ("device/wwid", "naa.5000c500a1b2c3d4"),
                ("queue/rotational", "1"),
            ],
        )
        .file("sys/devices/pci/ata1/host0/target0/0:0:0:0/block/sda/device/vpd_pg80", b"\x00\x80\x00\x0b  KWHDD0001trailing")
        .device("pci/nvme/nvme0/nvme0n1", "259:0", &[("device/serial", "KWNVME1   "), ("device/model", "KW NVME"), ("wwid", "eui.0025")])
        .device("pci/usb1/1-1/host3/block/sdb", "8:16", &[("device/vendor", "Case"), ("device/model", "Box"), ("device/serial", "USB7")])
        .device("pci/host4/port-4:0/end_device-4:0/block/sdc", "8:32", &[("serial", "SAS9"), ("queue/zoned", "host-aware")])
        .device("pci/virtio1/block/vda", "254:0", &[("serial", "TOLD")])
        .device("virtual/block/loop0", "7:0", &[])
        .device("virtual/block/dm-0", "252:0", &[])
        .device("virtual/block/zram0", "253:0", &[])
        .device("pci/ata2/host1/block/sr0", "11:0", &[]);
    let found = machine.scan(&[]);
    let seen: Vec<_> =
        found.iter().map(|disk| (disk.name.as_str(), disk.bus, disk.serial.as_ref().map(|serial| serial.as_str()))).collect();
    assert_eq!(
        seen,
        [
            ("nvme0n1", Bus::Nvme, Some("KWNVME1")),
            ("sda", Bus::Sata, Some("KWHDD0001")),
            ("sdb", Bus::Usb, Some("USB7")),
            ("sdc", Bus::Sas, Some("SAS9")),
            ("vda", Bus::Virtual, Some("TOLD")),
        ]
    );
    let of = |name: &str| found.iter().find(|disk| disk.name == name).unwrap();
    assert_eq!((of("sda").model.as_str(), of("sda").rotational, of("sda").size_bytes), ("KW HDD", true, 2_048_000 * 512));
    assert_eq!((of("sda").wwn.as_deref(), of("sdb").model.as_str(), of("sdb").removable), (Some("naa.5000c500a1b2c3d4"), "Case Box", true));
    assert_eq!(of("sdc").zoned.as_deref(), Some("host-aware"));
    assert!(matches!(of("vda").holds[..], [Hold::Own(_)]), "it was named");
}

#[test]
fn root_behind_encryption_is_on_its_disk() {
    let machine = Machine::new();
    machine
        .device("pci/ata1/block/sda", "8:0", &[("serial", "A")])
        .device("pci/ata1/block/sda/sda1", "8:1", &[("partition", "1"), ("start", "2048"), ("holders/dm-0/x", "")])
        .device("virtual/block/dm-0", "252:0", &[("holders/dm-1/x", "")])
        .device("virtual/block/dm-1", "252:1", &[])
        .device("pci/ata2/block/sdb", "8:16", &[("serial", "B")])
        .file("mountinfo", b"1 0 252:1 / / rw - ext4 /dev/mapper/root rw\n");
    for (upper, lower) in [("dm-1", "dm-0"), ("dm-0", "sda1")] {
        machine.file(&format!("sys/devices/virtual/block/{upper}/slaves/{lower}/x"), b"");
    }
    let sda = machine.disk("sda");
    assert!(sda.holds.iter().any(|hold| matches!(hold, Hold::Own(why) if why.contains('/'))), "{:?}", sda.holds);
    assert!(sda.holds.contains(&Hold::Holder("dm-0".into())));
    assert_eq!(machine.disk("sdb").holds, []);
}

#[test]
fn mounts_swap_and_partitions() {
    let machine = Machine::new();
    machine
        .device("pci/ata1/block/sda", "8:0", &[("serial", "A"), ("diskseq", "9")])
        .device("pci/ata1/block/sda/sda2", "8:2", &[("partition", "2"), ("start", "4096"), ("size", "100")])
        .device("pci/ata1/block/sda/sda1", "8:1", &[("partition", "1"), ("start", "2048"), ("size", "2048")])
        .file("mountinfo", b"1 0 8:1 / /mnt/a rw - xfs /dev/sda1 rw\n")
        .file("swaps", b"Filename Type\n/dev/sda2 partition 1 0 -2\n");
    let sda = machine.disk("sda");
    assert_eq!(sda.holds, [Hold::Mounted("/mnt/a".into()), Hold::Swap]);
    let parts: Vec<_> = sda.partitions.iter().map(|part| (part.name.as_str(), part.index, part.start_bytes, part.size_bytes)).collect();
    assert_eq!(parts, [("sda1", 1, 1 << 20, 1 << 20), ("sda2", 2, 2 << 20, 51_200)]);
    assert_eq!((sda.sequence, sda.device()), (Some(9), Path::new("/dev/sda").to_owned()));
    let other = Found { sequence: Some(10), ..sda.clone() };
    assert!(!sda.is_same(&other), "another disk under the same name");
}

#[test]
fn devices_that_make_no_sense_are_left_out() {
    let machine = Machine::new();
    machine
        .device("pci/ata1/block/sda", "8:0", &[("size", "0")])
        .device("pci/ata1/block/sdb", "x", &[])
        .device("pci/ata1/block/sdc", "8:32", &[("size", "18446744073709551615")])
        .device("pci/ata1/block/sdd", "8:48", &[("hidden", "1")]);
    assert_eq!(machine.scan(&["/"]), []);
}

#[test]
fn a_bay_has_the_number_that_the_case_gives_it() {
    let machine = Machine::new();
    let at = "pci/host1/target0/1:0:3:0/block/sdc";
    machine.device(at, "8:32", &[("device/enclosure_device:Slot 04/slot", "4"), ("device/enclosure_device:Slot 04/locate", "0")]);
    machine.device("pci/host1/target0/1:0:4:0/block/sdd", "8:48", &[("device/model", "x"), ("device/enclosure_device:odd/slot", "none")]);
    let places = machine.places(&["/"]);
    assert_eq!(["sdc", "sdd", "sde"].map(|name| locate::bay(&places, name)), [Some(4), None, None]);
}
