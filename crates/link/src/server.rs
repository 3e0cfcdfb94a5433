//! The receiver's end: connections with a key each, capped in number, each step in its time.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use keepwell_wire::{ALPN, KeyName, pairing, recover, shorten};
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::{Identity, pin};

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At a time.
    pub connections: usize,
    /// Requests under way on one of them.
    pub requests: u32,
    /// For the handshake.
    pub handshake: Duration,
    /// Without a sign of life.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, requests: 16, handshake: Duration::from_secs(20), silence: Duration::from_secs(60) }
    }
}

/// Who is at the other end: a key. Whether it is anybody's is the caller's to know.
#[derive(Clone, Copy, Debug)]
pub struct Stranger {
    /// Of its key, which it has shown to have.
    pub name: KeyName,
    /// Of this connection, for pairing.
    pub pair: [u8; 32],
    /// Of this connection, for a box that takes another's place.
    pub recover: [u8; 32],
    /// Of this connection, for an order of somebody with papers.
    pub shorten: [u8; 32],
}

/// Of a connection's window: what may be under way before somebody takes it.
pub(crate) const WINDOW: u32 = 8 << 20;
/// Of one frame. What a cut leaves of one is lost, and what is urgent waits for its end: no longer than a slow line takes a moment for.
pub(crate) const FRAME: u32 = 32 << 10;

/// Taken from the system at a time: TLS alone asks for 4 KiB.
pub(crate) const READ: usize = 64 << 10;

/// Answers until `told` is there.
pub async fn serve<A, F>(
    listener: TcpListener,
    identity: &Identity,
    limits: Limits,
    answer: A,
    told: impl Future<Output = ()>,
) -> io::Result<()>
where
    A: Fn(Stranger, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let config = pin::server(identity).map_err(io::Error::other)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let places = Arc::new(Semaphore::new(limits.connections));
    tokio::pin!(told);
    loop {
        let accepted = tokio::select! {
            () = &mut told => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Who is one too many is not even told: the connection closes.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        tokio::spawn(async move {
            if let Err(error) = connection(stream, acceptor, limits, answer).await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
}

async fn connection<A, F>(stream: TcpStream, acceptor: TlsAcceptor, limits: Limits, answer: A) -> io::Result<()>
where
    A: Fn(Stranger, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    stream.set_nodelay(true)?;
    let stream = timeout(limits.handshake, acceptor.accept(BufReader::with_capacity(READ, stream))).await??;
    let stranger = stranger(&stream)?;
    let service = service_fn(move |request| {
        let answered = answer(stranger, request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new()).max_concurrent_streams(limits.requests).max_frame_size(FRAME);
    http.initial_stream_window_size(WINDOW).initial_connection_window_size(2 * WINDOW).max_header_list_size(16 << 10);
    http.keep_alive_interval(limits.silence / 3).keep_alive_timeout(limits.silence);
    http.serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
}

fn stranger(stream: &TlsStream<BufReader<TcpStream>>) -> io::Result<Stranger> {
    let (_, connection) = stream.get_ref();
    if connection.alpn_protocol() != Some(ALPN) {
        return Err(io::Error::other("another protocol was asked for"));
    }
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    let name = certificate.and_then(pin::name_of).ok_or_else(|| io::Error::other("no key"))?;
    let export = |label| connection.export_keying_material([0; 32], label, None).map_err(io::Error::other);
    Ok(Stranger { name, pair: export(pairing::EXPORTER)?, recover: export(recover::EXPORTER)?, shorten: export(shorten::EXPORTER)? })
}
