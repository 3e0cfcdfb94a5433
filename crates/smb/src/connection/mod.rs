//! One TCP connection with one signed-in session. Owns the socket, its reader thread, credits and the requests under way; never
//! understands bodies of messages.

mod exchange;
pub(crate) mod fuzz;
mod greeting;
mod guard;
mod ledger;
pub(crate) mod socket;
#[cfg(test)]
mod tests;

use std::io::BufReader;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use exchange::Slot;
pub(crate) use exchange::{Answer, Exchange, Request};
pub(crate) use greeting::Greeting;
use guard::{Guard, Inbound};
use ledger::{Ledger, Ticket};
pub(crate) use socket::dial;

use crate::SmbError;
use crate::crypto::{Keys, Sealer, Signer};
use crate::wire::cursor::Writer;
use crate::wire::header::{self, RequestHeader};
use crate::wire::{Command, echo, transform};

/// Small enough that large frames are read past it, straight to where they stay.
const READ_AHEAD: usize = 16 << 10;
/// For the goodbye when a connection is dropped.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection in use.
pub(crate) struct Connection {
    session_id: u64,
    timeout: Duration,
    socket: TcpStream,
    sender: Mutex<Outbound>,
    ledger: Arc<Ledger>,
}

/// How requests are protected.
enum Outbound {
    Sealed(Sealer),
    Signed(Arc<Signer>),
}

impl Connection {
    /// Takes a connection over after the sign-in. `longest`: bytes of the largest answer agreed on.
    pub(crate) fn start(greeting: Greeting, session_id: u64, keys: Keys, longest: u32) -> Result<Arc<Self>, SmbError> {
        let (inbound, outbound) = match keys.sealing {
            Some((sealer, opener)) => (Inbound::Sealed(opener), Outbound::Sealed(sealer)),
            None => (Inbound::Signed(keys.signer.clone()), Outbound::Signed(keys.signer)),
        };
        let (socket, timeout, ledger) = greeting.finish();
        let ledger = Arc::new(ledger);
        let reading = socket.set_read_timeout(None).and_then(|()| socket.try_clone()).map_err(SmbError::from_socket)?;
        let reader = FrameReader {
            stream: BufReader::with_capacity(READ_AHEAD, reading),
            guard: Guard { session_id, protection: inbound },
            ledger: ledger.clone(),
            // A compound may hold more than one large answer.
            longest: (2 * longest as usize + (1 << 20)).min(socket::LONGEST),
        };
        thread::Builder::new().name("smb-reader".into()).spawn(move || reader.run()).map_err(SmbError::from_socket)?;
        Ok(Arc::new(Self { session_id, timeout, socket, sender: Mutex::new(outbound), ledger }))
    }

    /// Sends a chain; see [`crate::link::Link::send`].
    pub(crate) fn send(self: &Arc<Self>, generation: u64, tree_id: u32, chain: Vec<Request>) -> Result<Exchange, SmbError> {
        if chain.is_empty() {
            return Err(SmbError::Config { what: "an empty chain of requests" });
        }
        if chain.iter().map(|request| header::LENGTH + request.body.len() + 8).sum::<usize>() > socket::LONGEST - transform::LENGTH {
            return Err(SmbError::Config { what: "requests longer than 16 MiB" });
        }
        let (slot, deadline) = (Slot::new(chain.len()), Instant::now() + self.timeout);
        let needs: Vec<_> = chain.iter().map(|request| (request.command as u16, request.charge())).collect();
        let mut outbound = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the sender's lock, so that message ids go out in order.
        let sent = self
            .ledger
            .reserve(&needs, &slot, deadline)
            .and_then(|tickets| self.write(&mut outbound, tree_id, chain, &tickets, self.timeout));
        drop(outbound);
        if let Err(error) = sent {
            self.end(error.replica());
            return Err(error);
        }
        Ok(Exchange { slot, connection: self.clone(), deadline, generation })
    }

