//! Owns the listening socket and the threads of the connections. Never listens but on the loopback.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;

use crate::{
    connection::Connection,
    counters::{Counters, Counts},
    crypto::Signing,
    faults::Faults,
    tree::Tree,
};

/// What the server says that it can.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The dialects it speaks, as numbers of MS-SMB2 2.2.3: 0x0210, 0x0300, 0x0302, 0x0311. None: it knows SMB1 only.
    pub dialects: Vec<u16>,
    /// The name of its share.
    pub share: String,
    /// The signing algorithms it has in 3.1.1; the client's first one of these is taken.
    pub signing: Vec<Signing>,
    /// Whether it has AES-128-GCM (3.1.1 only).
    pub encrypts: bool,
    /// Whether it says that signing is needed.
    pub requires_signing: bool,
    /// Whether its first word is a SPNEGO token.
    pub spnego: bool,
    /// MaxReadSize.
    pub max_read: u32,
    /// MaxWriteSize.
    pub max_write: u32,
    /// MaxTransactSize.
    pub max_transact: u32,
    /// The most credits a client may hold.
    pub credits: u16,
    /// MaximalAccess of the share and of all that is in it; requests beyond are denied.
    pub access: u32,
    /// Whether the account may read and write SACLs.
    pub security_privilege: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            dialects: vec![0x0210, 0x0300, 0x0302, 0x0311],
            share: "share".into(),
            signing: vec![Signing::Gmac, Signing::Cmac, Signing::Hmac],
            encrypts: false,
            requires_signing: true,
            spnego: true,
            max_read: 1 << 20,
            max_write: 1 << 20,
            max_transact: 1 << 20,
            credits: 512,
            access: 0x001F_01FF,
            security_privilege: true,
        }
    }
}

/// A running server; dropped, it stops.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    port: u16,
    listening: Option<JoinHandle<()>>,
}

/// What all connections see.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) counters: Counters,
    tree: Mutex<Tree>,
    faults: Mutex<Faults>,
    streams: Mutex<HashMap<u64, TcpStream>>,
    stopped: Mutex<bool>,
    stopping: Condvar,
    ids: AtomicU64,
}

impl Server {
    /// Serves a tree on a free port of the loopback.
    pub fn start(tree: Tree, faults: Faults) -> io::Result<Self> {
        Self::start_with(Options::default(), tree, faults)
    }

    /// The same with other abilities, or on a port that is known.
    pub fn start_with(options: Options, tree: Tree, faults: Faults) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            options,
            counters: Counters::default(),
            tree: Mutex::new(tree),
            faults: Mutex::new(faults),
            streams: Mutex::default(),
            stopped: Mutex::new(false),
            stopping: Condvar::new(),
            ids: AtomicU64::new(0x1000),
        });
        let serving = Arc::clone(&shared);
        let listening = thread::Builder::new().name("smb-server".into()).spawn(move || listen(&listener, &serving))?;
        Ok(Self { shared, port, listening: Some(listening) })
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The tree as it is now. Requests wait while it is held.
    pub fn tree(&self) -> MutexGuard<'_, Tree> {
        self.shared.tree()
    }

    /// The faults, to be changed while it runs.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults()
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.now()
    }

    /// Cuts all connections; new ones are served.
    pub fn cut(&self) {
        locked(&self.shared.streams).values().for_each(hang_up);
    }

    /// Stops listening and cuts all connections; gives the tree as it is then.
    pub fn stop(mut self) -> Tree {
        self.end();
        self.shared.tree().clone()
    }

    fn end(&mut self) {
        if let Some(listening) = self.listening.take() {
            *locked(&self.shared.stopped) = true;
            self.shared.stopping.notify_all();
            // Wakes the listener, which then sees that it is over.
            drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
            self.cut();
            // A listener that panicked has nothing left to end.
            drop(listening.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        locked(&self.tree)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        locked(&self.faults)
    }

    /// A number that no session, tree connect or handle had before.
    pub(crate) fn fresh_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits; false when the server stops.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let stopped = locked(&self.stopped);
        let (stopped, _) = self.stopping.wait_timeout_while(stopped, time, |stopped| !*stopped).unwrap_or_else(PoisonError::into_inner);
        !*stopped
    }

    fn is_stopped(&self) -> bool {
        *locked(&self.stopped)
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut serving: Vec<JoinHandle<()>> = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if shared.is_stopped() {
            break;
        }
        let (id, shared) = (shared.fresh_id(), Arc::clone(shared));
        let Ok(copy) = stream.try_clone() else { continue };
        locked(&shared.streams).insert(id, copy);
        shared.counters.count(|counts| counts.connections += 1);
        serving.retain(|thread| !thread.is_finished());
        serving.push(thread::spawn(move || {
            Connection::serve(&shared, stream);
            if let Some(stream) = locked(&shared.streams).remove(&id) {
                hang_up(&stream);
            }
        }));
    }
    locked(&shared.streams).values().for_each(hang_up);
    serving.into_iter().for_each(|thread| drop(thread.join()));
}

fn hang_up(stream: &TcpStream) {
    // It may be gone already.
    drop(stream.shutdown(Shutdown::Both));
}

/// A test that panicked while it held a lock must not keep the server from ending.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time as 100 ns since 1601.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos() / 100).unwrap_or(0) + 116_444_736_000_000_000
}
