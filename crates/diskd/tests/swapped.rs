//! A disk that is pulled while it is prepared, and another one that gets its name. By itself in a program, as other tests would take the name.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::Command;

use keepwell_diskd::prepare::{Tools, prepare};
use support::{LoopDisk, TestBox, places, until};

const SIZE: u64 = 768 << 20;
const NOW: i64 = 1_795_341_600;

#[test]
fn a_disk_that_gets_the_name_while_another_one_is_prepared_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let other = folder.path().join("other");
    fs::File::create(&other).unwrap().set_len(SIZE).unwrap();
    fs::OpenOptions::new().write(true).open(&other).unwrap().write_all_at(b"somebody's", 8192).unwrap();
    let before = fs::read(&other).unwrap();
    for tool in ["sfdisk", "mkfs.xfs"] {
        // Pulled, and another one plugged in, just before the program opens it.
        let swap = folder.path().join("swap");
        let script = format!(
            "#!/bin/sh\nlosetup --detach {0}\nlosetup {0} {1} 2>/dev/null\nexec {tool} \"$@\"\n",
            disk.device.display(),
            other.display()
        );
        fs::write(&swap, script).unwrap();
        fs::set_permissions(&swap, fs::Permissions::from_mode(0o700)).unwrap();
        let tools = if tool == "sfdisk" { Tools { sfdisk: swap, ..Tools::default() } } else { Tools { mkfs: swap, ..Tools::default() } };
        let found = disk.found();
        let result = prepare(&found, &places(folder.path()), &tools, &TestBox::new("Praxis"), NOW);
        assert!(fs::read(&other).unwrap() == before, "{tool}: the other disk was written to: {result:?}");
        let _ = Command::new("losetup").arg("--detach").arg(&disk.device).output();
        until("the device is gone", || fs::metadata(format!("/sys/block/{}/loop/backing_file", disk.name())).is_err());
        assert!(Command::new("losetup").args(["--partscan"]).arg(&disk.device).arg(&disk.file).status().unwrap().success());
    }
}
