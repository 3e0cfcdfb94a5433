//! TLS connections from the practice's network: capped in number and by address, each step of theirs in its time. Knows nothing of what is asked on them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use keepwell_api::Watchdog;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::reckoning::Reckoning;

/// Of an answer that somebody reads slowly, so much is taken in the time that an answer may stand still: who takes less holds places that others need.
const FLOOR: usize = 256 << 10;

/// Limits of connections. The defaults are what a practice's box has.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At a time.
    pub connections: usize,
    /// At a time from one address; of IPv6, from one network of 64 bits.
    pub of_one_address: usize,
    /// For the handshake.
    pub handshake: Duration,
    /// For the head of a request, counted from the end of the one before.
    pub head: Duration,
    /// Without an answer, or [`FLOOR`] bytes of it, being taken.
    pub stalled: Duration,
    /// For requests that run when the program is told to end.
    pub end: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self { connections: 512, of_one_address: 32, handshake: s(10), head: s(20), stalled: s(60), end: s(10) }
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Which of the box's addresses was asked.
    pub local: SocketAddr,
    /// Who asks.
    pub peer: SocketAddr,
}

/// Answers until the program is told to end (SIGTERM, SIGINT). Tells the service manager when it is ready, and then that it goes on.
pub async fn serve(
    listener: StdListener,
    authority: Arc<Authority>,
    routes: Router,
    limits: Limits,
    clock: Arc<Reckoning>,
) -> io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "the service manager could not be told of readiness");
    }
    let told = async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    };
    serve_until(listener, authority, routes, (limits, clock), told).await
}

/// The same until `told` is there.
pub async fn serve_until(
    listener: StdListener,
    authority: Arc<Authority>,
    routes: Router,
    (limits, clock): (Limits, Arc<Reckoning>),
    told: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let (places, running, mut watchdog) = (Places::default(), GracefulShutdown::new(), Watchdog::new(Arc::new(|| true)));
    tokio::pin!(told);
    loop {
        let accepted = tokio::select! {
            () = &mut told => break,
            () = watchdog.due() => {
                watchdog.prove();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, ends) = match accepted.and_then(|(stream, peer)| Ok((Ends { local: stream.local_addr()?, peer }, stream))) {
            Ok((ends, stream)) => (stream, ends),
            // Of this one connection, or too many open files: a moment later there may be some again.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Who has too many is not even told: the connection closes.
        let Some(place) = places.take(ends.peer.ip(), &limits) else { continue };
        let acceptor = TlsAcceptor::from(authority.config(ends.local.ip(), clock.now()));
        let routes = routes.clone().layer(Extension(ends));
        let watcher = running.watcher();
        tokio::spawn(async move {
            if let Err(error) = answer(stream, acceptor, routes, limits, watcher).await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    // Streams of live updates have no end of their own.
    let _ = timeout(limits.end, running.shutdown()).await;
    Ok(())
}

async fn answer(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    routes: Router,
    limits: Limits,
    watcher: hyper_util::server::graceful::Watcher,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = timeout(limits.handshake, acceptor.accept(stream)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let stream = Paced { stream, limit: limits.stalled, stalled: Box::pin(sleep(limits.stalled)), waiting: false, taken: 0 };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(64 << 10).max_headers(64);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    watcher.watch(connection).await.map_err(io::Error::other)
}

/// How many connections there are, and of whom.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<(usize, HashMap<IpAddr, usize>)>>);

/// A connection's place, until it is dropped.
struct Place(Places, IpAddr);

impl Places {
    fn take(&self, peer: IpAddr, limits: &Limits) -> Option<Place> {
        let whose = network(peer);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *taken;
        if *all >= limits.connections || by_address.get(&whose).is_some_and(|of_one| *of_one >= limits.of_one_address) {
            return None;
        }
        *all += 1;
        *by_address.entry(whose).or_default() += 1;
        Some(Place(self.clone(), whose))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *taken;
        *all -= 1;
        if let Some(of_one) = by_address.get_mut(&self.1) {
            *of_one -= 1;
            if *of_one == 0 {
                by_address.remove(&self.1);
            }
        }
    }
}

/// One computer has as many IPv6 addresses of its network as it likes.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
        v4 => v4,
    }
}

/// A connection on which somebody has to take what is sent.
struct Paced<S> {
    stream: S,
    limit: Duration,
    stalled: Pin<Box<Sleep>>,
    waiting: bool,
    /// Since somebody began to keep it waiting.
    taken: usize,
}

impl<S> Paced<S> {
    /// `taken`: bytes, or all that there was.
    fn paced<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>, taken: impl FnOnce(&T) -> usize) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = done {
            self.taken = done.as_ref().map_or(0, taken).saturating_add(self.taken);
            self.waiting = self.waiting && self.taken < FLOOR;
            return Poll::Ready(done);
        }
        if !self.waiting {
            (self.waiting, self.taken) = (true, 0);
            self.stalled.as_mut().reset(Instant::now() + self.limit);
        }
        self.stalled.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "nobody takes the answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.paced(cx, done, |bytes| *bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.paced(cx, done, |()| FLOOR)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.paced(cx, done, |()| FLOOR)
    }
}
