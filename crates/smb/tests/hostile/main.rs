//! The client against a scripted server that lies, stalls, forges and breaks off. Every fault has to end in an error or in the right data, in
//! bounded time and with a bounded number of requests; no fault may make the client send what a client must not.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod files;
mod listings;
mod sign_in;
mod sweep;
mod wire;

use std::{panic, sync::mpsc, thread, time::Duration};

use keepwell_smb::{Credentials, Fetched, Open, OpenFile, Options, Pending, Share, SmbError, Want, WidePath};
use keepwell_smb_server::{Content, NEW_YEAR, Node, PASSWORD, Rule, Server, Tree, USER};

/// Long enough for a busy machine; where an answer comes, it comes sooner.
const PATIENT: Duration = Duration::from_secs(20);
/// Where no answer will come.
const HASTY: Duration = Duration::from_millis(400);

/// Whoever is not done by then hangs.
const HANGS: Duration = Duration::from_secs(120);

fn options(timeout: Duration) -> Options {
    Options { timeout, ..Options::default() }
}

fn connect(server: &Server, options: Options) -> Result<Share, SmbError> {
    Share::connect("127.0.0.1", server.port(), "share", Credentials::new(None, USER, PASSWORD), options)
}

/// `a.txt`, a folder with some files, one of 300,000 bytes with a stream; all of it in a snapshot too.
fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.file("a.txt", b"the right data");
    for name in ["one", "two", "three"] {
        tree.file(&*format!("folder\\{name}"), name.as_bytes());
    }
    tree.put(tree.root(), "large", Node::file(Content::patterned(300_000, 1)).with_stream("note", &b"a stream"[..]));
    tree.take_snapshot(NEW_YEAR);
    tree
}

fn large() -> Vec<u8> {
    Content::patterned(300_000, 1).bytes()
}

fn serve<const N: usize>(tree: Tree, rules: [Rule; N]) -> Server {
    Server::start(tree, rules.into()).unwrap()
}

fn path(path: &str) -> WidePath {
    WidePath::from_wtf8(path.split('\\').map(str::as_bytes)).unwrap()
}

fn fetch(share: &Share, name: &str) -> Result<Fetched, SmbError> {
    share.begin_fetch(&path(name), 1 << 20, Want { streams: true, descriptor: true, ..Want::default() }, None).and_then(Pending::wait)
}

fn open(share: &Share, name: &str) -> Result<OpenFile, SmbError> {
    share.begin_open(&path(name), &Open::reading(Want::default(), None)).and_then(Pending::wait)
}

/// Runs what must come to an end.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        // The receiver is there unless the test has failed.
        let _ = done.send(work());
    });
    match ended.recv_timeout(HANGS) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the client hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic::resume_unwind(thread.join().unwrap_err()),
    }
}
