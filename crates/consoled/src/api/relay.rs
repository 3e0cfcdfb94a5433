//! What the API asks authd and vaultd: with a deadline, never more at a time than it has places, so that programs keep no person waiting. Passes answers on piece by piece
//! and keeps none.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use keepwell_api::auth::CheckToken;
use keepwell_api::{Base64, Client, ClientError, Refusal, grants};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, Sleep, sleep, timeout};
use zeroize::{Zeroize as _, Zeroizing};

/// Requests at a time. With those of pages, streams and downloads they are as many as vaultd answers one user.
const CALLS_MAX: usize = 4;
/// Long answers at a time.
const FLOWS_MAX: usize = 2;
/// Streams of events at a time, each of another token.
const EVENTS_MAX: usize = 2;
/// Between two looks whether the token of a stream still counts.
const LOOK: Duration = Duration::from_secs(60);
/// Tokens that are looked at, at a time.
const KNOCKS_MAX: usize = 2;
/// Longest wait for a place.
const QUEUE: Duration = Duration::from_secs(10);
/// Longest wait for authd.
const AUTHD: Duration = Duration::from_secs(10);
/// Longest wait for the beginning of an answer of vaultd: what is looked for in a big catalog takes its time.
const VAULTD: Duration = Duration::from_secs(120);
/// Longest wait between two pieces. Events come, or a comment in their place, every 15 s.
const PIECE: Duration = Duration::from_secs(60);
/// Longest answer that is looked into.
const ANSWER_MAX: usize = 64 << 20;

/// The two programs.
#[derive(Debug)]
pub(super) struct Relay {
    authd: Client,
    vaultd: PathBuf,
    knocks: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    flows: Arc<Semaphore>,
    events: Arc<Semaphore>,
    listening: Arc<Mutex<BTreeSet<String>>>,
}

/// What is sent to vaultd.
pub(super) struct Sent {
    pub(super) method: Method,
    /// Path and query.
    pub(super) at: String,
    pub(super) grant: Option<String>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Sent {
    /// What is asked without a grant.
    pub(super) fn get(at: impl Into<String>) -> Self {
        Self { method: Method::GET, at: at.into(), grant: None, body: Zeroizing::default() }
    }
}

/// A place, until it is dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    listener: Option<(Arc<Mutex<BTreeSet<String>>>, String)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((listening, token)) = &self.listener {
            locked(listening).remove(token);
        }
    }
}

