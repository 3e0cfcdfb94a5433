//! Opens TCP connections, from a privileged port where this process may: most servers ask for one.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use socket2::{Domain, Socket, Type};

use crate::NfsError;
use crate::xdr::Result;

/// Ports that only root may use and that few services have.
const PRIVILEGED: std::ops::Range<u16> = 665..1023;
/// How many of them are tried.
const TRIES: u16 = 24;

/// Connects within `limit`, trying the host's addresses in turn.
pub(crate) fn dial(host: &str, port: u16, limit: Duration) -> Result<TcpStream> {
    let server = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let failed = |error| NfsError::Unreachable { server: server.clone(), source: Arc::new(error) };
    let until = Instant::now() + limit;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in (host, port).to_socket_addrs().map_err(failed)? {
        match connect(address, until) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn connect(address: SocketAddr, until: Instant) -> io::Result<TcpStream> {
    let clock = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_micros());
    let first = u16::try_from(clock % u32::from(PRIVILEGED.end - PRIVILEGED.start)).unwrap_or(0);
    for n in 0..TRIES {
        let port = PRIVILEGED.start + (first + n * 7) % (PRIVILEGED.end - PRIVILEGED.start);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        match socket.bind(&local(address, port).into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => continue,
            Err(_) => break,
            Ok(()) => {}
        }
        match attempt(&socket, address, until) {
            // That pair of ports is still in use by an earlier connection.
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse) => {}
            other => return other.map(|()| socket.into()),
        }
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    attempt(&socket, address, until).map(|()| socket.into())
}

fn attempt(socket: &Socket, address: SocketAddr, until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    socket.connect_timeout(&address.into(), left)
}

fn local(to: SocketAddr, port: u16) -> SocketAddr {
    match to {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, port).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, port).into(),
    }
}
