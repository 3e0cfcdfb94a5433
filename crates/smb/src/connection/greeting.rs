//! What is said before keys exist: one request, one answer, in turns. Owns the connection until the session stands; hands out whole
//! messages, which the hash over the sign-in needs.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::socket::{self, Bounded};
use crate::SmbError;
use crate::wire::Command;
use crate::wire::cursor::Writer;
use crate::wire::header::{self, AnswerHeader, RequestHeader};

/// The longest message before sizes are agreed on.
const LONGEST: usize = 128 << 10;
/// Credits to begin with.
const CREDITS: u16 = 128;

/// A connection before the session stands.
pub(crate) struct Greeting {
    socket: TcpStream,
    timeout: Duration,
    next_id: u64,
    available: u32,
}

/// A request and its answer, headers included.
pub(crate) struct Turn {
    pub(crate) request: Vec<u8>,
    pub(crate) answer: Vec<u8>,
    pub(crate) header: AnswerHeader,
}

impl Greeting {
    pub(crate) fn new(socket: TcpStream, timeout: Duration) -> Self {
        Self { socket, timeout, next_id: 0, available: 1 }
    }

    /// Sends a request, neither signed nor encrypted, and waits for its answer.
    pub(crate) fn turn(&mut self, command: Command, session_id: u64, body: &[u8]) -> Result<Turn, SmbError> {
        self.available = self.available.checked_sub(1).ok_or(SmbError::Credits)?;
        let message_id = self.next_id;
        self.next_id += 1;
        let mut frame = Writer::with_capacity(socket::PREFIX + header::LENGTH + body.len());
        frame.u32(0);
        // The dialect is not known in the first, and SMB 2.0.2 has no charge (MS-SMB2 3.2.4.1.5).
        let charge = u16::from(command != Command::Negotiate);
        let header = RequestHeader { command, charge, credits: CREDITS, flags: 0, message_id, tree_id: 0, session_id, next: 0 };
        header.write(&mut frame);
        frame.bytes(body);
        let mut request = frame.finish();
        socket::write_frame(&self.socket, &mut request, self.timeout)?;
        request.drain(..socket::PREFIX);
        let (header, answer) = self.answer(command, message_id)?;
        Ok(Turn { request, answer, header })
    }

    fn answer(&mut self, command: Command, message_id: u64) -> Result<(AnswerHeader, Vec<u8>), SmbError> {
        let mut stream = Bounded { stream: &self.socket, deadline: Instant::now() + self.timeout };
        loop {
            let answer = socket::read_frame(&mut stream, LONGEST)?;
            let header = match header::split(&answer)?.as_slice() {
                [(header, _)] if header.is_answer() && header.command == command as u16 && header.message_id == message_id => *header,
                _ => return Err(SmbError::Broken { what: "answer to nothing that was asked" }),
            };
            self.available = (self.available + u32::from(header.credits)).min(u32::from(u16::MAX));
            if !header.is_interim() {
                return Ok((header, answer));
            }
        }
    }

    /// Credits without a server.
    #[cfg(test)]
    pub(super) fn grant(&mut self, credits: u32) {
        self.available += credits;
    }

    pub(super) fn finish(self) -> (TcpStream, Duration, Ledger) {
        (self.socket, self.timeout, Ledger::new(self.next_id, self.available))
    }
}
