//! How long packets of a connection take there and back, as the system measures it (tcp(7), `TCP_INFO`). Owns that one system call.

use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::Duration;

/// None where the system does not say.
#[expect(unsafe_code, reason = "getsockopt(TCP_INFO) has no safe wrapper among the crates of this project")]
pub(crate) fn round_trip(connection: &impl AsFd) -> Option<Duration> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
    // SAFETY: the descriptor is open as long as it is borrowed; the system writes at most `length` bytes to where there is room for as many, and says how many it wrote.
    let failed = unsafe {
        libc::getsockopt(connection.as_fd().as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut length)
    };
    // SAFETY: a structure of numbers, for which zeros, as there were before, are values as good as others.
    let info = unsafe { info.assume_init() };
    (failed == 0 && info.tcpi_rtt > 0).then(|| Duration::from_micros(info.tcpi_rtt.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn a_connection_has_a_time_and_nothing_else_has() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(round_trip(&stream).is_some_and(|took| took < Duration::from_secs(60)));
        assert_eq!(round_trip(&UdpSocket::bind("127.0.0.1:0").unwrap()), None);
    }
}
