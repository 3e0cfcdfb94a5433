//! A share in use: connection, session and tree in one, made again on demand. Owns reconnecting; never retries by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::{fmt, io};

use crate::connection::{Exchange, Request};
use crate::session::{Server, Session};
use crate::tree::Tree;
use crate::wire::{Command, echo};
use crate::{Credentials, Facts, Options, SmbError};

/// A share in use. Clones are the same link.
#[derive(Clone)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    current: RwLock<Arc<Tree>>,
    /// Held while a new connection is made; how the last attempt failed, if it did.
    attempt: Mutex<Option<SmbError>>,
    /// Attempts that have ended.
    attempts: AtomicU64,
}

struct Target {
    server: Server,
    share: String,
    credentials: Credentials,
    options: Options,
}

impl Target {
    /// `previous`: the session that the new one replaces, or zero.
    fn open(&self, generation: u64, previous: u64) -> Result<Tree, SmbError> {
        let session = Session::open(&self.server, &self.credentials, &self.options, previous);
        let tree = session.and_then(|session| Tree::open(session, &self.server, &self.share, generation));
        let server = || format!("{}:{}", self.server.host, self.server.port);
        tree.map_err(|error| match error {
            SmbError::Lost { source } => SmbError::Unreachable { server: server(), source },
            SmbError::Timeout => SmbError::Unreachable { server: server(), source: io::ErrorKind::TimedOut.into() },
            error => error,
        })
    }
}

impl Link {
    /// Connects, signs in, and connects to the share. One attempt.
    pub(crate) fn connect(host: &str, port: u16, share: &str, credentials: Credentials, options: Options) -> Result<Self, SmbError> {
        let server = Server { host: host.to_owned(), port };
        let target = Target { server, share: share.to_owned(), credentials, options };
        let current = RwLock::new(Arc::new(target.open(1, 0)?));
        Ok(Self { shared: Arc::new(Shared { target, current, attempt: Mutex::new(None), attempts: AtomicU64::new(0) }) })
    }

    /// Sends one request or a compound chain: the second and later are related to the first, so they use its file (FileId all ones).
    /// Blocks for credits, at most until the deadline.
    pub(crate) fn send(&self, chain: Vec<Request>) -> Result<Exchange, SmbError> {
        self.tree().send(chain)
    }

    /// The same, but only on the connection of that generation: file ids of another mean nothing, or another file. `Lost` otherwise.
    pub(crate) fn send_in(&self, generation: u64, chain: Vec<Request>) -> Result<Exchange, SmbError> {
        let tree = self.tree();
        if tree.generation != generation {
            return Err(SmbError::Lost { source: io::Error::new(io::ErrorKind::NotConnected, "opened on an earlier connection") });
        }
        tree.send(chain)
    }

    /// Asks the server whether it is there.
    pub(crate) fn echo(&self) -> Result<(), SmbError> {
        self.send(vec![Request { command: Command::Echo, body: echo::request(), payload: 0 }])?.wait().map(drop)
    }

    pub(crate) fn facts(&self) -> Facts {
        self.tree().facts.clone()
    }

    /// Counts the connections made; what was opened under an earlier one is stale.
    pub(crate) fn generation(&self) -> u64 {
        self.tree().generation
    }

    /// Whether the connection of that generation can't be used any more.
    pub(crate) fn is_lost(&self, generation: u64) -> bool {
        let tree = self.tree();
        tree.generation != generation || tree.connection.is_over()
    }

    /// A new connection, session and tree if `since` is still the generation; concurrent callers share one attempt. One attempt only.
    pub(crate) fn reconnect(&self, since: u64) -> Result<(), SmbError> {
        let shared = &*self.shared;
        let seen = shared.attempts.load(Ordering::SeqCst);
        let mut last = shared.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        let tree = self.tree();
        if tree.generation != since {
            return Ok(());
        }
        // Somebody tried while this caller waited for the lock.
        if let Some(failure) = last.as_ref().filter(|_| shared.attempts.load(Ordering::SeqCst) != seen) {
            return Err(failure.replica());
        }
        tree.connection.end(SmbError::Lost { source: io::Error::new(io::ErrorKind::ConnectionAborted, "replaced by a new connection") });
        let made = shared.target.open(since + 1, tree.session_id);
        shared.attempts.fetch_add(1, Ordering::SeqCst);
        match made {
            Ok(tree) => {
                *shared.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tree);
                *last = None;
                Ok(())
            }
            Err(failure) => {
                *last = Some(failure.replica());
                Err(failure)
            }
        }
    }

    fn tree(&self) -> Arc<Tree> {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { server, share, .. } = &self.shared.target;
        f.debug_struct("Link").field("server", server).field("share", share).field("generation", &self.generation()).finish()
    }
}
