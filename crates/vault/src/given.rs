//! A few files that a program of ours brings itself, as a source: what the box keeps of itself in its vault. Whoever brings a file says how it is read; nothing here opens one.

use std::io::{self, Read};
use std::sync::Arc;

use keepwell_format::port::{Encoding, Piece, ReadFile, Source, SourceInfo, Steady, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use zeroize::Zeroizing;

type Opener = Box<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>;

/// The files, by name.
pub struct GivenFiles {
    info: SourceInfo,
    files: Vec<(Walked, Opener)>,
}

impl GivenFiles {
    /// None yet; `identity` tells this source from every other.
    pub fn new(identity: &str) -> Self {
        let info =
            SourceInfo { location: "the box itself".into(), identity: identity.into(), encoding: Encoding::Bytes, parallel_reads: 1 };
        Self { info, files: Vec::new() }
    }

    /// One more, that is in memory.
    #[must_use]
    pub fn with_bytes(self, name: &str, bytes: Zeroizing<Vec<u8>>) -> Self {
        let (size, bytes) = (bytes.len() as u64, Arc::new(bytes));
        self.with_file(name, Node::new(Kind::File), size, move || Ok(Box::new(InMemory { bytes: Arc::clone(&bytes), at: 0 })))
    }

    /// One more, that is read when its time has come. With times and an id in `node` it is not read again as long as they are the same.
    #[must_use]
    pub fn with_file(
        mut self,
        name: &str,
        node: Node,
        size: u64,
        open: impl Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
    ) -> Self {
        let key = Key::from_path(name.as_bytes()).expect("a plain name");
        // As a walk has them.
        let at = self.files.partition_point(|(file, _)| file.key < key);
        self.files.insert(at, (Walked { key, node, size, streams: Vec::new() }, Box::new(open)));
        self
    }
}

impl Source for GivenFiles {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        let root = Walked { key: Key::root(), node: Node::new(Kind::Folder), size: 0, streams: Vec::new() };
        Ok(Box::new(std::iter::once(root).chain(self.files.iter().map(|(file, _)| file.clone())).map(Ok)))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let found = self.files.iter().find(|(file, _)| file.key == entry.key);
        let (_, open) = found.ok_or_else(|| Gap { reason: GapReason::Vanished, text: "it is not there".into() })?;
        Ok(Box::new(Reading(open().map_err(unreadable)?)))
    }
}

impl std::fmt::Debug for GivenFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenFiles").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

struct InMemory {
    bytes: Arc<Zeroizing<Vec<u8>>>,
    at: usize,
}

impl Read for InMemory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.bytes[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

struct Reading(Box<dyn Read + Send>);

impl ReadFile for Reading {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        loop {
            match self.0.read(buffer) {
                Ok(0) => return Ok(Piece::End),
                Ok(read) => return Ok(Piece::Data(read)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
    }

    fn finish(&mut self, _node: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a function for map_err")]
fn unreadable(error: io::Error) -> Gap {
    Gap { reason: GapReason::Read, text: error.to_string() }
}
