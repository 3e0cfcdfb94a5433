//! The program as it is without a service manager, and who may call it.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keepwell_format::port::Source as _;
use keepwell_ingest::{Call, IngestError, RemoteSource, SourceOrder};
use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keepwell-ingestd");

/// The program, listening. Killed with the test.
struct Listening(Child);

impl Listening {
    fn new(socket: &Path, args: &[&str]) -> Self {
        let mut program = Command::new(PROGRAM);
        let child = program.arg("accept").arg("--socket").arg(socket).args(args).spawn().unwrap();
        Self(child)
    }

    fn tell_to_end(&self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// Calls as soon as somebody listens.
fn connect(socket: &Path) -> UnixStream {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < until, "nobody listens: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn open(stream: UnixStream, folder: &Path) -> Result<RemoteSource, IngestError> {
    let order = SourceOrder { location: folder.to_str().unwrap().to_owned(), password: None, as_of: None };
    Call::begin(stream)?.source(order)
}

#[test]
fn each_connection_has_a_process_and_all_end_when_told_to() {
    let scratch = tempfile::tempdir().unwrap();
    let (socket, folder) = (scratch.path().join("ingest.sock"), scratch.path().join("share"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), b"").unwrap();
    let mut listening = Listening::new(&socket, &[]);
    let first = open(connect(&socket), &folder).unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let second = open(connect(&socket), &folder).unwrap();
    assert_eq!((first.walk().unwrap().count(), second.walk().unwrap().count()), (2, 2));
    drop(first);
    listening.tell_to_end();
    assert!(listening.0.wait().unwrap().success());
    assert!(second.walk().and_then(|walk| walk.collect::<Result<Vec<_>, _>>()).is_err());
    assert!(matches!(second.failure(), Some(IngestError::Gone(_))));
}

#[test]
fn nobody_but_the_caller_that_was_named_is_served() {
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join("ingest.sock");
    let nobody = "65534";
    let _listening = Listening::new(&socket, &["--vaultd-uid", nobody]);
    assert!(matches!(open(connect(&socket), scratch.path()), Err(IngestError::Gone(_))));
    // The process itself looks too.
    let (ours, theirs) = UnixStream::pair().unwrap();
    let job = Command::new(PROGRAM)
        .args(["--vaultd-uid", nobody])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(matches!(open(ours, scratch.path()), Err(IngestError::Gone(_))));
    let ended = job.wait_with_output().unwrap();
    assert!(!ended.status.success() && String::from_utf8_lossy(&ended.stderr).contains("who has no right to"));
}

#[test]
fn what_is_no_connection_is_no_job() {
    for input in [Stdio::null(), Stdio::piped()] {
        let ended = Command::new(PROGRAM).stdin(input).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert!(!ended.status.success() && String::from_utf8_lossy(&ended.stderr).contains("standard input is no connection"));
    }
}

/// Other processes of the same user can't look into a job's memory: only root sees whose it is.
#[test]
fn a_job_is_closed_to_others() {
    let scratch = tempfile::tempdir().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut job = Command::new(PROGRAM).stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
    let source = open(ours, scratch.path()).unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", job.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    drop(source);
    assert!(job.wait().unwrap().success());
}
