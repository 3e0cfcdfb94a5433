//! A small NFS version 3 server whose answers a test scripts. MOUNT, NFS and NFSACL are on one port of the loopback interface.
//!
//! Knows a root folder (file number 1) and answers what the script leaves to it as a harmless empty export would.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part of it; tests may unwrap")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;

pub const NFS: u32 = 100_003;
pub const MOUNT: u32 = 100_005;
pub const NFS_ACL: u32 = 100_227;

/// A call that came in.
pub struct Call {
    pub xid: u32,
    pub program: u32,
    pub procedure: u32,
    /// Behind the credentials.
    pub arguments: Vec<u8>,
    /// From 0, over all connections.
    pub number: usize,
}

impl Call {
    pub fn is(&self, program: u32, procedure: u32) -> bool {
        (self.program, self.procedure) == (program, procedure)
    }

    /// A word of the arguments behind the file handle.
    pub fn word(&self, at: usize) -> u32 {
        let length = u32::from_be_bytes(self.arguments[..4].try_into().unwrap()) as usize;
        let at = 4 + length.next_multiple_of(4) + at * 4;
        u32::from_be_bytes(self.arguments[at..at + 4].try_into().unwrap())
    }
}

/// What the script does with a call.
pub enum Act {
    /// The usual thing.
    Usual,
    /// These results.
    Answer(Words),
    /// These bytes instead of a record.
    Raw(Vec<u8>),
    /// No answer.
    Silence,
    /// The connection is closed.
    Reset,
    /// No answer now; the record goes out behind the next answer.
    Later(Words),
}

/// XDR.
#[derive(Default, Clone)]
pub struct Words(pub Vec<u8>);

impl Words {
    pub fn of(words: &[u32]) -> Self {
        words.iter().fold(Self::default(), |out, word| out.u32(*word))
    }

    pub fn u32(mut self, word: u32) -> Self {
        self.0.extend(word.to_be_bytes());
        self
    }

    pub fn u64(mut self, word: u64) -> Self {
        self.0.extend(word.to_be_bytes());
        self
    }

    pub fn opaque(self, bytes: &[u8]) -> Self {
        let mut out = self.u32(bytes.len() as u32);
        out.0.extend(bytes);
        out.0.resize(out.0.len().next_multiple_of(4), 0);
        out
    }

    /// `fattr3`.
    pub fn attributes(self, kind: u32, fileid: u64, size: u64) -> Self {
        let out = self.u32(kind).u32(0o755).u32(1).u32(0).u32(0).u64(size).u64(size).u64(0).u64(7).u64(fileid);
        out.u32(1).u32(0).u32(2).u32(0).u32(3).u32(0)
    }

    /// An entry of READDIRPLUS, and that one follows.
    pub fn entry(self, name: &[u8], kind: u32, fileid: u64, cookie: u64, size: u64) -> Self {
        let out = self.u32(1).u64(fileid).opaque(name).u64(cookie).u32(1).attributes(kind, fileid, size);
        out.u32(1).opaque(&fileid.to_be_bytes())
    }

    /// The head of a listing.
    pub fn listing(verifier: u64) -> Self {
        Self::of(&[0, 1]).attributes(2, 1, 0).u64(verifier)
    }

    pub fn no_more(self, end: bool) -> Self {
        self.u32(0).u32(end.into())
    }
}

pub type Script = dyn Fn(&Call) -> Act + Send + Sync;

/// Serves until the test ends; returns the port.
pub fn serve(script: impl Fn(&Call) -> Act + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script: Arc<Script> = Arc::new(script);
    let number = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (script, number) = (Arc::clone(&script), Arc::clone(&number));
            std::thread::spawn(move || connection(socket, &*script, &number));
        }
    });
    port
}

fn connection(mut socket: TcpStream, script: &Script, number: &std::sync::atomic::AtomicUsize) -> Option<()> {
    let mut later: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut mark = [0; 4];
        socket.read_exact(&mut mark).ok()?;
        let mut record = vec![0; (u32::from_be_bytes(mark) & 0x7FFF_FFFF) as usize];
        socket.read_exact(&mut record).ok()?;
        let call = parse(&record, number.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        let answer = match script(&call) {
            Act::Usual => reply(call.xid, &usual(&call)),
            Act::Answer(words) => reply(call.xid, &words),
            Act::Raw(bytes) => bytes,
            Act::Silence => continue,
            Act::Reset => {
                let _ = socket.shutdown(Shutdown::Both);
                return None;
            }
            Act::Later(words) => {
                later.push(reply(call.xid, &words));
                continue;
            }
        };
        socket.write_all(&answer).ok()?;
        for answer in later.drain(..).rev() {
            socket.write_all(&answer).ok()?;
        }
    }
}

fn parse(record: &[u8], number: usize) -> Call {
    let word = |at: usize| u32::from_be_bytes(record[at..at + 4].try_into().unwrap());
    // Behind xid, type, version, program, version, procedure: credentials, then an empty verifier.
    let behind = 32 + (word(28) as usize).next_multiple_of(4) + 8;
    Call { xid: word(0), program: word(12), procedure: word(20), arguments: record[behind..].to_vec(), number }
}

/// A successful reply, as a record.
pub fn reply(xid: u32, results: &Words) -> Vec<u8> {
    let body = [Words::of(&[xid, 1, 0, 0, 0, 0]).0.as_slice(), &results.0].concat();
    [&(0x8000_0000 | body.len() as u32).to_be_bytes()[..], &body].concat()
}

fn usual(call: &Call) -> Words {
    match (call.program, call.procedure) {
        (MOUNT, _) => Words::of(&[0]).opaque(&1_u64.to_be_bytes()).u32(1).u32(1),
        (NFS, 0) => Words::default(),
        (NFS, 1) => Words::of(&[0]).attributes(2, 1, 0),
        (NFS, 4) => Words::of(&[0, 0, 0x3F]),
        (NFS, 16 | 17) => Words::listing(0).no_more(true),
        (NFS, 19) => Words::of(&[0, 0, 1 << 20, 1 << 20, 512, 1 << 20, 1 << 20, 512, 1 << 16]).u64(1 << 40).u64(1).u32(3),
        // NFS3ERR_NOTSUPP.
        _ => Words::of(&[10_004, 0]),
    }
}
