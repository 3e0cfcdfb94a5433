//! The source's end: calls one receiver, whose key it knows.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use keepwell_wire::pairing::Between;
use keepwell_wire::{ALPN, KeyName, MAX_OBJECT, pairing, recover, shorten};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::outgoing::{Handed, Outgoing};
use crate::paced::Paced;
use crate::server::{FRAME, READ, WINDOW};
use crate::{Identity, Pacer, pin};

/// Of a body that lies here, after it was handed over and before the line takes it.
const BUFFER: usize = 256 << 10;
/// Longest answer: an object, and what is around it.
const ANSWER_MAX: usize = MAX_OBJECT as usize + (64 << 10);

/// Why the other box was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No way there.
    #[error("{address} can't be reached")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody answers there, and has another key.
    #[error("who answers at {address} is not the box that was paired: its key is another one")]
    OtherKey {
        /// Where it should be.
        address: String,
    },
    /// The handshake failed otherwise: another protocol, or this box is not wanted.
    #[error("{address} speaks no protocol that this box speaks, or ended the connection")]
    Handshake {
        /// Where it should be.
        address: String,
        /// How.
        #[source]
        source: io::Error,
    },
    /// The line was cut, or the other end fell silent.
    #[error("the connection was cut")]
    Cut(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answered {
    /// How it went.
    pub status: StatusCode,
    /// What is said about it.
    pub headers: HeaderMap,
    /// What was asked for.
    pub body: Bytes,
}

/// A connection to a receiver. Requests may be under way side by side.
pub struct Caller {
    http: SendRequest<Outgoing>,
    driver: JoinHandle<()>,
    pair: Between,
    recover: Between,
    shorten: Between,
    silence: Duration,
}

impl Caller {
    /// Connects to the box with this key. Without an answer or a sign of life for `silence`, a request is given up.
    pub async fn connect(address: &str, identity: &Identity, receiver: KeyName, silence: Duration) -> Result<Self, LinkError> {
        Self::connect_at(address, identity, receiver, silence, None).await
    }

    /// The same, and sends at a pace.
    pub async fn connect_paced(
        address: &str,
        identity: &Identity,
        receiver: KeyName,
        silence: Duration,
        pacer: Arc<Pacer>,
    ) -> Result<Self, LinkError> {
        Self::connect_at(address, identity, receiver, silence, Some(pacer)).await
    }

    async fn connect_at(
        address: &str,
        identity: &Identity,
        receiver: KeyName,
        silence: Duration,
        pacer: Option<Arc<Pacer>>,
    ) -> Result<Self, LinkError> {
        let unreachable = |source| LinkError::Unreachable { address: address.to_owned(), source };
        let handshake = |source| LinkError::Handshake { address: address.to_owned(), source };
        let tcp = timeout(silence, TcpStream::connect(address)).await.map_err(|late| unreachable(late.into()))?.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let config = pin::client(identity, receiver).map_err(|error| handshake(io::Error::other(error)))?;
        // A name is needed and sent nowhere.
        let nobody = ServerName::try_from("keepwell.invalid").map_err(|error| handshake(io::Error::other(error)))?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(nobody, BufReader::with_capacity(READ, Paced::new(tcp, pacer)));
        let tls =
            timeout(silence, connecting).await.map_err(|late| handshake(late.into()))?.map_err(|error| match is_other_key(&error) {
                true => LinkError::OtherKey { address: address.to_owned() },
                false => handshake(error),
            })?;
        let (_, connection) = tls.get_ref();
        if connection.alpn_protocol() != Some(ALPN) {
            return Err(handshake(io::Error::other("another protocol")));
        }
        let between = |label| {
            let exporter = connection.export_keying_material([0; 32], label, None).map_err(|error| handshake(io::Error::other(error)))?;
            Ok(Between { source: identity.name(), receiver, exporter })
        };
        let (pair, recover, shorten) = (between(pairing::EXPORTER)?, between(recover::EXPORTER)?, between(shorten::EXPORTER)?);
        let mut http = Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new()).max_frame_size(FRAME).initial_stream_window_size(WINDOW).initial_connection_window_size(2 * WINDOW);
        http.keep_alive_interval(silence / 3).keep_alive_timeout(silence).max_send_buf_size(BUFFER);
        let (http, driving) = http.handshake(TokioIo::new(tls)).await.map_err(|error| LinkError::Cut(error.into()))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driving.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
        Ok(Self { http, driver, pair, recover, shorten, silence })
    }

    /// Which connection it is, for proofs of pairing.
    pub fn pairing(&self) -> &Between {
        &self.pair
    }

    /// Which connection it is, for proofs of a box that takes another's place.
    pub fn recovering(&self) -> &Between {
        &self.recover
    }

    /// Which connection it is, for the proof that an order is the clinic's.
    pub fn ordering(&self) -> &Between {
        &self.shorten
    }

    /// Asks, and waits for the whole answer: as long as the other end shows signs of life.
    pub async fn ask(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Result<Answered, LinkError> {
        self.answered(self.send(method, path, headers, Outgoing::new(body, None)).await?).await
    }

    /// The same with a body that takes its time: how much of it the line has taken is counted.
    pub async fn hand_over(&self, path: &str, headers: HeaderMap, body: Bytes, handed: Arc<Handed>) -> Result<Answered, LinkError> {
        self.answered(self.send(Method::PUT, path, headers, Outgoing::new(body, Some(handed))).await?).await
    }

    async fn answered(&self, response: Response<Incoming>) -> Result<Answered, LinkError> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(LinkError::Cut)?.to_bytes();
        Ok(Answered { status: head.status, headers: head.headers, body })
    }

    /// Asks for something of which a part is worth something: what came of it is in `came` after a cut too, at most `most` bytes. Of a no, the body is in the answer.
    pub async fn fetch(&self, path: &str, headers: HeaderMap, came: &mut Vec<u8>, most: usize) -> Result<Answered, LinkError> {
        let (head, mut body) = self.send(Method::GET, path, headers, Outgoing::new(Bytes::new(), None)).await?.into_parts();
        let answered = |body| Answered { status: head.status, headers: head.headers.clone(), body };
        if !head.status.is_success() {
            let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(LinkError::Cut)?.to_bytes();
            return Ok(answered(body));
        }
        while let Some(frame) = body.frame().await {
            let data = frame.map_err(|error| LinkError::Cut(error.into()))?.into_data().unwrap_or_default();
            if came.len() + data.len() > most {
                return Err(LinkError::Cut("more came than was asked for".into()));
            }
            came.extend_from_slice(&data);
        }
        Ok(answered(Bytes::new()))
    }

    async fn send(&self, method: Method, path: &str, headers: HeaderMap, body: Outgoing) -> Result<Response<Incoming>, LinkError> {
        let cut = |error: Box<dyn std::error::Error + Send + Sync>| LinkError::Cut(error);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://keepwell.invalid{path}"))
            .body(body)
            .map_err(|error| cut(error.into()))?;
        request.headers_mut().extend(headers);
        let mut http = self.http.clone();
        timeout(self.silence, http.ready()).await.map_err(|late| cut(late.into()))?.map_err(|error| cut(error.into()))?;
        http.send_request(request).await.map_err(|error| cut(error.into()))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("receiver", &self.pair.receiver).finish_non_exhaustive()
    }
}

fn is_other_key(error: &io::Error) -> bool {
    use tokio_rustls::rustls::{CertificateError, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)))
}
