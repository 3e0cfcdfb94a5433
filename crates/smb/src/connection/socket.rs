//! The TCP socket and the frames on it (MS-SMB2 2.1: a length, then a message). Owns deadlines of single reads and writes; never looks
//! into messages.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use crate::SmbError;

/// Bytes of the length before each frame.
pub(crate) const PREFIX: usize = 4;
/// No frame is ever longer (MS-SMB2 2.1 allows 16 MiB, less one byte).
pub(crate) const LONGEST: usize = 0xFF_FFFF;

/// Room behind a frame, so that a cipher can put its tag there.
const TAIL: usize = 16;
const MESSAGE: u8 = 0;
/// A NetBIOS keep-alive (RFC 1002 4.3.1): four bytes that mean nothing.
const KEEP_ALIVE: u8 = 0x85;

/// Connects, trying each address of `host`, in at most `limit`. Single writes to the socket take at most `write_limit`.
pub(crate) fn dial(host: &str, port: u16, limit: Duration, write_limit: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + limit;
    let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in resolve(host, port, limit)? {
        let Some(left) = left_until(deadline) else { return Err(ErrorKind::TimedOut.into()) };
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(write_limit))?;
                let alive = TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
                SockRef::from(&stream).set_tcp_keepalive(&alive)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The system's resolver knows no deadline, so it runs in a thread that is left behind if it takes too long.
fn resolve(host: &str, port: u16, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let (answer, answers) = mpsc::channel();
    let host = host.to_owned();
    thread::Builder::new().name("smb-resolver".into()).spawn(move || {
        let _ = answer.send((host.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    })?;
    answers.recv_timeout(limit).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

fn left_until(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

/// A socket whose reads end at a deadline, however slowly the bytes trickle in.
pub(crate) struct Bounded<'a> {
    pub(crate) stream: &'a TcpStream,
    pub(crate) deadline: Instant,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = left_until(self.deadline).ok_or(ErrorKind::TimedOut)?;
        self.stream.set_read_timeout(Some(left))?;
        (&mut &*self.stream).read(buffer)
    }
}

/// Reads one frame of at most `longest` bytes. Its buffer has room for a cipher's tag.
pub(crate) fn read_frame(stream: &mut impl Read, longest: usize) -> Result<Vec<u8>, SmbError> {
    let mut prefix = [0; PREFIX];
    loop {
        stream.read_exact(&mut prefix).map_err(SmbError::from_socket)?;
        match prefix {
            [MESSAGE, ..] => break,
            [KEEP_ALIVE, 0, 0, 0] => {}
            _ => return Err(SmbError::Broken { what: "frame type" }),
        }
    }
    let length = u32::from_be_bytes(prefix) as usize;
    if length > longest {
        return Err(SmbError::Broken { what: "frame longer than agreed" });
    }
    let mut frame = Vec::with_capacity(length + TAIL);
    // Reads into the buffer without clearing it first.
    stream.take(length as u64).read_to_end(&mut frame).map_err(SmbError::from_socket)?;
    if frame.len() < length {
        return Err(SmbError::Lost { source: ErrorKind::UnexpectedEof.into() });
    }
    Ok(frame)
}

/// Fills in the length of `frame`, whose first four bytes are kept for it, and writes it within about twice `limit`.
pub(crate) fn write_frame(mut stream: &TcpStream, frame: &mut [u8], limit: Duration) -> Result<(), SmbError> {
    let length = (frame.len() - PREFIX) as u32;
    debug_assert!(length as usize <= LONGEST, "callers check");
    frame[..PREFIX].copy_from_slice(&length.to_be_bytes());
    let deadline = Instant::now() + limit;
    let mut rest = &*frame;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(SmbError::Lost { source: ErrorKind::WriteZero.into() }),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(SmbError::from_socket(error)),
        }
        if !rest.is_empty() && left_until(deadline).is_none() {
            return Err(SmbError::Timeout);
        }
    }
    Ok(())
}

/// Ends all reads and writes of `stream`, also those of other threads.
pub(crate) fn hang_up(stream: &TcpStream) {
    // Fails only where it is closed already.
    let _ = stream.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_whole_or_not_at_all() {
        let mut bytes: &[u8] = &[0x85, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 2, 9];
        assert_eq!(read_frame(&mut bytes, 3).unwrap(), [1, 2, 3]);
        assert!(matches!(read_frame(&mut bytes, 3), Err(SmbError::Lost { .. })));
        assert!(matches!(read_frame(&mut [0, 0, 0, 4].as_slice(), 3), Err(SmbError::Broken { .. })));
        assert!(matches!(read_frame(&mut [1, 0, 0, 0].as_slice(), 3), Err(SmbError::Broken { .. })));
    }

    #[test]
    fn a_trickle_does_not_move_the_deadline() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (stop, stopped) = mpsc::channel::<()>();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&[0, 0, 100, 0]).unwrap();
            while stopped.recv_timeout(Duration::from_millis(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = stream.write_all(&[0]);
            }
        });
        let stream = dial("127.0.0.1", port, Duration::from_secs(5), Duration::from_secs(5)).unwrap();
        let mut bounded = Bounded { stream: &stream, deadline: Instant::now() + Duration::from_millis(200) };
        assert!(matches!(read_frame(&mut bounded, 1 << 20), Err(SmbError::Timeout)));
        drop(stop);
        server.join().unwrap();
    }
}
