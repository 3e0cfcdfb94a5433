//! The way to a program through a box's web console, in a program's own name: `/api/v1` in place of the socket, a token in place of a grant. How the connection is
//! made and whom it trusts is the caller's.

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Request, header, request};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Client;

/// The header that bounds an answer: most bytes that may be handed out for a request.
pub const MOST_BYTES: &str = "keepwell-most-bytes";

/// A connection, made and encrypted.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// A connection to come.
pub type Dialled<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send + 'a>>;

/// Makes connections to one console, and knows what to show there.
pub trait Dial: Debug + Send + Sync {
    /// One more connection, to whom it should be.
    fn dial(&self) -> Dialled<'_>;

    /// Name, and port where it has one.
    fn host(&self) -> &str;

    /// The token.
    fn token(&self) -> &str;
}

impl Client {
    /// The program of a box elsewhere, through its console. `shown` is what people call the place.
    pub fn through(program: &'static str, far: Arc<dyn Dial>, shown: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self { far: Some(far), ..Self::new(program, shown, deadline) }
    }

    /// The same for at most so many bytes of an answer; none sets no bound.
    #[must_use]
    pub fn at_most(&self, bytes: Option<u64>) -> Self {
        Self { most_bytes: bytes, ..self.clone() }
    }
}

/// The beginning of a request.
pub(super) fn request(far: &dyn Dial, route: &str, most_bytes: Option<u64>) -> request::Builder {
    let mut request = Request::builder().uri(format!("/api{route}")).header(header::HOST, far.host());
    let bearer = HeaderValue::try_from(format!("Bearer {}", far.token())).map(|mut value| {
        value.set_sensitive(true);
        value
    });
    if let Ok(bearer) = bearer {
        request = request.header(AUTHORIZATION, bearer);
    }
    match most_bytes {
        Some(bytes) => request.header(MOST_BYTES, bytes),
        None => request,
    }
}