fn locked(listening: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    listening.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    pub(super) fn new(authd: &Path, vaultd: &Path) -> Self {
        let places = |many| Arc::new(Semaphore::new(many));
        Self {
            authd: Client::new("keepwell-authd", authd, AUTHD),
            vaultd: vaultd.to_owned(),
            knocks: places(KNOCKS_MAX),
            calls: places(CALLS_MAX),
            flows: places(FLOWS_MAX),
            events: places(EVENTS_MAX),
            listening: Arc::default(),
        }
    }

    /// A place for a stream of events, one for each token: it has no end of its own, and keeps no download waiting.
    pub(super) fn listener(&self, token: &str) -> Result<Place, Refusal> {
        let place = Arc::clone(&self.events).try_acquire_owned().map_err(|_| busy())?;
        if !locked(&self.listening).insert(token.to_owned()) {
            return Err(Refusal::text(
                StatusCode::TOO_MANY_REQUESTS,
                "listens-already",
                "this token has a stream of events already; end that first",
            ));
        }
        Ok(Place { _permit: place, listener: Some((Arc::clone(&self.listening), token.to_owned())) })
    }

    /// Ends a stream when its token does not count any more. Nobody is asked once the stream is over.
    pub(super) fn watched(self: &Arc<Self>, answer: Response<Body>, token: Base64) -> Response<Body> {
        self.looked_at(LOOK, answer, token)
    }

    fn looked_at(self: &Arc<Self>, every: Duration, answer: Response<Body>, token: Base64) -> Response<Body> {
        let (mut over, is_over) = oneshot::channel();
        let relay = Arc::clone(self);
        tokio::spawn(async move {
            while timeout(every, over.closed()).await.is_err() {
                let asked = relay.knock::<serde_json::Value>(CheckToken { token: token.clone() }).await;
                // authd may be away for a moment; what it does not know any more is over.
                if asked.is_err_and(|refusal| refusal.status != StatusCode::SERVICE_UNAVAILABLE.as_u16()) {
                    let _ = over.send(());
                    return;
                }
            }
        });
        answer.map(|body| Body::new(Watched { body, is_over }))
    }

    /// A place for a request; for one whose answer may be long, among the few of those.
    pub(super) async fn place(&self, long: bool) -> Result<Place, Refusal> {
        taken(if long { &self.flows } else { &self.calls }).await
    }

    /// Asks authd whose a token is. Whoever has none keeps nobody waiting who has.
    pub(super) async fn knock<T: DeserializeOwned + Send + 'static>(&self, ask: impl Serialize + Send + 'static) -> Result<T, Refusal> {
        let place = taken(&self.knocks).await?;
        self.authd("/v1/tokens/check", ask, place).await.map(|(told, _)| told)
    }

    /// Asks authd for something. The place goes with the question, which goes on when whoever waits for the answer hangs up; with the answer it comes back.
    pub(super) async fn authd<T: DeserializeOwned + Send + 'static>(
        &self,
        route: &'static str,
        ask: impl Serialize + Send + 'static,
        place: Place,
    ) -> Result<(T, Place), Refusal> {
        let client = self.authd.clone();
        let answer = tokio::task::spawn_blocking(move || client.post(route, &ask).map(|told| (told, place))).await;
        answer.map_err(|_| busy())?.map_err(|error| match error {
            ClientError::Refused(refusal) => refusal,
            error => {
                tracing::warn!(error = &error as &dyn std::error::Error, "authd can't be asked");
                let text = "the box's program for people and passwords does not answer: nobody can be known. Backups go on";
                Refusal::text(StatusCode::SERVICE_UNAVAILABLE, "authd-silent", text)
            }
        })
    }

    /// Asks vaultd. The answer begins to come; `place` goes with it, and with the question as long as vaultd works on it, whoever hangs up.
    pub(super) async fn vaultd(&self, sent: Sent, place: Place) -> Result<Response<Body>, Refusal> {
        let vaultd = self.vaultd.clone();
        let asked = tokio::spawn(async move { send(&vaultd, sent).await.map(|answer| (answer, place)) });
        let (answer, place) = asked.await.map_err(failed)??;
        let (parts, body) = answer.into_parts();
        let flowing = Flowing { body, late: Box::pin(sleep(PIECE)), _place: place };
        Ok(Response::from_parts(parts, Body::new(flowing)))
    }

    /// The same for what the console itself has to know first.
    pub(super) async fn known<T: DeserializeOwned>(&self, at: &str) -> Result<T, Refusal> {
        let (parts, body) = send(&self.vaultd, Sent::get(at)).await?.into_parts();
        if !parts.status.is_success() {
            return Err(silent());
        }
        parsed(Body::new(body)).await
    }
}

async fn send(vaultd: &Path, sent: Sent) -> Result<Response<Incoming>, Refusal> {
    let late = |_| failed(io::ErrorKind::TimedOut);
    let stream = timeout(AUTHD, UnixStream::connect(vaultd)).await.map_err(late)?.map_err(failed)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with the answer, or when nobody takes that any more.
    tokio::spawn(connection);
    let mut request = Request::builder().method(sent.method).uri(sent.at).header(header::HOST, "box");
    if let Some(grant) = sent.grant {
        request = request.header(grants::HEADER, grant).header(header::CONTENT_TYPE, "application/json");
    }
    let request = request.body(Body::from(Bytes::from_owner(Wiped(sent.body)))).map_err(failed)?;
    timeout(VAULTD, sender.send_request(request)).await.map_err(late)?.map_err(failed)
}

fn failed(why: impl std::fmt::Display) -> Refusal {
    tracing::warn!(%why, "vaultd can't be asked");
    silent()
}

async fn taken(places: &Arc<Semaphore>) -> Result<Place, Refusal> {
    let permit = timeout(QUEUE, Arc::clone(places).acquire_owned()).await.ok().and_then(Result::ok).ok_or_else(busy)?;
    Ok(Place { _permit: permit, listener: None })
}

/// An answer, looked into.
pub(super) async fn parsed<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let whole = timeout(VAULTD, axum::body::to_bytes(body, ANSWER_MAX)).await.ok().and_then(Result::ok).ok_or_else(silent)?;
    serde_json::from_slice(&whole).map_err(|error| {
        tracing::error!(%error, "vaultd answered something unknown: both programs have to be of one release");
        silent()
    })
}

