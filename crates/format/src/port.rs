//! The traits through which trees come into the engine and go out of it again.
//!
//! Declarations only. Shaped for remote servers: one ordered walk, many reads and writes in flight from several threads.

use crate::node::{Content, Stream};
use crate::{Gap, GapReason, Key, Kind, Node, Time};

/// How names are spelled in keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// The server's bytes.
    Bytes = 1,
    /// UTF-16 as WTF-8.
    Wtf8 = 2,
}

/// Which tree this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// URL-like, without secrets: `/srv/data`, `smb://user@host/share`.
    pub location: String,
    /// Stays the same while it is the same tree: file system id, server GUID and share.
    pub identity: String,
    /// Spelling of names.
    pub encoding: Encoding,
    /// How many reads in flight serve it best, from 1.
    pub parallel_reads: usize,
}

/// One entry of a walk.
#[derive(Clone, Debug)]
pub struct Walked {
    /// Where.
    pub key: Key,
    /// Everything but content. `size` says how long a file is. A gap here means: this entry, or what is below it, is not whole.
    pub node: Node,
    /// Size of a regular file when it was looked at.
    pub size: u64,
    /// Names of alternate streams, where the walk knows them: of folders and links. Those of a file come with [`ReadFile::streams`].
    pub streams: Vec<Vec<u8>>,
}

/// A run of a file.
#[derive(Debug)]
pub enum Piece {
    /// Bytes that are there; the buffer that was lent holds them.
    Data(usize),
    /// So many bytes that are a hole.
    Hole(u64),
    /// The end of the file.
    End,
}

/// What was seen of a file once it had been read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steady {
    /// Size and times stayed as they were at the walk.
    Unchanged,
    /// It changed while it was read.
    Changed,
}

/// Reads one file from start to end.
pub trait ReadFile: Send {
    /// The next run. Fills `buffer` from its start, as far as cheaply possible. Runs come in order and without overlap.
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap>;
    /// After [`Piece::End`]: did the file hold still? Adds the metadata that only an open file shows, and replaces what is out of date. A gap that
    /// it leaves in the node says what of the file is not as it is now.
    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap>;
    /// After [`ReadFile::finish`]: names of the file's alternate streams.
    fn streams(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// The entries of a tree in ascending order of their keys, the root first.
///
/// An error is final: the walk could not go on (the server is gone), and the tree is not whole. A folder that can't be listed is
/// no error: its own entry carries the gap, so its listing is complete before its entry is yielded.
pub type Walk<'a> = Box<dyn Iterator<Item = Result<Walked, Gap>> + Send + 'a>;

/// A tree that can be backed up.
pub trait Source: Send + Sync {
    /// What tree it is.
    fn info(&self) -> &SourceInfo;
    /// All entries.
    fn walk(&self) -> Result<Walk<'_>, Gap>;
    /// A hint: this file of the walk will be opened soon. A source may begin to fetch it.
    fn expect(&self, _entry: &Walked) {}
    /// Opens the content of a regular file of the walk that is under way.
    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap>;
    /// Opens an alternate stream of an entry, by a name that the source gave.
    fn stream(&self, _entry: &Walked, _name: &[u8]) -> Result<Box<dyn ReadFile + '_>, Gap> {
        Err(Gap { reason: GapReason::Unsupported, text: "this kind of source has no alternate streams".to_owned() })
    }
    /// Why nothing more can be read, once that is so: its server is gone and did not come back in time. Then what was not read is no gap of the
    /// tree; the tree is not whole, as when a walk ends in an error.
    fn gone(&self) -> Option<Gap> {
        None
    }
}

/// Why a restore could not write something. The text names no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct WriteError {
    /// Whether nothing further can be written (disk full, read-only, gone).
    pub fatal: bool,
    /// In a person's words.
    pub text: String,
}

/// What a target holds already under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// What it is.
    pub kind: Kind,
    /// Bytes of a regular file.
    pub size: u64,
    /// Last change of its content.
    pub mtime: Option<Time>,
}

/// How a file comes to its name: either way when it is whole, and not before. A run that is cut leaves nothing that is not whole under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// Nothing is there. [`WriteFile::finish`] is an error if something has come by then, which stays.
    New,
    /// It takes the place of a file; until then the old one stays as it is.
    Replace,
}

/// Receives one file.
pub trait WriteFile: Send {
    /// Bytes at an offset; ranges never written are holes.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError>;
    /// All bytes are there: sets the size and everything else of the node, and gives the file its name. After an error nothing is left of it.
    fn finish(self: Box<Self>, node: &Node) -> Result<(), WriteError>;
    /// It can't be had whole: removes what was begun.
    fn abandon(self: Box<Self>);
}

/// A place that a tree can be restored to.
pub trait Target: Send + Sync {
    /// What is there already under a key, if anything.
    fn look(&self, key: &Key) -> Result<Option<Present>, WriteError>;
    /// Whether a folder that is there was made by a restore that was cut before [`Target::finish_folder`], so that nobody has given it the
    /// metadata it has.
    fn is_unfinished(&self, _folder: &Key) -> bool {
        false
    }
    /// What this account will not be able to set, in a person's words: read from the server, never tried by writing.
    fn lacking(&self) -> Vec<String> {
        Vec::new()
    }
    /// Makes a folder, open for writing, or takes one that is there; its own metadata comes with [`Target::finish_folder`]. The root key is the
    /// target itself.
    fn folder(&self, key: &Key, node: &Node) -> Result<(), WriteError>;
    /// Begins a regular file: nothing is under its name yet. Files may be written side by side from several threads; their folders exist.
    fn file(&self, key: &Key, node: &Node, content: &Content, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError>;
    /// Begins an alternate stream of a file or folder whose content is there; the file or folder is finished after its streams.
    fn stream(&self, key: &Key, stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError>;
    /// Makes a symbolic link, fifo, socket, device or reparse point with its metadata.
    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError>;
    /// Makes a further path of a file that is there.
    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError>;
    /// Sets a folder's metadata, when all below it is done (children before parents).
    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError>;
    /// Opens what was restored, or an alternate stream of it, to compare it with what it should be.
    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap>;
    /// Reads the metadata of what was restored and names what is not as it should be: `times`, `attributes`, `descriptor`, `owner`, ...
    fn differences(&self, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap>;
    /// Waits until everything is durable.
    fn sync(&self) -> Result<(), WriteError>;
    /// Number of files that are best written at the same time.
    fn parallel_writes(&self) -> usize;
}
