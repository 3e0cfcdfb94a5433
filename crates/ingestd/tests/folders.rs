//! The contract of sources and targets, on local folders through the program: whatever a folder holds comes through as it is.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

#[path = "../../source/tests/contract/mod.rs"]
mod contract;

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use contract::{EVERYTHING, compare, content, copy, nasty};
use keepwell_format::node::Extents;
use keepwell_format::port::{Placing, Source as _, Target as _};
use keepwell_format::{Key, Kind, Node, Time};
use keepwell_ingest::{Call, IngestError, Opening, RemoteSource, RemoteTarget, SourceOrder, TargetOrder};
use keepwell_source::{LocalSource, raise_open_files};

/// A job of the program, and the caller's end of it.
struct Job {
    child: Child,
    stream: Option<UnixStream>,
}

impl Job {
    fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_keepwell-ingestd"));
        let child = program.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
        Self { child, stream: Some(ours) }
    }

    fn source(&mut self, at: &Path) -> Result<RemoteSource, IngestError> {
        let order = SourceOrder { location: at.to_str().unwrap().to_owned(), password: None, as_of: None };
        Call::begin(self.stream.take().unwrap())?.source(order)
    }

    fn target(&mut self, at: &Path, opening: Opening) -> Result<RemoteTarget, IngestError> {
        let order = TargetOrder { location: at.to_str().unwrap().to_owned(), password: None, opening };
        Call::begin(self.stream.take().unwrap())?.target(order)
    }

    /// The job is over: so is the process.
    fn ends_well(mut self) {
        drop(self.stream.take());
        assert!(self.child.wait().unwrap().success());
    }
}

fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

#[test]
fn a_nasty_tree_is_read_and_written_as_it_is() {
    raise_open_files();
    let scratch = tempfile::tempdir().unwrap();
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::create_dir(&from).unwrap();
    nasty::build(&from);
    let direct = LocalSource::open(&from).unwrap();
    let (mut reading, mut writing) = (Job::new(), Job::new());
    let source = reading.source(&from).unwrap();
    assert_eq!(source.info(), direct.info());
    compare(&direct, &source, EVERYTHING);
    let target = writing.target(&to, Opening::Empty).unwrap();
    copy(&source, &target);
    let warned = target.warnings();
    assert_eq!(warned.count as usize, warned.first.len(), "{warned:?}");
    compare(&direct, &LocalSource::open(&to).unwrap(), EVERYTHING);
    compare(&source, &LocalSource::open(&to).unwrap(), EVERYTHING);
    for walked in direct.walk().unwrap().map(Result::unwrap).filter(|walked| walked.node.links == 1) {
        assert_eq!(target.differences(&walked.key, &walked.node).unwrap(), Vec::<&str>::new(), "{}", walked.key);
    }
    drop((source, target));
    reading.ends_well();
    writing.ends_well();
    nasty::unlock(&from);
    nasty::unlock(&to);
}

