//! One TCP connection: whoever calls sends, one thread receives and hands each reply to the call with its id.
//!
//! A connection on which a call had to wait too long is closed, and so is one that sent nonsense; all calls on it end then. Never calls again by itself.

use std::collections::HashMap;
use std::io::{self, BufReader, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use crate::NfsError;
use crate::record;
use crate::rpc::{self, Credential, Procedure};
use crate::xdr::{Reader, Result, Writer};

/// Calls in flight at most, unless somebody says less.
const IN_FLIGHT: usize = 256;
/// Bytes received at once.
const BUFFER: usize = 64 << 10;
/// How often the timeout may pass while the server is busy with other answers.
const PATIENCE: u32 = 8;

/// Closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: TcpStream,
    sender: Mutex<()>,
    calls: Mutex<Calls>,
    room: Condvar,
    /// Calls in flight at most; further ones wait for room.
    most: AtomicUsize,
    timeout: Duration,
    opened: Instant,
    /// When bytes last came, in milliseconds since `opened`.
    heard: AtomicU64,
}

#[derive(Debug)]
struct Calls {
    waiting: HashMap<u32, Arc<Slot>>,
    next: u32,
    /// Threads that wait for room.
    queue: usize,
    /// Why there will be no more answers.
    dead: Option<NfsError>,
}

/// Where a call waits for its reply.
#[derive(Debug, Default)]
struct Slot {
    reply: Mutex<Reply>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Reply {
    /// With when it came.
    came: Option<(Result<Bytes>, Instant)>,
    /// Somebody waits for it. Waking nobody costs a system call too.
    awaited: bool,
}

/// How long the server took for a call, the line included; not how long the answer lay here until it was taken.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Number of the procedure (RFC 1813 section 3.3).
    pub procedure: u32,
    /// Bytes of data that were asked for or sent; 0 for other calls than READ and WRITE.
    pub bytes: u32,
    /// Calls in flight when it was sent, itself included.
    pub beside: usize,
    /// From sending to the answer.
    pub took: Duration,
}

/// A call that was sent. Dropped, its answer is thrown away.
pub struct Pending<T> {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    xid: u32,
    sent: Instant,
    beside: usize,
    procedure: Procedure,
    /// What the answer must not exceed.
    limit: u32,
    decode: Decode<T>,
}

/// Reads an answer's results; the number is the call's limit.
pub(crate) type Decode<T> = fn(&mut Reader<'_>, Procedure, u32) -> Result<T>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// Takes over a connected socket. Each call must be answered in about `timeout`.
    pub(crate) fn new(socket: TcpStream, timeout: Duration) -> Result<Self> {
        let lost = |error| NfsError::Lost(Arc::new(error));
        socket.set_nodelay(true).map_err(lost)?;
        socket.set_write_timeout(Some(timeout)).map_err(lost)?;
        let clock = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_nanos());
        let shared = Arc::new(Shared {
            socket,
            sender: Mutex::new(()),
            calls: Mutex::new(Calls { waiting: HashMap::new(), next: clock, queue: 0, dead: None }),
            room: Condvar::new(),
            most: AtomicUsize::new(IN_FLIGHT),
            timeout,
            opened: Instant::now(),
            heard: AtomicU64::new(0),
        });
        let receiver = Arc::clone(&shared);
        std::thread::Builder::new().name("nfs-receive".into()).spawn(move || receiver.receive()).map_err(lost)?;
        Ok(Self(shared))
    }

    /// Sends a call; `payload` ends its arguments as opaque bytes.
    pub(crate) fn begin<T>(
        &self,
        procedure: Procedure,
        credential: &Credential,
        limit: u32,
        arguments: impl FnOnce(&mut Writer),
        payload: &[u8],
        decode: Decode<T>,
    ) -> Result<Pending<T>> {
        let slot = Arc::new(Slot::default());
        let (xid, beside) = self.0.register(&slot)?;
        let sent = Instant::now();
        let mut head = rpc::call(xid, procedure, credential);
        arguments(&mut head);
        if !payload.is_empty() {
            head.length(payload.len());
        }
        let head = head.into_bytes();
        let pad = &[0; 3][..payload.len().next_multiple_of(4) - payload.len()];
        let mark = record::mark(head.len() + payload.len() + pad.len());
        let parts = &mut [IoSlice::new(&mark), IoSlice::new(&head), IoSlice::new(payload), IoSlice::new(pad)];
        if let Err(error) = self.0.send(parts) {
            return Err(self.0.kill(NfsError::Lost(Arc::new(error))));
        }
        Ok(Pending { shared: Arc::clone(&self.0), slot, xid, sent, beside, procedure, limit, decode })
    }

    /// Calls that may be in flight.
    pub(crate) fn most(&self) -> usize {
        self.0.most.load(Ordering::Relaxed)
    }

    /// Lets that many calls be in flight, at least one.
    pub(crate) fn allow(&self, most: usize) {
        let calls = lock(&self.0.calls);
        self.0.most.store(most.max(1), Ordering::Relaxed);
        drop(calls);
        self.0.room.notify_all();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.kill(NfsError::Lost(Arc::new(io::Error::new(io::ErrorKind::NotConnected, "closed by this side"))));
    }
}

