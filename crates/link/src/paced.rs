//! A connection that keeps to a pace: what is written goes to the system no faster than that, so nothing of it waits in the system's memory or in the line's, where whoever is more urgent would wait behind it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::pace::Pace;
use crate::round_trip::round_trip;

/// Bytes that lie in the system's memory and were not sent yet: what is written then is written when the line has taken some. A line of 1 Mbit/s takes half a second for them.
const UNSENT: u32 = 64 << 10;

/// How fast may be sent to one other box, over all connections to it.
pub struct Pacer {
    pace: Mutex<Pace>,
    since: Instant,
}

impl Default for Pacer {
    fn default() -> Self {
        Self { pace: Mutex::new(Pace::new(false, Duration::ZERO)), since: Instant::now() }
    }
}

impl Pacer {
    /// Bytes a second at most, and whether to leave the line to others that need it.
    pub fn set(&self, limit: Option<u64>, is_courteous: bool) {
        self.with(|pace, _| pace.set(limit, is_courteous));
    }

    /// Bytes a second that may be sent at the moment; none where nothing holds them back.
    pub fn rate(&self) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
        self.with(|pace, _| pace.rate().map(|rate| rate as u64))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Pace, Duration) -> T) -> T {
        work(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner), self.since.elapsed())
    }
}

impl std::fmt::Debug for Pacer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pacer").field("rate", &self.rate()).finish_non_exhaustive()
    }
}

/// The connection.
pub(crate) struct Paced {
    tcp: TcpStream,
    pacer: Option<Arc<Pacer>>,
    waits: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(crate) fn new(tcp: TcpStream, pacer: Option<Arc<Pacer>>) -> Self {
        if let (Some(pacer), Some(took)) = (&pacer, round_trip(&tcp)) {
            pacer.with(|pace, now| pace.connected(now, took));
            // Where the system does not know it, more waits there.
            let _ = SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT);
        }
        Self { tcp, pacer, waits: None }
    }

    /// Bytes that may be written now.
    fn poll_may(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        let Some(pacer) = &self.pacer else { return Poll::Ready(usize::MAX) };
        loop {
            if let Some(waits) = &mut self.waits {
                ready!(waits.as_mut().poll(context));
                self.waits = None;
            }
            let may = pacer.with(|pace, now| {
                if pace.is_due(now)
                    && let Some(took) = round_trip(&self.tcp)
                {
                    pace.look(now, took);
                }
                pace.may_write(now)
            });
            match may {
                None => return Poll::Ready(usize::MAX),
                Some(Ok(bytes)) => return Poll::Ready(bytes),
                Some(Err(wait)) => self.waits = Some(Box::pin(sleep(wait))),
            }
        }
    }

    fn wrote(&self, done: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Some(pacer), Poll::Ready(Ok(bytes))) = (&self.pacer, &done) {
            pacer.with(|pace, _| pace.wrote(*bytes));
        }
        done
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let most = ready!(self.poll_may(context)).min(bytes.len());
        let done = Pin::new(&mut self.tcp).poll_write(context, &bytes[..most]);
        self.wrote(done)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let most = ready!(self.poll_may(context));
        let done = if parts.iter().map(|part| part.len()).sum::<usize>() <= most {
            Pin::new(&mut self.tcp).poll_write_vectored(context, parts)
        } else {
            let first = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| &part[..part.len().min(most)]);
            Pin::new(&mut self.tcp).poll_write(context, first)
        };
        self.wrote(done)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