#[test]
fn a_target_answers_as_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    let mut job = Job::new();
    let target = job.target(&scratch.path().join("new"), Opening::Empty).unwrap();
    let node = Node { mtime: Some(Time { seconds: 5, nanos: 6 }), ..Node::new(Kind::File) };
    assert!(target.parallel_writes() > 0);
    assert_eq!(target.look(&key("a")).unwrap(), None);
    target.folder(&Key::root(), &Node::new(Kind::Folder)).unwrap();
    let write = |placing| {
        let mut file = target.file(&key("a"), &node, &content(9 << 20), placing).unwrap();
        let block = vec![7; 3 << 20];
        for at in [6, 0, 3] {
            file.write_at(at << 20, &block)?;
        }
        file.finish(&node)
    };
    write(Placing::New).unwrap();
    let present = target.look(&key("a")).unwrap().unwrap();
    assert_eq!((present.kind, present.size, present.mtime), (Kind::File, 9 << 20, node.mtime));
    assert_eq!(fs::read(scratch.path().join("new/a")).unwrap(), vec![7; 9 << 20]);
    assert_eq!(target.differences(&key("a"), &Node { mtime: None, ..node.clone() }).unwrap(), Vec::<&str>::new());
    assert_eq!(target.differences(&key("a"), &Node { mtime: Some(Time { seconds: 1, nanos: 0 }), ..node.clone() }).unwrap(), ["times"]);
    // What has come by then stays, and says so at the end.
    assert!(write(Placing::New).is_err_and(|error| !error.fatal));
    write(Placing::Replace).unwrap();
    assert!(target.link(&key("b"), &key("none")).is_err());
    target.link(&key("b"), &key("a")).unwrap();
    assert!(target.read(&key("c"), None).unwrap().next(&mut [0; 8]).is_err());
    target.sync().unwrap();
    // Begun and given up, or just left: nothing stays.
    target.file(&key("c"), &node, &content(2), Placing::New).unwrap().abandon();
    let mut left = target.file(&key("d"), &node, &content(2), Placing::New).unwrap();
    left.write_at(0, b"x").unwrap();
    drop(left);
    assert!(target.file(&key("no/folder"), &node, &content(0), Placing::New).unwrap().finish(&node).is_err());
    drop(target);
    job.ends_well();
    let mut names: Vec<_> = fs::read_dir(scratch.path().join("new")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

/// A caller that dies leaves no file that is not whole.
#[test]
fn what_was_begun_is_removed_when_the_caller_is_gone() {
    let scratch = tempfile::tempdir().unwrap();
    let mut job = Job::new();
    let target = job.target(scratch.path(), Opening::Merge).unwrap();
    let node = Node::new(Kind::File);
    let mut file = target.file(&key("a"), &node, &content(100), Placing::New).unwrap();
    file.write_at(0, &[1; 50]).unwrap();
    target.canceller().cancel("its power went");
    assert!(file.finish(&node).is_err_and(|error| error.fatal));
    job.ends_well();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn what_is_sent_to_a_target_holds_no_hash_and_no_blob() {
    let scratch = tempfile::tempdir().unwrap();
    let mut job = Job::new();
    let target = job.target(scratch.path(), Opening::Merge).unwrap();
    let extent = keepwell_format::Extent { at: 0, blob: keepwell_format::BlobId([9; 32]), offset: 3, length: 4 };
    let held = keepwell_format::Content { extents: Extents::Inline(vec![extent]), ..content(4) };
    // As the engine has it: a link to what is elsewhere in the snapshot breaks a rule of entries here, and is not sent.
    let node = Node { content: Some(held.clone()), links: 2, link_to: Some(key("z/first")), ..Node::new(Kind::File) };
    let mut file = target.file(&key("a"), &node, &held, Placing::New).unwrap();
    file.write_at(0, b"four").unwrap();
    file.finish(&node).unwrap();
    drop(target);
    job.ends_well();
    assert_eq!(fs::read(scratch.path().join("a")).unwrap(), b"four");
}

#[test]
fn what_can_not_be_opened_has_a_code() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("file"), b"").unwrap();
    let code = |error: IngestError| if let IngestError::Refused(refusal) = error { refusal.code } else { error.to_string() };
    let source_as = |location: &str, password: Option<&str>, as_of: Option<&str>| {
        let mut job = Job::new();
        let password = password.map(|password| password.to_owned().into());
        let order = SourceOrder { location: location.to_owned(), password, as_of: as_of.map(str::to_owned) };
        let refused = Call::begin(job.stream.take().unwrap()).unwrap().source(order).map(drop).map_err(code).unwrap_err();
        job.ends_well();
        refused
    };
    let source = |location: &str, as_of: Option<&str>| source_as(location, None, as_of);
    let here = scratch.path().to_str().unwrap();
    assert_eq!(source("/no/such/folder", None), "not-found");
    assert_eq!(source(&format!("{here}/file"), None), "no-folder");
    assert_eq!(source(here, Some("latest")), "no-snapshots");
    assert_eq!(source(here, Some("yesterday")), "as-of");
    assert_eq!(source("smb:/h/s", None), "address");
    assert_eq!(source("smb://u@127.0.0.1:1/s", None), "no-password");
    assert_eq!(source_as("smb://u@127.0.0.1:1/s", Some("word"), None), "unreachable");
    let mut job = Job::new();
    assert_eq!(job.target(scratch.path(), Opening::Empty).map(drop).map_err(code).unwrap_err(), "not-empty");
    job.ends_well();
}
