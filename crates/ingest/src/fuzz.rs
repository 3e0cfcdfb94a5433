//! What arrives at either end, for fuzzing: bytes instead of a connection. Nothing is opened, nothing is answered. Each answers whether all frames were taken.

use std::os::unix::net::UnixStream;

use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Encoding, Placing, Present, ReadFile, Source, SourceInfo, Target, Walk, WriteError, WriteFile};
use keepwell_format::{Gap, GapReason, Key, Node};

use crate::frame::{End, Frames};
use crate::outlet::Outlet;
use crate::{Warned, WarnedTarget};

/// Frames from an answering end, while a walk (channel 1), a read (2), a request (3) and a write (4) wait for theirs. What is taken must keep the
/// order and the limits of the protocol.
pub fn at_the_caller(data: &[u8]) -> bool {
    let Ok((ours, _theirs)) = UnixStream::pair() else { return false };
    crate::call::replay(ours, &mut Frames::new(data, End::Caller))
}

/// Frames from a caller of a source.
pub fn at_a_source(data: &[u8]) -> bool {
    let Ok((ours, _theirs)) = UnixStream::pair() else { return false };
    crate::answer::replay_source(&Nothing::default(), &mut Frames::new(data, End::Answering), &Outlet::new(ours))
}

/// Frames from a caller of a target.
pub fn at_a_target(data: &[u8]) -> bool {
    let Ok((ours, _theirs)) = UnixStream::pair() else { return false };
    crate::answer::replay_target(&Nothing::default(), &mut Frames::new(data, End::Answering), &Outlet::new(ours))
}

/// A tree without entries, and a target that takes nothing.
struct Nothing(SourceInfo);

impl Default for Nothing {
    fn default() -> Self {
        let (location, identity) = (String::new(), String::new());
        Self(SourceInfo { location, identity, encoding: Encoding::Bytes, parallel_reads: 1 })
    }
}

fn gap() -> Gap {
    Gap { reason: GapReason::Vanished, text: String::new() }
}

fn refused<T>() -> Result<T, WriteError> {
    Err(WriteError { fatal: true, text: String::new() })
}

impl Source for Nothing {
    fn info(&self) -> &SourceInfo {
        &self.0
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        Ok(Box::new(std::iter::empty()))
    }

    fn open(&self, _entry: &keepwell_format::port::Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        Err(gap())
    }
}

impl WarnedTarget for Nothing {
    fn target(&self) -> &dyn Target {
        self
    }

    fn warned(&self) -> Warned {
        Warned::default()
    }
}

impl Target for Nothing {
    fn look(&self, _: &Key) -> Result<Option<Present>, WriteError> {
        refused()
    }

    fn folder(&self, _: &Key, _: &Node) -> Result<(), WriteError> {
        refused()
    }

    fn file(&self, _: &Key, _: &Node, _: &Content, _: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        refused()
    }

    fn stream(&self, _: &Key, _: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        refused()
    }

    fn special(&self, _: &Key, _: &Node) -> Result<(), WriteError> {
        refused()
    }

    fn link(&self, _: &Key, _: &Key) -> Result<(), WriteError> {
        refused()
    }

    fn finish_folder(&self, _: &Key, _: &Node) -> Result<(), WriteError> {
        refused()
    }

    fn read(&self, _: &Key, _: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        Err(gap())
    }

    fn differences(&self, _: &Key, _: &Node) -> Result<Vec<&'static str>, Gap> {
        Err(gap())
    }

    fn sync(&self) -> Result<(), WriteError> {
        refused()
    }

    fn parallel_writes(&self) -> usize {
        1
    }
}