    fn write(
        &self,
        outbound: &mut Outbound,
        tree_id: u32,
        chain: Vec<Request>,
        tickets: &[Ticket],
        limit: Duration,
    ) -> Result<(), SmbError> {
        let lead = socket::PREFIX + if matches!(outbound, Outbound::Sealed(_)) { transform::LENGTH } else { 0 };
        let (mut frame, starts) = self.compose(lead, tree_id, chain, tickets);
        match outbound {
            Outbound::Sealed(sealer) => sealer.seal(&mut frame[socket::PREFIX..]),
            Outbound::Signed(signer) => starts.windows(2).for_each(|part| signer.sign(&mut frame[part[0]..part[1]])),
        }
        socket::write_frame(&self.socket, &mut frame, limit)
    }

    /// The frame of a chain after `lead` bytes of room, and where its messages start, with the end as the last.
    fn compose(&self, lead: usize, tree_id: u32, chain: Vec<Request>, tickets: &[Ticket]) -> (Vec<u8>, Vec<usize>) {
        let length: usize = chain.iter().map(|request| header::LENGTH + request.body.len().next_multiple_of(8)).sum();
        let (mut frame, mut starts, last) = (Writer::with_capacity(lead + length), Vec::new(), chain.len() - 1);
        frame.bytes(&[0; socket::PREFIX + transform::LENGTH][..lead]);
        for (place, (request, ticket)) in chain.into_iter().zip(tickets).enumerate() {
            let padded = if place == last { request.body.len() } else { request.body.len().next_multiple_of(8) };
            starts.push(frame.len());
            let header = RequestHeader {
                command: request.command,
                charge: ticket.charge,
                credits: ticket.asked,
                flags: if place == 0 { 0 } else { header::FLAG_RELATED },
                message_id: ticket.message_id,
                tree_id,
                session_id: self.session_id,
                next: if place == last { 0 } else { (header::LENGTH + padded) as u32 },
            };
            header.write(&mut frame);
            frame.bytes(&request.body).bytes(&[0; 8][..padded - request.body.len()]);
        }
        starts.push(frame.len());
        (frame.finish(), starts)
    }

    /// Ends the connection: everybody who waits gets `failure` at once.
    pub(crate) fn end(&self, failure: SmbError) {
        self.ledger.end(failure);
        socket::hang_up(&self.socket);
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.ledger.ended().is_some()
    }

    /// Credits at hand now.
    pub(crate) fn credits(&self) -> u32 {
        self.ledger.available()
    }

    /// Says goodbye without waiting for an answer; a logoff also ends tree connects (MS-SMB2 3.3.5.6).
    fn log_off(&mut self) -> Result<(), SmbError> {
        if let Some(ended) = self.ledger.ended() {
            return Err(ended);
        }
        self.socket.set_write_timeout(Some(GOODBYE)).map_err(SmbError::from_socket)?;
        let tickets = self.ledger.reserve(&[(Command::Logoff as u16, 1)], &Slot::new(1), Instant::now())?;
        let chain = vec![Request { command: Command::Logoff, body: echo::request(), payload: 0 }];
        let mut outbound = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&mut outbound, 0, chain, &tickets, GOODBYE)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The server notices the end of the connection anyway.
        let _ = self.log_off();
        socket::hang_up(&self.socket);
    }
}

/// Reads until the connection ends.
struct FrameReader {
    stream: BufReader<TcpStream>,
    guard: Guard,
    ledger: Arc<Ledger>,
    longest: usize,
}

impl FrameReader {
    fn run(mut self) {
        let failure = loop {
            if let Err(failure) = self.step() {
                break failure.fatal();
            }
        };
        tracing::debug!(%failure, "SMB connection over");
        self.ledger.end(failure);
        socket::hang_up(self.stream.get_ref());
    }

    fn step(&mut self) -> Result<(), SmbError> {
        let frame = socket::read_frame(&mut self.stream, self.longest)?;
        self.guard.admit(frame)?.into_iter().try_for_each(|(header, body)| self.ledger.deliver(&header, body))
    }
}
