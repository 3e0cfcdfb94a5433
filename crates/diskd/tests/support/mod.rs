//! Files in place of disks, and a box's identity for tests. Loop devices need root: without it a test says so and passes.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use keepwell_api::disks::Typed;
use keepwell_diskd::DiskError;
use keepwell_diskd::identity::{Identity, PublicKey, SIGNATURE_BYTES, Statement};
use keepwell_diskd::inventory::{Found, Places, scan};

/// A box's identity.
pub(crate) struct TestBox {
    name: &'static str,
    pair: EcdsaKeyPair,
}

impl TestBox {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    pub(crate) fn key(&self) -> PublicKey {
        PublicKey(self.pair.public_key().as_ref().try_into().unwrap())
    }
}

impl Identity for TestBox {
    fn name(&self) -> &str {
        self.name
    }

    fn public_key(&self) -> Result<PublicKey, DiskError> {
        Ok(self.key())
    }

    fn sign(&self, statement: Statement<'_>) -> Result<[u8; SIGNATURE_BYTES], DiskError> {
        Ok(self.pair.sign(&SystemRandom::new(), statement.bytes()).unwrap().as_ref().try_into().unwrap())
    }
}

/// A file that the kernel shows as a disk.
pub(crate) struct LoopDisk {
    pub(crate) file: PathBuf,
    pub(crate) device: PathBuf,
}

impl LoopDisk {
    /// None, with the reason printed, where there can be none.
    pub(crate) fn new(folder: &Path, name: &str, bytes: u64) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: loop devices need root");
            return None;
        }
        let file = folder.join(name);
        File::create(&file).unwrap().set_len(bytes).unwrap();
        Self::attach(file)
    }

    pub(crate) fn attach(file: PathBuf) -> Option<Self> {
        let made = Command::new("losetup").args(["--find", "--partscan", "--show"]).arg(&file).output();
        match made {
            Ok(made) if made.status.success() => {
                let device = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim());
                Some(Self { file, device })
            }
            other => {
                println!("skipped: no loop device can be had: {other:?}");
                None
            }
        }
    }

    pub(crate) fn name(&self) -> String {
        self.device.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// As the inventory has it. The kernel's listing may lack an entry for a moment, while other tests make and remove devices.
    pub(crate) fn found(&self) -> Found {
        let (name, places) = (self.name(), places(self.file.parent().unwrap()));
        let mut found = None;
        until("the inventory has it", || {
            found = scan(&places).into_iter().find(|found| found.name == name);
            found.is_some()
        });
        found.unwrap()
    }

    pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(&self.device).unwrap();
        file.write_all_at(bytes, at).unwrap();
        file.sync_all().unwrap();
    }

    /// Pulls it.
    pub(crate) fn pull(&self) {
        assert!(Command::new("losetup").arg("--detach").arg(&self.device).status().unwrap().success());
        until("the device is gone", || fs::metadata(format!("/sys/block/{}/loop/backing_file", self.name())).is_err());
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // It may have been pulled, and be another test's by now.
        let backing = fs::read_to_string(format!("/sys/block/{}/loop/backing_file", self.name())).unwrap_or_default();
        let file = self.file.canonicalize().unwrap_or_else(|_| self.file.clone());
        if Path::new(backing.trim_end().trim_end_matches(" (deleted)")) != file {
            return;
        }
        // A test that failed may have left it mounted.
        let part = format!("{}p1", self.device.display());
        let _ = Command::new("umount").args(["--quiet", "--lazy", "--all-targets", &part]).output();
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).output();
    }
}

/// The disks of a test: those whose files are in its folder.
pub(crate) fn places(folder: &Path) -> Places {
    Places { loops: Some(folder.to_owned()), ..Places::default() }
}

pub(crate) fn typed(serial: &str, retired: bool) -> Typed {
    Typed { typed_serial: Some(serial.to_owned()), retired, asked_by: Some("Tester".into()) }
}

/// Waits for something that happens by itself.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
