//! The client against a real Samba server. Needs root and `smbd`; says so and passes where they are missing.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod reading;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use keepwell_smb::{Credentials, DirEntry, Listing, Options, Share, SmbError, WidePath};

/// A server that lives as long as this does.
struct Samba {
    folder: tempfile::TempDir,
    user: String,
    password: String,
    port: u16,
}

impl Samba {
    /// None, with a printed reason, if there can be none on this machine.
    fn start(encrypt: &str) -> Option<Self> {
        if Command::new("smbd").arg("--version").output().is_err() {
            println!("skipped: smbd is not installed");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            println!("skipped: smbd needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let started = Command::new(script()).args(["start".as_ref(), folder.path()]).env("KEEPWELL_SAMBA_ENCRYPT", encrypt).output();
        let started = started.unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let line = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap().trim().to_owned();
        let (user, password, port) = (line("user"), line("password"), line("port").parse().unwrap());
        Some(Self { folder, user, password, port })
    }

    /// The folder behind the share.
    fn folder(&self) -> PathBuf {
        self.folder.path().join("share")
    }

    fn connect(&self, options: Options) -> Result<Share, SmbError> {
        Share::connect("127.0.0.1", self.port, "share", Credentials::new(None, &self.user, &self.password), options)
    }

    fn share(&self) -> Share {
        self.connect(Options::default()).unwrap()
    }

    /// Gives all to the user the server works as.
    fn hand_over(&self) {
        let done = Command::new("chown").args(["-hR", &self.user]).arg(self.folder()).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        let _ = Command::new(script()).args(["stop".as_ref(), self.folder.path()]).status();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samba.sh")
}

fn path(text: &str) -> WidePath {
    WidePath::from_wtf8(text.split('/').filter(|name| !name.is_empty()).map(str::as_bytes)).unwrap()
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn all(mut listing: Listing) -> Vec<DirEntry> {
    let mut entries = Vec::new();
    while let Some(batch) = listing.next_batch().unwrap() {
        assert!(!batch.is_empty());
        entries.extend(batch);
    }
    assert_eq!(listing.refused(), 0);
    assert!(listing.next_batch().unwrap().is_none());
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    entries
}

fn names(entries: &[DirEntry]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf16(&entry.name).unwrap()).collect()
}

/// Bytes that differ from place to place.
fn noise(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
