//! A TPM in software (swtpm) to test against, which can be switched off and on, cleared and locked out, and what an image builder signs for it.
//!
//! Ends only what it started.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

pub mod home;
pub mod tap;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use keepwell_keyd::hex::Digest;
use keepwell_keyd::policy::sign::AuthorityKey;
use keepwell_keyd::policy::{Authority, Policies, SecurityEpoch, SignedPolicies};
use keepwell_keyd::tpm::Tpm;
use tss_esapi::handles::{AuthHandle, PcrHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Digest as TpmDigest, DigestValues};
use tss_esapi::{Context, TctiNameConf};

/// One swtpm with its state in a folder of its own.
pub struct SoftTpm {
    state: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl SoftTpm {
    /// A new TPM that is switched on. None, with the reason printed, where there is no swtpm.
    pub fn new() -> Option<Self> {
        if Command::new("swtpm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            eprintln!("skipped: swtpm is not installed (tests/setup test)");
            return None;
        }
        let mut tpm = Self { state: tempfile::tempdir().unwrap(), port: free_ports(), child: None };
        tpm.on();
        Some(tpm)
    }

    /// What keyd is told.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    pub fn tpm(&self) -> Tpm {
        Tpm::at(&self.tcti(), Duration::from_secs(60)).unwrap()
    }

    pub fn on(&mut self) {
        let port = self.port;
        let mut child = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", self.state.path().display())])
            .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1,disconnect")])
            .args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while Context::new(self.parsed()).is_err() {
            assert!(Instant::now() < until, "swtpm does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        // What answered has to be this one: it ends at once when its port is taken.
        assert!(child.try_wait().unwrap().is_none(), "swtpm did not start: another one has port {port}");
        self.child = Some(child);
    }

    pub fn off(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// All PCRs are zero after it; what is in the TPM's own storage stays.
    pub fn power_cycle(&mut self) {
        self.off();
        self.on();
    }

    /// A start: what firmware and boot loader measure of these two.
    pub fn boot(&mut self, secure_boot: &str, image: &str) {
        self.power_cycle();
        self.measure(7, secure_boot);
        self.measure(11, image);
    }

    pub fn measure(&self, pcr: u8, what: &str) {
        let handle = match pcr {
            7 => PcrHandle::Pcr7,
            11 => PcrHandle::Pcr11,
            12 => PcrHandle::Pcr12,
            13 => PcrHandle::Pcr13,
            _ => panic!("no PCR that counts here"),
        };
        let mut values = DigestValues::new();
        values.set(HashingAlgorithm::Sha256, TpmDigest::try_from(&Digest::of(&[what.as_bytes()]).0[..]).unwrap());
        let mut context = Context::new(self.parsed()).unwrap();
        context.execute_with_session(Some(AuthSession::Password), |context| context.pcr_extend(handle, values)).unwrap();
    }

    pub fn clear(&self) {
        let mut context = Context::new(self.parsed()).unwrap();
        context.execute_with_session(Some(AuthSession::Password), |context| context.clear(AuthHandle::Lockout)).unwrap();
    }

    /// Runs a program of tpm2-tools, which can do what the library can't, and forgets what it left in the TPM.
    pub fn tool(&self, words: &[&str]) -> bool {
        let done = self.run(words);
        assert!(self.run(&["tpm2_flushcontext", "-t"]));
        done
    }

    fn run(&self, words: &[&str]) -> bool {
        let (program, words) = words.split_first().unwrap();
        let mut run = Command::new(program);
        run.args(words).env("TPM2TOOLS_TCTI", self.tcti()).env("TSS2_LOG", "all+none").current_dir(self.state.path());
        run.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("tpm2-tools are installed with swtpm (tests/setup test)").success()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    fn parsed(&self) -> TctiNameConf {
        self.tcti().parse().unwrap()
    }
}

impl Drop for SoftTpm {
    fn drop(&mut self) {
        self.off();
    }
}

/// A pair of ports, as the library takes the port above for control. Below those that the kernel gives to connections, and no pair twice: a TPM that is
/// switched off has none of its ports, and neither a connection nor another test's TPM may take them meanwhile.
pub fn free_ports() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const PAIRS: u32 = 6_000;
    loop {
        // Processes that run side by side begin far from each other.
        let nth = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PAIRS;
        let port = u16::try_from(FIRST + 2 * nth).unwrap();
        if [port, port + 1].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return port;
        }
    }
}

/// What a PCR holds after one measurement from zero.
pub fn pcr_of(what: &str) -> Digest {
    Digest::of(&[&Digest::ZERO.0, &Digest::of(&[what.as_bytes()]).0])
}

/// An image builder.
pub struct Builder(AuthorityKey);

impl Builder {
    pub fn new() -> Self {
        Self(AuthorityKey::make().unwrap().0)
    }

    pub fn authority(&self) -> Authority {
        self.0.authority()
    }

    pub fn file(&self, epoch: u32, images: &[&str]) -> SignedPolicies {
        let approved: Vec<_> = images.iter().map(|image| ("enter-initrd".to_owned(), pcr_of(image))).collect();
        self.0.sign(SecurityEpoch(epoch), &approved)
    }

    pub fn policies(&self, epoch: u32, images: &[&str]) -> Policies {
        let bytes = serde_json::to_vec(&self.file(epoch, images)).unwrap();
        SignedPolicies::parse(&bytes).unwrap().verify(&self.authority()).unwrap()
    }
}
