//! A restore whose connection is cut after any number of bytes, in either direction: an error for the caller, and no file in the target that is not
//! whole.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fs;
use std::io::Read as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;

use keepwell_format::node::{Content, Extents};
use keepwell_format::port::{Placing, Target as _};
use keepwell_format::{ContentHash, Key, Kind, Node};
use keepwell_ingest::{Call, IngestError, Opening, TargetOrder, answer};
use keepwell_ingestd::Shares;

const FILES: usize = 6;
const SIZE: usize = 300_000;

/// Copies so many bytes, then cuts. Answers how many it copied.
fn copy(from: UnixStream, to: UnixStream, most: usize) -> JoinHandle<usize> {
    std::thread::spawn(move || {
        let copied = std::io::copy(&mut (&from).take(most as u64), &mut &to).unwrap_or(0);
        // It may be cut already.
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        copied as usize
    })
}

/// Restores a few files over a connection that is cut after so many bytes to the answering end, or from it. Answers how many went both ways.
fn restore(at: &Path, to: usize, from: usize) -> (Result<(), IngestError>, [usize; 2]) {
    let ((ours, near), (far, theirs)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let answering = std::thread::spawn(move || drop(answer(theirs, &Shares)));
    let (up, down) = (copy(near.try_clone().unwrap(), far.try_clone().unwrap(), to), copy(far, near, from));
    let done = write(ours, at);
    let copied = [up.join().unwrap(), down.join().unwrap()];
    answering.join().unwrap();
    (done, copied)
}

fn write(stream: UnixStream, at: &Path) -> Result<(), IngestError> {
    let order = TargetOrder { location: at.to_str().unwrap().to_owned(), password: None, opening: Opening::Merge };
    let target = Call::begin(stream)?.target(order)?;
    let gone = |_| target.failure().unwrap();
    let node = Node::new(Kind::File);
    let content = Content { size: SIZE as u64, hash: ContentHash::NONE, extents: Extents::Inline(Vec::new()) };
    target.folder(&Key::root(), &Node::new(Kind::Folder)).map_err(gone)?;
    for n in 0..FILES {
        let key = Key::from_path(format!("file {n}").as_bytes()).unwrap();
        target.look(&key).map_err(gone)?;
        let mut file = target.file(&key, &node, &content, Placing::Replace).map_err(gone)?;
        for half in [1, 0] {
            file.write_at((half * SIZE / 2) as u64, &[n as u8; SIZE / 2]).map_err(gone)?;
        }
        file.finish(&node).map_err(gone)?;
    }
    target.sync().map_err(gone)
}

/// How many files are there. All are whole.
fn whole(at: &Path) -> usize {
    let files: Vec<_> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.iter().all(|file| fs::read(file).unwrap().len() == SIZE), "{files:?}");
    files.len()
}

#[test]
fn a_restore_that_is_cut_leaves_nothing_that_is_not_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = |name: String| {
        let at = scratch.path().join(name);
        fs::create_dir(&at).unwrap();
        at
    };
    let (done, [to, from]) = restore(&folder("whole".to_owned()), usize::MAX, usize::MAX);
    done.unwrap();
    assert_eq!(whole(&scratch.path().join("whole")), FILES);
    for most in (0..to).step_by(to / 25) {
        let at = folder(format!("to {most}"));
        let (done, _) = restore(&at, most, usize::MAX);
        assert!(matches!(done, Err(IngestError::Gone(_))), "{most} of {to}: {done:?}");
        assert!(whole(&at) <= FILES);
    }
    for most in 0..from {
        let at = folder(format!("from {most}"));
        let (done, [_, came]) = restore(&at, usize::MAX, most);
        assert!(matches!(done, Err(IngestError::Gone(_))) && came == most, "{most} of {from}: {done:?}");
        assert!(whole(&at) <= FILES);
    }
}