/// A request's body of at most so many bytes, wiped afterwards as far as it is in reach.
pub(super) async fn collected(mut body: Body, most: usize) -> Option<Zeroizing<Vec<u8>>> {
    // Whole from the beginning: growing would leave copies of a secret behind.
    let mut whole = Zeroizing::new(Vec::with_capacity(most));
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.ok()?.into_data() else { continue };
        if whole.len() + piece.len() > most {
            return None;
        }
        whole.extend_from_slice(&piece);
        if let Ok(mut piece) = piece.try_into_mut() {
            piece.zeroize();
        }
    }
    Some(whole)
}

fn busy() -> Refusal {
    Refusal::text(StatusCode::SERVICE_UNAVAILABLE, "busy", "the box is busy; nothing was done. Try again in a moment")
}

fn silent() -> Refusal {
    let text = "the box's engine does not answer. Backups and copies are not touched by that; nothing can be said about them now";
    Refusal::text(StatusCode::SERVICE_UNAVAILABLE, "vaultd-silent", text)
}

/// A request that is wiped when it was sent.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// An answer on its way, with its place.
struct Flowing {
    body: Incoming,
    late: Pin<Box<Sleep>>,
    _place: Place,
}

impl HttpBody for Flowing {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.late.as_mut().reset(Instant::now() + PIECE);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.late.as_mut().poll(context).map(|()| Some(Err("the rest of the answer did not come in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream until its token does not count any more.
struct Watched {
    body: Body,
    is_over: oneshot::Receiver<()>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if Pin::new(&mut self.is_over).poll(context) == Poll::Ready(Ok(())) {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_stream_ends_with_its_token_and_not_because_authd_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("authd.sock");
        let relay = Arc::new(Relay::new(&at, &at));
        let (_out, body) = keepwell_api::outflow::outflow(None);
        let often = Duration::from_millis(5);
        let mut stream = relay.looked_at(often, Response::new(Body::new(body)), Base64::from(b"kw_".to_vec())).into_body();
        // Nobody is there to ask: it goes on.
        assert!(timeout(20 * often, stream.frame()).await.is_err());
        let authd = UnixListener::bind(&at).unwrap();
        let answering = std::thread::spawn(move || {
            let (mut asked, _) = authd.accept().unwrap();
            let mut piece = [0; 4096];
            let _ = asked.read(&mut piece).unwrap();
            let no = r#"{"status":401,"code":"no-token","error":"it was revoked"}"#;
            let head = format!("HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{no}", no.len());
            asked.write_all(head.as_bytes()).unwrap();
        });
        assert!(stream.frame().await.is_none(), "it is over");
        answering.join().unwrap();
    }

    #[tokio::test]
    async fn one_token_has_one_stream_of_events_and_these_keep_no_download_waiting() {
        let relay = Relay::new(Path::new("/nowhere"), Path::new("/nowhere"));
        let first = relay.listener("one").unwrap();
        assert_eq!(relay.listener("one").err().map(|refusal| refusal.code), Some("listens-already".into()));
        let _second = relay.listener("two").unwrap();
        assert_eq!(relay.listener("three").err().map(|refusal| refusal.code), Some("busy".into()));
        assert_eq!(relay.flows.available_permits(), FLOWS_MAX);
        drop(first);
        assert!(relay.listener("one").is_ok());
    }

    #[tokio::test]
    async fn a_place_is_taken_until_the_question_is_answered_even_if_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("silent.sock");
        let silent = UnixListener::bind(&at).unwrap();
        let relay = Arc::new(Relay::new(&at, &at));
        let asking = Arc::clone(&relay);
        let knocking = tokio::spawn(async move { asking.knock::<serde_json::Value>(()).await.map(drop) });
        let asking = Arc::clone(&relay);
        let calling = tokio::spawn(async move { asking.vaultd(Sent::get("/"), asking.place(false).await?).await.map(drop) });
        let accepting = tokio::task::spawn_blocking(move || [silent.accept().unwrap().0, silent.accept().unwrap().0]);
        let asked = accepting.await.unwrap();
        for waiting in [knocking, calling] {
            waiting.abort();
            assert!(waiting.await.is_err_and(|error| error.is_cancelled()));
        }
        assert_eq!((relay.knocks.available_permits(), relay.calls.available_permits()), (KNOCKS_MAX - 1, CALLS_MAX - 1));
        drop(asked);
        let _all = relay.calls.acquire_many(CALLS_MAX as u32).await.unwrap();
        let _all = relay.knocks.acquire_many(KNOCKS_MAX as u32).await.unwrap();
    }
}
