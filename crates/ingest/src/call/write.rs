//! A file that the other end writes. Bytes go out without waiting for answers; what went wrong comes with the next ones or at the end.

use std::sync::Arc;

use keepwell_format::Node;
use keepwell_format::codec::Writer;
use keepwell_format::port::{WriteError, WriteFile};

use super::desk::Gate;
use super::line::Line;
use crate::frame::{DATA_MAX, Kind};
use crate::{cost, message};

pub(super) struct RemoteWriter {
    line: Arc<Line>,
    channel: u32,
    gate: Arc<Gate>,
    ended: bool,
}

impl RemoteWriter {
    pub(super) fn new(line: Arc<Line>, channel: u32, gate: Arc<Gate>) -> Self {
        Self { line, channel, gate, ended: false }
    }
}

impl WriteFile for RemoteWriter {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let mut at = at;
        for piece in bytes.chunks(DATA_MAX) {
            self.gate.pass(cost(piece.len())).ok_or_else(|| self.line.ended().write_error())??;
            self.line.lend(Kind::Write, self.channel, &at.to_le_bytes(), piece).map_err(|error| error.write_error())?;
            at = at.saturating_add(piece.len() as u64);
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        let mut out = Writer::new();
        if let Err(error) = message::write_for_target(&mut out, &keepwell_format::Key::root(), node, node.content.as_ref()) {
            // Dropped, it is abandoned.
            return Err(WriteError { fatal: false, text: error.to_string() });
        }
        self.ended = true;
        self.line.send(Kind::FinishFile, self.channel, out.as_bytes()).map_err(|error| error.write_error())?;
        let answer = self.gate.slot.wait().ok_or_else(|| self.line.ended().write_error())?;
        self.line.parse(&answer, |reader| message::read_done(reader, |_| Ok(()))).map_err(|error| error.write_error())?
    }

    fn abandon(self: Box<Self>) {}
}

impl Drop for RemoteWriter {
    fn drop(&mut self) {
        if !self.ended {
            // If the line is broken, the other end abandons what it was writing.
            let _ = self.line.send(Kind::Abandon, self.channel, &[]);
        }
    }
}
