//! An export that is mounted: how one connects to it, and again when the connection broke.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::connection::{Connection, Decode, Pending};
use crate::dial::dial;
use crate::mount::{mount, port_of};
use crate::rpc::{Credential, Procedure};
use crate::types::Handle;
use crate::wire::{self, NFS};
use crate::xdr::{Result, Writer};

/// Where NFS is if nobody says otherwise.
const NFS_PORT: u16 = 2049;

/// Who calls (AUTH_SYS: claimed, not proven).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Further groups; 16 are sent at most.
    pub groups: Vec<u32>,
    /// Name of this machine.
    pub machine: String,
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// For each call; longer only while other answers come in.
    pub timeout: Duration,
    /// For each connection.
    pub dial: Duration,
    /// Port of NFS; none: the port mapper is asked, else 2049.
    pub port: Option<u16>,
    /// Port of MOUNT; none: the port mapper is asked.
    pub mount_port: Option<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), dial: Duration::from_secs(10), port: None, mount_port: None }
    }
}

/// What the server says of the export (FSINFO), made sane.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Bytes that one READ may ask for: 4 KiB to 1 MiB.
    pub max_read: u32,
    /// Bytes that one WRITE may carry: 4 KiB to 1 MiB.
    pub max_write: u32,
    /// Bytes that one listing answer may have: 8 KiB to 1 MiB.
    pub max_list: u32,
    /// Largest file.
    pub max_size: u64,
    /// Hard links are there.
    pub links: bool,
    /// Symbolic links are there.
    pub symlinks: bool,
    /// The server has NFSACL, so POSIX access lists can be had.
    pub access_lists: bool,
}

/// A mounted export. Calls may come from many threads.
#[derive(Debug)]
pub struct Export {
    host: String,
    port: u16,
    credential: Credential,
    options: Options,
    root: Handle,
    facts: Facts,
    current: RwLock<Current>,
    dialling: Mutex<()>,
}

#[derive(Debug, Clone)]
struct Current {
    connection: Arc<Connection>,
    generation: u64,
}

impl Export {
    /// Mounts `path` of `host`.
    ///
    /// # Errors
    /// [`NfsError::Unreachable`], [`NfsError::NoPort`], [`NfsError::Mount`], [`NfsError::Refused`], or what a call may return.
    pub fn connect(host: &str, path: &[u8], identity: &Identity, options: Options) -> Result<Self> {
        let credential = Credential::system(&identity.machine, identity.uid, identity.gid, &identity.groups);
        let port = match options.port {
            Some(port) => port,
            None => port_of(host, (NFS.program, NFS.version), "NFS", &options).unwrap_or(NFS_PORT),
        };
        let mount_port = match options.mount_port {
            Some(port) => port,
            None => port_of(host, (100_005, 3), "MOUNT", &options)?,
        };
        let root = mount(host, mount_port, path, &credential, &options)?;
        let connection = Connection::new(dial(host, port, options.dial)?, options.timeout)?;
        let mut facts = wire::begin_facts(&connection, &credential, &root)?.wait()?;
        facts.access_lists = match wire::begin_access_lists(&connection, &credential, &root)?.wait() {
            Err(error) if error.is_gone() => return Err(error),
            // A list has three entries at least; servers that can't store any answer with none.
            other => other.is_ok_and(|lists| !lists.access.is_empty()),
        };
        let current = RwLock::new(Current { connection: Arc::new(connection), generation: 0 });
        Ok(Self { host: host.to_owned(), port, credential, options, root, facts, current, dialling: Mutex::new(()) })
    }

    /// The root of the export.
    pub fn root(&self) -> &Handle {
        &self.root
    }

    /// What the server said of it.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// How many calls may be in flight now.
    pub fn in_flight(&self) -> usize {
        self.current().connection.most()
    }

    /// Sets how many calls may be in flight, at least 1; further ones wait for room. An answer that came and was not taken yet is not in flight.
    pub fn set_in_flight(&self, most: usize) {
        self.current().connection.allow(most);
    }

    /// How often the connection was made anew.
    pub fn generation(&self) -> u64 {
        self.current().generation
    }

    /// Makes a new connection in place of the one of generation `since`; handles stay valid. Tries once; callers who come together share the attempt.
    ///
    /// # Errors
    /// [`NfsError::Unreachable`], or what the first call returns.
    pub fn reconnect(&self, since: u64) -> Result<()> {
        let _one = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.generation() != since {
            return Ok(());
        }
        let connection = Connection::new(dial(&self.host, self.port, self.options.dial)?, self.options.timeout)?;
        let null = Procedure { number: 0, ..NFS };
        connection.begin(null, &self.credential, 0, |_| {}, &[], |_, _, _| Ok(()))?.wait()?;
        connection.allow(self.in_flight());
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current { connection: Arc::new(connection), generation: since + 1 };
        Ok(())
    }

    pub(crate) fn begin<T>(
        &self,
        procedure: Procedure,
        limit: u32,
        arguments: impl FnOnce(&mut Writer),
        payload: &[u8],
        decode: Decode<T>,
    ) -> Result<Pending<T>> {
        self.current().connection.begin(procedure, &self.credential, limit, arguments, payload, decode)
    }

    pub(crate) fn begin_as<T>(
        &self,
        user: &Identity,
        procedure: Procedure,
        arguments: impl FnOnce(&mut Writer),
        decode: Decode<T>,
    ) -> Result<Pending<T>> {
        let credential = Credential::system(&user.machine, user.uid, user.gid, &user.groups);
        self.current().connection.begin(procedure, &credential, 0, arguments, &[], decode)
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
