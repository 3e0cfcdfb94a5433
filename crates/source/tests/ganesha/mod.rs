//! An NFS-Ganesha server that lives as long as a test.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part of it; tests may unwrap")]

use std::path::{Path, PathBuf};
use std::process::Command;

use keepwell_source::{NfsSource, NfsUrl};

pub struct Ganesha {
    folder: tempfile::TempDir,
    pub url: NfsUrl,
    mounted: bool,
}

impl Ganesha {
    /// None, with a printed reason, if there can be none on this machine. Settings are those of `tests/ganesha.sh`.
    pub fn start(settings: &[(&str, &str)]) -> Option<Self> {
        Self::start_in(tempfile::tempdir().unwrap(), settings)
    }

    /// On a disk of 16 MB that nothing else uses.
    pub fn start_on_small_disk() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (image, share) = (folder.path().join("image"), folder.path().join("share"));
        std::fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        std::fs::create_dir(&share).unwrap();
        let run = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let mounted = run(Command::new("mkfs.ext4").arg("-q").arg(&image))
            && run(Command::new("mount").arg("-o").arg("loop").arg(&image).arg(&share));
        if !mounted {
            println!("skipped: no small file system can be mounted here");
            return None;
        }
        let mut server = Self::start_in(folder, &[]);
        match &mut server {
            Some(server) => server.mounted = true,
            None => drop(Command::new("umount").arg(&share).status()),
        }
        server
    }

    fn start_in(folder: tempfile::TempDir, settings: &[(&str, &str)]) -> Option<Self> {
        if Command::new("ganesha.nfsd").arg("-v").output().is_err() {
            println!("skipped: ganesha.nfsd is not installed");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            println!("skipped: ganesha.nfsd needs root");
            return None;
        }
        let mut start = Command::new(script());
        let started = start.args(["start".as_ref(), folder.path()]).envs(settings.iter().copied()).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let url = NfsUrl::parse(String::from_utf8(started.stdout).unwrap().trim()).unwrap();
        // It is read as root, whoever else may do so.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Some(Self { folder, url, mounted: false })
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
        if self.mounted {
            let _ = Command::new("umount").arg(self.share()).status();
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/ganesha.sh")
}
