//! A real Samba server for tests. Needs root and `smbd`; where they are missing it says so.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part of it; tests may unwrap")]

use std::fs;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::process::Command;

use keepwell_format::port::Source as _;
use keepwell_source::{AsOf, LocalSource, SmbSource, SmbUrl};

/// A server that lives as long as this does.
pub struct Samba {
    folder: tempfile::TempDir,
    pub url: SmbUrl,
    pub password: String,
}

impl Samba {
    /// None, with a printed reason, if there can be none on this machine.
    pub fn start(encrypt: &str) -> Option<Self> {
        if Command::new("smbd").arg("--version").output().is_err() {
            println!("skipped: smbd is not installed");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            println!("skipped: smbd needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let started =
            Command::new(script()).args(["start".as_ref(), folder.path()]).env("KEEPWELL_SAMBA_ENCRYPT", encrypt).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let url = SmbUrl::parse(String::from_utf8(started.stdout).unwrap().trim()).unwrap();
        let password = fs::read_to_string(folder.path().join("password")).unwrap().trim().to_owned();
        Some(Self { folder, url, password })
    }

    pub fn share(&self) -> PathBuf {
        self.folder.path().join("share")
    }

    /// A folder of the share.
    pub fn below(&self, name: &str) -> SmbUrl {
        SmbUrl { path: vec![name.into()], ..self.url.clone() }
    }

    pub fn connect(&self) -> SmbSource {
        SmbSource::connect(&self.url, &self.password, AsOf::Live).unwrap()
    }

    /// Gives all to the user the server works as.
    pub fn hand_over(&self) {
        let owner = Command::new("id").args(["-u", "keepwell-demo"]).output().unwrap();
        let owner = String::from_utf8(owner.stdout).unwrap().trim().parse().unwrap();
        let all: Vec<_> = LocalSource::open(self.share()).unwrap().walk().unwrap().map(Result::unwrap).collect();
        for entry in all.iter().rev() {
            lchown(self.share().join(entry.key.to_string().trim_start_matches('/')), Some(owner), None).unwrap();
        }
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
