//! A place of another process that is restored to, as a target.

use std::fmt;
use std::sync::Arc;

use keepwell_format::codec::{Reader, Writer};
use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Placing, Present, ReadFile, Target, WriteError, WriteFile};
use keepwell_format::{FormatError, Gap, GapReason, Key, Node};

use super::desk::{Channel, Gate, Inbox};
use super::read::RemoteFile;
use super::write::RemoteWriter;
use super::{Canceller, Served};
use crate::frame::Kind;
use crate::{IngestError, READ_WINDOW, WRITE_WINDOW, Warned, message};

/// A target that another process writes to.
pub struct RemoteTarget {
    served: Served,
    parallel_writes: usize,
    lacking: Vec<String>,
}

impl RemoteTarget {
    pub(super) fn new(served: Served, parallel_writes: usize, lacking: Vec<String>) -> Self {
        Self { served, parallel_writes, lacking }
    }

    /// What could not be set so far; nothing if the other end can't be asked any more.
    pub fn warnings(&self) -> Warned {
        self.ask(Kind::Warnings, &[], message::read_warned).unwrap_or_default()
    }

    /// Why nothing can be done any more, once that is so.
    pub fn failure(&self) -> Option<IngestError> {
        self.served.line.failure()
    }

    /// Ends the job from another thread.
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.served.line))
    }

    fn ask<T>(&self, kind: Kind, payload: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Result<T, FormatError>) -> Result<T, IngestError> {
        let answer = self.served.line.ask(kind, payload)?;
        self.served.line.parse(&answer, read)
    }

    /// Asks for something that can go wrong.
    fn order<T>(&self, kind: Kind, payload: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Result<T, FormatError>) -> Result<T, WriteError> {
        self.ask(kind, payload, |reader| message::read_done(reader, read)).map_err(|error| error.write_error())?
    }

    fn order_node(&self, kind: Kind, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.order(kind, &for_target(key, node, node.content.as_ref())?, |_| Ok(()))
    }

    fn begin(&self, kind: Kind, payload: &[u8]) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        let line = &self.served.line;
        let gate = Arc::new(Gate::new(WRITE_WINDOW));
        let begun = line.register(Channel::Write(Arc::clone(&gate))).and_then(|channel| {
            line.send(kind, channel, payload)?;
            Ok(RemoteWriter::new(Arc::clone(line), channel, gate))
        });
        begun.map(|file| Box::new(file) as Box<dyn WriteFile>).map_err(|error| error.write_error())
    }
}

fn for_target(key: &Key, node: &Node, content: Option<&Content>) -> Result<Vec<u8>, WriteError> {
    let mut out = Writer::new();
    match message::write_for_target(&mut out, key, node, content) {
        Ok(()) => Ok(out.into_bytes()),
        Err(error) => Err(WriteError { fatal: false, text: error.to_string() }),
    }
}

fn key_of(key: &Key) -> Writer {
    let mut out = Writer::new();
    out.bytes(key.as_bytes());
    out
}

impl Target for RemoteTarget {
    fn look(&self, key: &Key) -> Result<Option<Present>, WriteError> {
        self.order(Kind::Look, key_of(key).as_bytes(), message::read_present)
    }

    fn is_unfinished(&self, folder: &Key) -> bool {
        self.ask(Kind::IsUnfinished, key_of(folder).as_bytes(), message::read_flag).unwrap_or(false)
    }

    fn lacking(&self) -> Vec<String> {
        self.lacking.clone()
    }

    fn folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.order_node(Kind::Folder, key, node)
    }

    /// What keeps it from being begun is told by the first write, or at its end.
    fn file(&self, key: &Key, node: &Node, content: &Content, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        let mut payload = for_target(key, node, Some(content))?;
        payload.push((placing == Placing::Replace).into());
        self.begin(Kind::File, &payload)
    }

    fn stream(&self, key: &Key, stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        let mut out = key_of(key);
        message::write_stream(&mut out, stream);
        self.begin(Kind::Stream, out.as_bytes())
    }

    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.order_node(Kind::Special, key, node)
    }

    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError> {
        self.order(Kind::Link, key_of(key).bytes(to.as_bytes()).as_bytes(), |_| Ok(()))
    }

    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.order_node(Kind::FinishFolder, key, node)
    }

    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let line = &self.served.line;
        let inbox = Arc::new(Inbox::new(READ_WINDOW));
        let mut out = key_of(key);
        out.varint(READ_WINDOW).u8(stream.is_some().into());
        if let Some(name) = stream {
            out.bytes(name);
        }
        let begun = line.register(Channel::Read(Arc::clone(&inbox))).and_then(|channel| {
            line.send(Kind::ReadBack, channel, out.as_bytes())?;
            Ok(RemoteFile::new(Arc::clone(line), channel, inbox, READ_WINDOW))
        });
        begun.map(|file| Box::new(file) as Box<dyn ReadFile>).map_err(|error| error.gap())
    }

    fn differences(&self, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
        let payload = for_target(key, node, node.content.as_ref());
        let payload = payload.map_err(|error| Gap { reason: GapReason::Metadata, text: error.text })?;
        self.ask(Kind::Differences, &payload, message::read_compared).map_err(|error| error.gap())?
    }

    fn sync(&self) -> Result<(), WriteError> {
        self.order(Kind::Sync, &[], |_| Ok(()))
    }

    fn parallel_writes(&self) -> usize {
        self.parallel_writes
    }
}

impl fmt::Debug for RemoteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTarget").finish_non_exhaustive()
    }
}
