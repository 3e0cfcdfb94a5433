//! An NFS-Ganesha server that lives as long as a test.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part of it; tests may unwrap")]

use std::path::{Path, PathBuf};
use std::process::Command;

use keepwell_source::{NfsSource, NfsUrl};

pub struct Ganesha {
    folder: tempfile::TempDir,
    pub url: NfsUrl,
}

impl Ganesha {
    /// None, with a printed reason, if there can be none on this machine. Settings are those of `tests/ganesha.sh`.
    pub fn start(settings: &[(&str, &str)]) -> Option<Self> {
        if Command::new("ganesha.nfsd").arg("-v").output().is_err() {
            println!("skipped: ganesha.nfsd is not installed");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            println!("skipped: ganesha.nfsd needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut start = Command::new(script());
        let started = start.args(["start".as_ref(), folder.path()]).envs(settings.iter().copied()).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let url = NfsUrl::parse(String::from_utf8(started.stdout).unwrap().trim()).unwrap();
        // It is read as root, whoever else may do so.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Some(Self { folder, url })
    }

    pub fn share(&self) -> PathBuf {
        self.folder.path().join("share")
    }

    pub fn connect(&self) -> NfsSource {
        NfsSource::connect(&self.url).unwrap()
    }
}

impl Drop for Ganesha {
    fn drop(&mut self) {
        let _ = Command::new(script()).args(["stop".as_ref(), self.folder.path()]).status();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/ganesha.sh")
}
