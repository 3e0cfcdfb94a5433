//! A real Samba server for the tests of several crates, which take this file in with `#[path]`. Owns the server from its start to its end; how
//! it is set up is in `samba.sh`. Needs root and `smbd`; where they are missing it says so.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part of it; tests may unwrap")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server that lives as long as this does.
pub struct Samba {
    /// Its configuration, state and logs.
    pub state: tempfile::TempDir,
    pub user: String,
    pub password: String,
    pub port: u16,
}

impl Samba {
    /// None, with a printed reason, if there can be none on this machine. `encrypt` is what it demands: `off`, `default` or `required`.
    pub fn start(encrypt: &str) -> Option<Self> {
        if Command::new("smbd").arg("--version").output().is_err() {
            println!("skipped: smbd is not installed");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            println!("skipped: smbd needs root");
            return None;
        }
        let mut samba = Self { state: tempfile::tempdir().unwrap(), user: String::new(), password: String::new(), port: 0 };
        samba.run(encrypt);
        let line = |name| fs::read_to_string(samba.state.path().join(name)).unwrap().trim().to_owned();
        (samba.user, samba.password, samba.port) = (line("user"), line("password"), line("port").parse().unwrap());
        Some(samba)
    }

    /// Starts it again after [`Samba::stop`].
    pub fn run(&self, encrypt: &str) {
        let port = self.port.to_string();
        let mut script = script("start", self.state.path());
        let started = script.arg(port).env("KEEPWELL_SAMBA_ENCRYPT", encrypt).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    pub fn stop(&self) {
        assert!(script("stop", self.state.path()).status().unwrap().success());
    }

    /// The folder behind the share.
    pub fn folder(&self) -> PathBuf {
        self.state.path().join("share")
    }

    /// Gives all to the user the server works as.
    pub fn hand_over(&self) {
        let done = Command::new("chown").args(["-hR", &self.user]).arg(self.folder()).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        let _ = script("stop", self.state.path()).status();
    }
}

fn script(verb: &str, state: &Path) -> Command {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samba.sh"));
    script.arg(verb).arg(state);
    script
}
