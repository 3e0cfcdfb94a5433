//! Owns one connection: frames in, compound chains, signatures and sealing, faults, frames out. Never carries out a command on files itself.

mod answer;

use std::{
    collections::HashMap,
    io::Read as _,
    net::{Shutdown, TcpStream},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use crate::{
    command::{self, Call, Chain},
    crypto,
    faults::{Fault, Occasion},
    outbox::Outbox,
    protocol::{ASYNC, Answer, Command, Header, RELATED, Reply, SIGNED, Window},
    server::Shared,
    session::{Agreement, Session, negotiate},
    status::{Refusal, Status},
    wire::{Fields, Short, slice},
};

const LONGEST_FRAME: usize = 16 << 20;

/// A connection and its sessions.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    shared: &'a Arc<Shared>,
    stream: TcpStream,
    agreement: Agreement,
    sessions: HashMap<u64, Session>,
    window: Window,
    outbox: Outbox,
    line: Arc<Line>,
}

/// What the reading thread and the serving thread both see.
#[derive(Debug, Default)]
struct Line {
    gone: AtomicBool,
    in_flight: AtomicU64,
}

type Step<T = ()> = ControlFlow<(), T>;

impl<'a> Connection<'a> {
    /// Serves until the client hangs up, a fault cuts the line or the server stops.
    pub(crate) fn serve(shared: &'a Arc<Shared>, stream: TcpStream) {
        let (sender, frames) = mpsc::channel();
        let line = Arc::new(Line::default());
        let Ok(incoming) = stream.try_clone() else { return };
        // Small answers must not wait for each other; without it, all is only slower.
        drop(stream.set_nodelay(true));
        let (read_shared, read_line) = (Arc::clone(shared), Arc::clone(&line));
        let reading = thread::spawn(move || receive(incoming, &sender, &read_line, &read_shared));
        let (window, outbox) = (Window::new(shared.options.credits), Outbox::default());
        let (agreement, sessions) = (Agreement::default(), HashMap::new());
        let mut connection = Connection { shared, stream, agreement, sessions, window, outbox, line };
        connection.run(&frames);
        let left: usize = connection.sessions.values().map(|session| session.handles.len()).sum();
        shared.counters.count(|counts| counts.open_handles -= left as u64);
        // The client may have hung up first.
        drop(connection.stream.shutdown(Shutdown::Both));
        drop(reading.join());
    }

