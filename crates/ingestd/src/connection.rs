//! The connection of this process's one job: where it is, and who is at its other end, as the kernel says.

use std::fs::File;
use std::io::{self, Error, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::stdio::{dup2_stdin, stdin};

use crate::IngestdError;

/// Keeps the credential in this process: no core dump, no tracing by others. What the system refuses is told, and no reason not to back up.
pub fn seclude() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let done = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .and_then(|()| rustix::process::setrlimit(Resource::Core, none));
    if let Err(error) = done {
        tracing::warn!(%error, "the system does not let ingestd switch off its core dumps: a crash may leave a share's password on the state disk");
    }
}

/// The service manager's first socket, or standard input, which is then nobody's.
///
/// # Errors
/// [`IngestdError::NoConnection`] if it is no connection of a Unix socket.
pub fn take() -> Result<UnixStream, IngestdError> {
    let handed = listenfd::ListenFd::from_env().take_custom(
        0,
        AddressFamily::UNIX.as_raw().into(),
        SocketType::STREAM.as_raw().cast_signed(),
        "connection",
    );
    if let Some(stream) = handed.map_err(IngestdError::NoConnection)? {
        return Ok(stream);
    }
    take_stdin().map_err(IngestdError::NoConnection)
}

fn take_stdin() -> io::Result<UnixStream> {
    let socket: BorrowedFd<'_> = stdin();
    let is_ours = sockopt::socket_domain(socket)? == AddressFamily::UNIX && sockopt::socket_type(socket)? == SocketType::STREAM;
    if !is_ours {
        return Err(Error::new(ErrorKind::InvalidInput, "it is another kind of socket"));
    }
    let stream = UnixStream::from(socket.try_clone_to_owned()?);
    // Else the connection would not end before the process does.
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(stream)
}

/// Whether user `wanted` is at the other end (`SO_PEERCRED`, unix(7)).
///
/// # Errors
/// [`IngestdError::NotYou`] if it is somebody else, be it root.
pub fn check(stream: &impl AsFd, wanted: u32) -> Result<(), IngestdError> {
    let peer = sockopt::socket_peercred(stream).map_err(|error| IngestdError::system("asking who called")(error.into()))?;
    let uid = peer.uid.as_raw();
    if uid == wanted { Ok(()) } else { Err(IngestdError::NotYou { uid, wanted }) }
}

/// This process's user, who may call unless another one is named.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Ends the job when the process is told to end (SIGTERM, SIGINT), as if the caller had: what was begun is removed.
///
/// # Errors
/// [`IngestdError::System`] if signals can't be waited for.
pub fn end_with_signals(stream: &UnixStream) -> Result<(), IngestdError> {
    let failed = IngestdError::system("waiting for signals");
    let watch = || -> io::Result<()> {
        let stream = stream.try_clone()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(crate::accept::told_to_end());
            // It may have ended already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        })?;
        Ok(())
    };
    watch().map_err(failed)
}
