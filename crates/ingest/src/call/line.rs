//! The connection as the caller has it: who waits on which channel, and why it ended. Reads all frames and hands them out; a frame that nobody asked
//! for ends the job.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use keepwell_format::codec::Reader;
use keepwell_format::{FormatError, Gap};

use super::desk::{Channel, Gate, Inbox, Part, Slot};
use super::walk::Batches;
use crate::frame::{Chunk, Frames, Head, Kind, PIECE};
use crate::message;
use crate::outlet::Outlet;
use crate::{IngestError, MOST_CHANNELS, lock};

pub(crate) struct Line {
    pub(super) outlet: Outlet,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    channels: HashMap<u32, Channel>,
    /// The last channel that was given out; none is used twice.
    last: u32,
    failure: Option<IngestError>,
    server_gone: Option<Gap>,
}

impl Line {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { outlet: Outlet::new(stream), state: Mutex::default() }
    }

    /// Ends the job: all that wait hear of it. The first reason counts.
    pub(super) fn fail(&self, why: IngestError) {
        let waiting = {
            let mut state = lock(&self.state);
            state.failure.get_or_insert(why);
            std::mem::take(&mut state.channels)
        };
        self.outlet.close();
        for channel in waiting.into_values() {
            match channel {
                Channel::Walk(batches) => batches.fail(),
                Channel::Read(inbox) => inbox.fail(),
                Channel::Request(slot) => slot.fail(),
                Channel::Write(gate) => gate.fail(),
            }
        }
    }

    /// Why the job ended, once it has.
    pub(super) fn failure(&self) -> Option<IngestError> {
        lock(&self.state).failure.clone()
    }

    /// The same, for who noticed.
    pub(super) fn ended(&self) -> IngestError {
        self.failure().unwrap_or(IngestError::Gone(None))
    }

    pub(super) fn server_gone(&self) -> Option<Gap> {
        lock(&self.state).server_gone.clone()
    }

    pub(super) fn send(&self, kind: Kind, channel: u32, payload: &[u8]) -> Result<(), IngestError> {
        self.outlet.frame(kind, channel, payload).map_err(|error| self.broke(error))
    }

    /// Sends it with the next frame, or with [`Line::flush`].
    pub(super) fn hold(&self, kind: Kind, channel: u32, payload: &[u8]) -> Result<(), IngestError> {
        self.outlet.hold(kind, channel, payload).map_err(|error| self.broke(error))
    }

    pub(super) fn flush(&self) -> Result<(), IngestError> {
        self.outlet.flush().map_err(|error| self.broke(error))
    }

    pub(super) fn lend(&self, kind: Kind, channel: u32, prefix: &[u8], payload: &[u8]) -> Result<(), IngestError> {
        self.outlet.lend(kind, channel, prefix, payload).map_err(|error| self.broke(error))
    }

    /// Who notices first ends the job. Where the other end hung up, the reader knows better why.
    fn broke(&self, error: IngestError) -> IngestError {
        if let Some(known) = self.failure() {
            return known;
        }
        self.fail(error.clone());
        error
    }

    /// Opens a channel.
    pub(super) fn register(&self, channel: Channel) -> Result<u32, IngestError> {
        let mut state = lock(&self.state);
        if let Some(why) = &state.failure {
            return Err(why.clone());
        }
        if state.channels.len() >= MOST_CHANNELS {
            return Err(IngestError::Protocol("too much is asked for at once"));
        }
        state.last = state.last.checked_add(1).ok_or(IngestError::Protocol("the job is too long"))?;
        let id = state.last;
        state.channels.insert(id, channel);
        Ok(id)
    }

    /// Reads frames until the connection ends; answers why.
    pub(super) fn serve(&self, frames: &mut Frames<impl Read>) -> IngestError {
        loop {
            let taken = match frames.head() {
                Ok(Some(head)) => self.take(head, frames),
                Ok(None) => Err(IngestError::Gone(None)),
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                return error;
            }
        }
    }

    fn take(&self, head: Head, frames: &mut Frames<impl Read>) -> Result<(), IngestError> {
        match head.kind {
            Kind::Heartbeat => frames.payload(head).map(drop),
            Kind::Data => self.take_data(head, frames),
            Kind::Hole => {
                let length = message::whole("hole", frames.payload(head)?, Reader::varint)?;
                if length == 0 {
                    return Err(IngestError::Protocol("a hole of no length"));
                }
                self.reading(head.channel)?.put(Part::Hole(length)).map(drop)
            }
            Kind::FileEnd => {
                let end = message::read_file_end(frames.payload(head)?)?;
                let inbox = self.reading(head.channel)?;
                self.close(head.channel);
                inbox.put(Part::End(Box::new(end))).map(drop)
            }
            Kind::Entries => self.walk(head.channel)?.put(frames.payload(head)?),
            Kind::WalkEnd => {
                let payload = frames.payload(head)?;
                let end = if payload.is_empty() { None } else { Some(message::read_gap_frame(payload)?) };
                self.walk(head.channel)?.end(end);
                self.close(head.channel);
                Ok(())
            }
            Kind::ServerGone => {
                let gap = message::read_gap_frame(frames.payload(head)?)?;
                lock(&self.state).server_gone.get_or_insert(gap);
                Ok(())
            }
            Kind::Answer => self.answered(head.channel, frames.payload(head)?.to_vec()),
            Kind::WriteCredit => {
                let more = message::whole("credit", frames.payload(head)?, Reader::varint)?;
                self.writing(head.channel)?.credit(more)
            }
            Kind::WriteFailed => {
                let error = message::whole("failure", frames.payload(head)?, message::read_failure)?;
                self.writing(head.channel)?.refuse(error);
                Ok(())
            }
            _ => Err(IngestError::Protocol("an answer that nobody asked for")),
        }
    }

    fn take_data(&self, head: Head, frames: &mut Frames<impl Read>) -> Result<(), IngestError> {
        let inbox = self.reading(head.channel)?;
        if head.length == 0 {
            return Err(IngestError::Protocol("data of no length"));
        }
        let mut chunk = if head.length > PIECE / 8 { self.outlet.pool.take() } else { Chunk::default() };
        if chunk.bytes.len() < head.length {
            chunk.bytes.resize(head.length, 0);
        }
        frames.read(&mut chunk.bytes[..head.length])?;
        chunk.used = head.length;
        if let Some(Part::Data(chunk)) = inbox.put(Part::Data(chunk))? {
            self.outlet.pool.give(chunk);
        }
        Ok(())
    }

    fn answered(&self, channel: u32, answer: Vec<u8>) -> Result<(), IngestError> {
        match self.channel(channel)? {
            Channel::Request(slot) => slot.put(answer),
            Channel::Write(gate) => gate.slot.put(answer),
            _ => return Err(IngestError::Protocol("an answer that nobody asked for")),
        }
        self.close(channel);
        Ok(())
    }

    fn close(&self, channel: u32) {
        lock(&self.state).channels.remove(&channel);
    }

    fn channel(&self, channel: u32) -> Result<Channel, IngestError> {
        lock(&self.state).channels.get(&channel).cloned().ok_or(IngestError::Protocol("an answer that nobody asked for"))
    }

    fn reading(&self, channel: u32) -> Result<Arc<Inbox>, IngestError> {
        let Channel::Read(inbox) = self.channel(channel)? else { return Err(IngestError::Protocol("content of what is no file")) };
        Ok(inbox)
    }

    fn walk(&self, channel: u32) -> Result<Arc<Batches>, IngestError> {
        let Channel::Walk(batches) = self.channel(channel)? else { return Err(IngestError::Protocol("entries of what is no walk")) };
        Ok(batches)
    }

    fn writing(&self, channel: u32) -> Result<Arc<Gate>, IngestError> {
        let Channel::Write(gate) = self.channel(channel)? else { return Err(IngestError::Protocol("leave to write what is not written")) };
        Ok(gate)
    }

    /// Reads all of an answer. One that can't be read ends the job.
    pub(super) fn parse<T>(&self, answer: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Result<T, FormatError>) -> Result<T, IngestError> {
        message::whole("answer", answer, read).map_err(|error| {
            self.fail(error.into());
            self.ended()
        })
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&self, kind: Kind, payload: &[u8]) -> Result<Vec<u8>, IngestError> {
        let slot = Arc::new(Slot::default());
        let channel = self.register(Channel::Request(Arc::clone(&slot)))?;
        self.send(kind, channel, payload)?;
        slot.wait().ok_or_else(|| self.ended())
    }
}