    fn run(&mut self, frames: &Receiver<Vec<u8>>) {
        loop {
            let next = match self.outbox.wait() {
                Some(wait) => frames.recv_timeout(wait),
                None => frames.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(frame) => {
                    if self.frame(frame).is_break() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            match self.outbox.flush(&mut self.stream) {
                Ok(sent) => self.line.in_flight.fetch_sub(sent, Ordering::Relaxed),
                Err(_) => return,
            };
        }
    }

    fn frame(&mut self, frame: Vec<u8>) -> Step {
        if self.shared.options.dialects.is_empty() {
            return self.smb1(&frame);
        }
        let (plain, sealed) = match frame.get(..4) {
            Some(b"\xFDSMB") => match self.unseal(&frame) {
                Some((plain, session)) => (plain, Some(session)),
                None => return self.breach("a frame that cannot be opened"),
            },
            Some(b"\xFESMB") => (frame, None),
            _ => return self.breach("a frame that is not SMB2"),
        };
        let mut chain = Chain::default();
        let (mut replies, mut at) = (Vec::new(), 0);
        loop {
            let Ok(mut header) = Header::parse(&plain[at..]) else { return self.breach("a header that cannot be read") };
            let end = if header.next == 0 { plain.len() } else { at + header.next };
            if header.next % 8 != 0 || slice(&plain, at, end - at).is_err() {
                return self.breach("a chain that does not fit its frame");
            }
            if header.flags & RELATED != 0 {
                (header.session_id, header.tree_id) = (chain.session_id, chain.tree_id);
            }
            (chain.session_id, chain.tree_id) = (header.session_id, header.tree_id);
            if let Some(reply) = self.request(header, &plain[at..end], &mut chain, sealed)? {
                replies.push(reply);
            }
            at = end;
            if at == plain.len() {
                return self.answer(replies, sealed);
            }
        }
    }

    fn breach<T>(&self, what: &str) -> Step<T> {
        self.shared.counters.breach(what);
        Step::Break(())
    }

    fn request(&mut self, header: Header, message: &[u8], chain: &mut Chain, sealed: Option<u64>) -> Step<Option<Reply>> {
        self.shared.counters.count(|counts| *counts.requests.entry(header.command).or_default() += 1);
        if header.command == Command::Cancel {
            return Step::Continue(None);
        }
        if !self.window.spend(&header) {
            return self.breach("a message id without credit");
        }
        let faults = self.meeting(&header, message, chain);
        for fault in &faults {
            match fault {
                Fault::Stall(ms) => drop(self.shared.wait(Duration::from_millis(*ms))),
                Fault::Hang => self.hang(),
                Fault::Pending(_) => self.interim(&header, sealed)?,
                Fault::CutBefore => return Step::Break(()),
                _ => {}
            }
        }
        let refused = faults.iter().find_map(|fault| if let Fault::Status(status) = fault { Some(*status) } else { None });
        let result = match refused {
            Some(status) => Err(status.into()),
            None => self.carry_out(&header, message, chain, sealed, &faults),
        };
        if header.command == Command::Create {
            chain.failed = result.as_ref().err().map(|refusal| refusal.status);
        }
        let mut reply = Reply::new(header, result, self.agreement.dialect == 0x0311);
        if faults.iter().any(|fault| matches!(fault, Fault::Pending(_))) {
            (reply.flags, reply.async_id) = (reply.flags | ASYNC, header.message_id | 1 << 32);
        } else {
            let exactly = faults.iter().find_map(|fault| if let Fault::Credits(credits) = fault { Some(*credits) } else { None });
            reply.credits = self.window.grant(header.credits, exactly);
        }
        (reply.request.session_id, reply.request.tree_id) = (chain.session_id, chain.tree_id);
        reply.signs = header.flags & SIGNED != 0 || header.command == Command::SessionSetup;
        reply.faults = faults;
        Step::Continue(Some(reply))
    }

    fn hang(&self) {
        while !self.line.gone.load(Ordering::Relaxed) {
            if !self.shared.wait(Duration::from_millis(20)) {
                return;
            }
        }
    }

    fn meeting(&self, header: &Header, message: &[u8], chain: &Chain) -> Vec<Fault> {
        let session = self.sessions.get(&header.session_id);
        let place = match header.command {
            Command::Create => command::create::place(message),
            command => command.file_id_at().and_then(|at| {
                let handle = session?.handles.get(&chain.file_id(message, at).ok()?)?;
                Some((handle.path.clone(), handle.as_of))
            }),
        };
        let (path, as_of) = place.unzip();
        self.shared.faults().meeting(Occasion { command: header.command, path: path.as_deref(), as_of: as_of.unwrap_or(false) })
    }

    fn carry_out(
        &mut self,
        header: &Header,
        message: &[u8],
        chain: &mut Chain,
        sealed: Option<u64>,
        faults: &[Fault],
    ) -> Result<Answer, Refusal> {
        if header.command == Command::Negotiate {
            let dialect = faults.iter().find_map(|fault| if let Fault::Dialect(dialect) = fault { Some(*dialect) } else { None });
            return negotiate(&mut self.agreement, self.shared, message, dialect);
        }
        if header.command == Command::SessionSetup {
            let flags = faults.iter().map(|fault| u16::from(*fault == Fault::Guest) | u16::from(*fault == Fault::Anonymous) << 1);
            let flags = flags.fold(0, |all, flag| all | flag);
            return self.sign_in(header, message, chain, flags);
        }
        let session = self.sessions.get_mut(&header.session_id).filter(|session| !session.ended).ok_or(Status::USER_SESSION_DELETED)?;
        let keys = session.keys.as_ref().ok_or(Status::USER_SESSION_DELETED)?;
        let signed = header.flags & SIGNED != 0;
        let signing = self.agreement.signing.unwrap_or(crypto::Signing::Hmac);
        if sealed.is_none() && !(signed && signing.sign(&keys.signing, message, false) == message[48..64]) {
            self.shared.counters.breach("a request without a right signature");
            return Err(Status::ACCESS_DENIED.into());
        }
        let payload = header.command.payload(message)?;
        if payload.div_ceil(65536) > u32::from(header.charge.max(1)) {
            self.shared.counters.breach("a request that its credits do not pay for");
            return Err(Status::INVALID_PARAMETER.into());
        }
        let mut call = Call { shared: self.shared, agreement: &self.agreement, session, chain };
        command::carry_out(&mut call, header, message)
    }

    fn sign_in(&mut self, header: &Header, message: &[u8], chain: &mut Chain, flags: u16) -> Result<Answer, Refusal> {
        let id = if header.session_id == 0 { self.shared.fresh_id() } else { header.session_id };
        if header.session_id == 0 {
            self.sessions.insert(id, Session::new(&self.agreement));
        }
        let session = self.sessions.get_mut(&id).ok_or(Status::USER_SESSION_DELETED)?;
        chain.session_id = id;
        let result = session.step(&self.agreement, self.shared, message, flags);
        if result.is_err() {
            self.sessions.remove(&id);
        }
        result
    }

    /// Opens a TRANSFORM_HEADER (MS-SMB2 2.2.41).
    fn unseal(&self, frame: &[u8]) -> Option<(Vec<u8>, u64)> {
        let mut fields = Fields::new(frame, 4);
        let (tag, nonce) = (fields.array16().ok()?, fields.array16().ok()?);
        let session = fields.skip(8).ok()?.u64().ok()?;
        let keys = self.sessions.get(&session).filter(|_| self.agreement.encrypts)?.keys.as_ref()?;
        let mut plain = frame.get(52..)?.to_vec();
        let opened = crypto::open(&keys.from_client, std::array::from_fn(|at| nonce[at]), &frame[20..52], &mut plain, tag);
        opened.then_some((plain, session))
    }
}

/// Reads frames as they come, so that what is in flight can be counted.
fn receive(mut stream: TcpStream, frames: &Sender<Vec<u8>>, line: &Line, shared: &Shared) {
    while let Ok(frame) = next_frame(&mut stream) {
        let in_flight = line.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        shared.counters.count(|counts| {
            counts.frames += 1;
            counts.received_bytes += frame.len() as u64;
            counts.most_in_flight = counts.most_in_flight.max(in_flight);
        });
        if frames.send(frame).is_err() {
            break;
        }
    }
    line.gone.store(true, Ordering::Relaxed);
}

fn next_frame(stream: &mut TcpStream) -> Result<Vec<u8>, Short> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).map_err(|_| Short)?;
    let length = u32::from_be_bytes(prefix) as usize;
    if length > LONGEST_FRAME {
        return Err(Short);
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).map_err(|_| Short)?;
    Ok(frame)
}