impl Shared {
    /// The call's id, and how many are in flight with it.
    fn register(&self, slot: &Arc<Slot>) -> Result<(u32, usize)> {
        let since = Instant::now();
        let mut calls = lock(&self.calls);
        loop {
            if let Some(error) = &calls.dead {
                return Err(error.clone());
            }
            if calls.waiting.len() < self.most.load(Ordering::Relaxed) {
                break;
            }
            let left = self.deadline(since).saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(calls);
                return Err(self.kill(NfsError::Timeout));
            }
            calls.queue += 1;
            calls = self.room.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
            calls.queue -= 1;
        }
        while calls.waiting.contains_key(&calls.next) {
            calls.next = calls.next.wrapping_add(1);
        }
        let xid = calls.next;
        calls.next = xid.wrapping_add(1);
        calls.waiting.insert(xid, Arc::clone(slot));
        Ok((xid, calls.waiting.len()))
    }

    fn send(&self, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let _sender = lock(&self.sender);
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match (&self.socket).write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&self) {
        let mut stream = BufReader::with_capacity(BUFFER, Heard(self));
        let spare = record::Spare::default();
        let why = loop {
            match record::read(&mut stream, &spare) {
                Ok(Some(reply)) => self.deliver(reply),
                Ok(None) => break io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it"),
                Err(error) => break error,
            }
        };
        self.kill(NfsError::Lost(Arc::new(why)));
    }

    /// What nobody waits for is thrown away.
    fn deliver(&self, reply: Bytes) {
        if let Some(slot) = rpc::xid(&reply).and_then(|xid| self.leave(xid)) {
            slot.fill(Ok(reply));
        }
    }

    /// Takes a call out of those in flight, if it is there, and lets another go on.
    fn leave(&self, xid: u32) -> Option<Arc<Slot>> {
        let mut calls = lock(&self.calls);
        let slot = calls.waiting.remove(&xid);
        if slot.is_some() && calls.queue > 0 {
            self.room.notify_one();
        }
        slot
    }

    /// Ends the connection and all calls on it. Returns why it ended first.
    fn kill(&self, why: NfsError) -> NfsError {
        let mut calls = lock(&self.calls);
        let why = calls.dead.get_or_insert(why).clone();
        let waiting = std::mem::take(&mut calls.waiting);
        drop(calls);
        // Wakes the receiver too. It fails only where there is no connection any more.
        let _ = self.socket.shutdown(Shutdown::Both);
        for slot in waiting.into_values() {
            slot.fill(Err(why.clone()));
        }
        self.room.notify_all();
        why
    }

    /// Until when a call sent at `since` may wait: as long as other answers come in, longer.
    fn deadline(&self, since: Instant) -> Instant {
        let heard = self.opened + Duration::from_millis(self.heard.load(Ordering::Relaxed));
        (since.max(heard) + self.timeout).min(since + self.timeout * PATIENCE)
    }
}

impl Slot {
    /// What came first stays.
    fn fill(&self, answer: Result<Bytes>) {
        let mut reply = lock(&self.reply);
        reply.came.get_or_insert_with(|| (answer, Instant::now()));
        if reply.awaited {
            self.ready.notify_all();
        }
    }
}

/// The socket's incoming side, which notes when something came.
struct Heard<'a>(&'a Shared);

impl Read for Heard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.0.socket).read(buffer)?;
        let now = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.heard.store(now, Ordering::Relaxed);
        Ok(read)
    }
}

impl<T> Pending<T> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`NfsError::Status`] if the server says no; else the connection is gone or the server breaks the protocol.
    pub fn wait(self) -> Result<T> {
        self.wait_timed(|_| {})
    }

    /// Likewise; `told` is told how long a successful call took.
    ///
    /// # Errors
    /// Likewise.
    pub fn wait_timed(self, told: impl FnOnce(Timing)) -> Result<T> {
        let (reply, came) = self.reply();
        let reply = reply?;
        let answer = (self.decode)(&mut rpc::results(&reply, self.procedure)?, self.procedure, self.limit)?;
        let took = came.saturating_duration_since(self.sent);
        told(Timing { procedure: self.procedure.number, bytes: self.limit, beside: self.beside, took });
        Ok(answer)
    }

    /// Whether [`Pending::wait`] will return at once.
    pub fn is_ready(&self) -> bool {
        lock(&self.slot.reply).came.is_some()
    }

    fn reply(&self) -> (Result<Bytes>, Instant) {
        let mut reply = lock(&self.slot.reply);
        loop {
            if let Some(came) = reply.came.take() {
                return came;
            }
            let left = self.shared.deadline(self.sent).saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(reply);
                return (Err(self.shared.kill(NfsError::Timeout)), Instant::now());
            }
            reply.awaited = true;
            reply = self.slot.ready.wait_timeout(reply, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.shared.leave(self.xid);
    }
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("procedure", &self.procedure.name).finish_non_exhaustive()
    }
}
