//! Asks a program of this box. Blocking, for programs that are: each call is one connection.

mod far;
mod streamed;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode, header};
pub use far::{Connection, Dial, Dialled, MOST_BYTES};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Response;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::Refusal;

/// Longest answer that is taken into memory.
const ANSWER_MAX: usize = 64 << 20;

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens, or this user may not open the socket.
    #[error("{program} can't be asked at {}", path.display())]
    Unreachable {
        /// The program.
        program: &'static str,
        /// Its socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The connection broke, or the answer did not come in time.
    #[error("{program} gave no answer: {why}")]
    NoAnswer {
        /// The program.
        program: &'static str,
        /// In words.
        why: String,
    },
    /// It said no.
    #[error("{}", .0.error)]
    Refused(Refusal),
    /// What it answered could not be passed on.
    #[error("what {program} answered could not be written")]
    NotTaken {
        /// The program.
        program: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The answer is not what the request asked for: the two programs are of different releases.
    #[error("{program} answered something that this program does not know; both have to be of one release")]
    Unknown {
        /// The program.
        program: &'static str,
        /// What did not fit.
        source: serde_json::Error,
    },
}

/// One program's socket.
#[derive(Clone, Debug)]
pub struct Client {
    program: &'static str,
    path: PathBuf,
    deadline: Duration,
    grant: Option<String>,
    /// Through the box's web console in place of the socket.
    far: Option<Arc<dyn Dial>>,
    most_bytes: Option<u64>,
}

impl Client {
    /// The program that listens at `path`. No answer takes longer than `deadline`.
    pub fn new(program: &'static str, path: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self { program, path: path.into(), deadline, grant: None, far: None, most_bytes: None }
    }

    /// The same with a grant to show ([`crate::grants`]): good for one request.
    #[must_use]
    pub fn showing(&self, grant: String) -> Self {
        Self { grant: Some(grant), ..self.clone() }
    }

    /// The same for what takes longer, or may take less.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Its socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks for something.
    pub fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ClientError> {
        self.parsed(&self.exchange(Method::GET, route, Zeroizing::default())?)
    }

    /// Asks for something to be done.
    pub fn post<T: DeserializeOwned>(&self, route: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.parsed(&self.post_for_bytes(route, body)?)
    }

    /// As [`Client::post`], for an answer that is no JSON.
    pub fn post_for_bytes(&self, route: &str, body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        self.exchange(Method::POST, route, self.encoded(body)?)
    }

    fn encoded(&self, body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let failed = |source| ClientError::Unknown { program: self.program, source };
        // Counted first, and written once: growing would leave copies of a secret behind.
        let mut length = Length(0);
        serde_json::to_writer(&mut length, body).map_err(failed)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *bytes, body).map_err(failed)?;
        Ok(bytes)
    }

    /// Asks for bytes.
    pub fn get_bytes(&self, route: &str) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        self.exchange(Method::GET, route, Default::default())
    }

    /// Hands bytes over.
    pub fn post_bytes<T: DeserializeOwned>(&self, route: &str, bytes: &[u8]) -> Result<T, ClientError> {
        self.parsed(&self.post_bytes_for_bytes(route, bytes)?)
    }

    /// The same, for an answer that is no JSON.
    pub fn post_bytes_for_bytes(&self, route: &str, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        self.exchange(Method::POST, route, bytes.to_vec().into())
    }

    fn parsed<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(answer).map_err(|source| ClientError::Unknown { program: self.program, source })
    }

    fn exchange(&self, method: Method, route: &str, body: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        self.waiting(async {
            let (status, answer) = tokio::time::timeout(self.deadline, self.talk(method, route, body)).await.map_err(|_| self.late())??;
            if status.is_success() { Ok(answer) } else { Err(self.refused(status, &answer)) }
        })
    }

    /// Runs an exchange to its end on this thread.
    fn waiting<T>(&self, exchange: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| self.no_answer(error))?.block_on(exchange)
    }

    async fn talk(&self, method: Method, route: &str, body: Zeroizing<Vec<u8>>) -> Result<(StatusCode, Zeroizing<Vec<u8>>), ClientError> {
        let (answer, driver) = self.send(method, route, body).await?;
        let status = answer.status();
        let whole = self.whole(answer).await?;
        driver.abort();
        Ok((status, whole))
    }

    /// Sends a request. What drives the connection ends with the exchange; what went wrong on it, the exchange says too.
    async fn send(
        &self,
        method: Method,
        route: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<(Response<Incoming>, JoinHandle<hyper::Result<()>>), ClientError> {
        let (program, path) = (self.program, self.path.clone());
        let stream = self.connect().await.map_err(|source| ClientError::Unreachable { program, path, source })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.no_answer(error))?;
        let driver = tokio::spawn(connection);
        let mut request = match &self.far {
            None => Request::builder().uri(route).header(header::HOST, "box"),
            Some(far) => far::request(&**far, route, self.most_bytes),
        };
        request = request.method(method).header(header::CONTENT_TYPE, "application/json");
        if let Some(grant) = &self.grant {
            request = request.header(crate::grants::HEADER, grant);
        }
        let request = request.body(Full::new(Bytes::from_owner(Wiped(body)))).map_err(|error| self.no_answer(error))?;
        let answer = sender.send_request(request).await.map_err(|error| self.no_answer(error))?;
        Ok((answer, driver))
    }

    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        match &self.far {
            None => Ok(Box::new(UnixStream::connect(&self.path).await?)),
            Some(far) => far.dial().await,
        }
    }

    /// An answer's body, in memory.
    async fn whole(&self, answer: Response<Incoming>) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let mut body = Limited::new(answer.into_body(), ANSWER_MAX);
        let expected = body.size_hint().exact().map_or(0, |length| length.min(ANSWER_MAX as u64) as usize);
        let mut whole = Zeroizing::new(Vec::with_capacity(expected));
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|error| self.no_answer(error))?.into_data() else { continue };
            grow(&mut whole, piece.len());
            whole.extend_from_slice(&piece);
            // As far as nobody else has it; the library's own buffers are out of reach.
            if let Ok(mut piece) = piece.try_into_mut() {
                piece.zeroize();
            }
        }
        Ok(whole)
    }

    fn refused(&self, status: StatusCode, answer: &[u8]) -> ClientError {
        match serde_json::from_slice::<Refusal>(answer) {
            Ok(refusal) => ClientError::Refused(Refusal { status: status.as_u16(), ..refusal }),
            // What the server's own layers refuse is plain text.
            Err(_) => self.no_answer(String::from_utf8_lossy(answer)),
        }
    }

    fn late(&self) -> ClientError {
        self.no_answer(format_args!("none within {} s", self.deadline.as_secs()))
    }

    fn no_answer(&self, why: impl std::fmt::Display) -> ClientError {
        ClientError::NoAnswer { program: self.program, why: why.to_string() }
    }
}

/// Room for so much more, without a copy that stays behind.
fn grow(whole: &mut Zeroizing<Vec<u8>>, more: usize) {
    if whole.capacity() - whole.len() < more {
        let mut larger = Zeroizing::new(Vec::with_capacity((whole.len() + more).max(2 * whole.capacity())));
        larger.extend_from_slice(whole);
        *whole = larger;
    }
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request that is wiped when it was sent.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
