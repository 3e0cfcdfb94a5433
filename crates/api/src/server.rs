//! How a program listens on its socket, and how it knows who asks.
//!
//! The socket is the service manager's where there is one (`LISTEN_FDS`), so that its place and mode are set before the program runs;
//! else the program makes it, for itself alone.

use std::collections::HashMap;
use std::fs;
use std::future::Future as _;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::error::Refusal;
use crate::hex;
use crate::watchdog::{Alive, Watchdog};

/// The header of every answer that has the number of its request: 16 hexadecimal digits, as the program's log has them.
pub const REQUEST: &str = "keepwell-request";
/// No request of this API is longer, bulk data apart, which streams.
const BODY_MAX: usize = 1 << 20;
/// A program of the box sends its request at once: who lets one wait longer for its head, or the next piece of its body, gets no answer.
const READ_MAX: Duration = Duration::from_secs(20);
/// Connections of one user at a time. Each call of our clients is one.
const CONNECTIONS_MAX: usize = 64;
const PAUSE: Duration = Duration::from_millis(50);
/// What is being answered when the program is told to end may take so long.
const LAST: Duration = Duration::from_secs(20);

/// Tells whoever answers for long that the program ends. An extension of every request.
#[derive(Clone, Debug)]
pub struct Ending(watch::Receiver<bool>);

impl Ending {
    /// Resolves when the program was told to end.
    pub async fn comes(&mut self) {
        // No sender any more is the end as well.
        let _ = self.0.wait_for(|ends| *ends).await;
    }

    /// Whether it was.
    pub fn is_here(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// Who is at the other end, as the kernel says (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User id; none if the kernel would not say, and then nobody.
    pub uid: Option<u32>,
}

/// Users that may ask.
#[derive(Clone, Debug)]
pub struct Callers(Vec<u32>);

impl Callers {
    /// These users, and no other; not even root unless named.
    pub fn only(uids: impl IntoIterator<Item = u32>) -> Self {
        Self(uids.into_iter().collect())
    }

    /// Whether this one may.
    pub fn admit(&self, caller: Caller) -> bool {
        caller.uid.is_some_and(|uid| self.0.contains(&uid))
    }

    /// The routes, for these callers alone.
    pub fn guard(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn(move |ConnectInfo(caller): ConnectInfo<Caller>, request: Request, next: Next| {
            let admitted = self.admit(caller);
            async move { if admitted { next.run(request).await } else { refuse(caller) } }
        }))
    }
}

fn refuse(caller: Caller) -> Response {
    tracing::warn!(uid = caller.uid, "a request by a user who has no right to it was refused");
    Refusal::text(StatusCode::FORBIDDEN, "not-you", "this user may not ask for this; nothing was done").into_response()
}

/// The service manager's socket, or a new one at `path` that only this user may open. One that a dead program left there is replaced.
pub fn listen(path: &Path) -> io::Result<StdListener> {
    let listener = match listenfd::ListenFd::from_env().take_unix_listener(0)? {
        Some(listener) => listener,
        None => bind(path)?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bind(path: &Path) -> io::Result<StdListener> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another one is running and listens here")),
        // What is no socket refuses connections too, and is not ours to remove.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && fs::symlink_metadata(path)?.file_type().is_socket() => {
            fs::remove_file(path)?;
        }
        Err(_) => {}
    }
    let listener = StdListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until the program is told to end (SIGTERM, SIGINT), then lets running requests finish, but not for ever. Tells the service manager when it is ready, and then that it
/// goes on.
pub async fn serve(listener: StdListener, routes: Router) -> io::Result<()> {
    serve_while(listener, routes, Arc::new(|| true)).await
}

/// As [`serve`], for a program that has more to do than to answer: it goes on only as long as `alive` says so.
pub async fn serve_while(listener: StdListener, routes: Router, alive: Alive) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (end, ending) = watch::channel(false);
    let routes = routes
        .layer(Extension(Ending(ending)))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::map_request(in_time))
        .layer(middleware::from_fn(numbered));
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "the service manager could not be told of readiness");
    }
    let (places, running, mut watchdog) = (Places::default(), GracefulShutdown::new(), Watchdog::new(alive));
    loop {
        let accepted = tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            () = watchdog.due() => {
                watchdog.prove();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => answer(stream, &routes, &places, &running),
            // Of this one connection, or too many open files: a moment later there may be some again.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    end.send_replace(true);
    if tokio::time::timeout(LAST, running.shutdown()).await.is_err() {
        tracing::warn!("a request was still being answered when the program ended");
    }
    Ok(())
}

/// One connection, beside the others.
fn answer(stream: UnixStream, routes: &Router, places: &Places, running: &GracefulShutdown) {
    let caller = Caller { uid: stream.peer_cred().ok().map(|peer| peer.uid()) };
    let Some(place) = places.take(caller) else {
        return tracing::warn!(uid = caller.uid, "a user has too many connections; this one was closed");
    };
    let service = TowerToHyperService::new(routes.clone().layer(Extension(ConnectInfo(caller))));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(READ_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let connection = running.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection broke");
        }
        drop(place);
    });
}

/// How many connections each user has.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<HashMap<Option<u32>, usize>>>);

/// A connection's place, until it is dropped.
struct Place(Places, Option<u32>);

impl Places {
    /// None if this user has as many as one may have: then there are places left for the others.
    fn take(&self, caller: Caller) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = taken.entry(caller.uid).or_default();
        (*of_user < CONNECTIONS_MAX).then(|| *of_user += 1)?;
        Some(Place(self.clone(), caller.uid))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_user) = taken.get_mut(&self.1) {
            *of_user -= 1;
            if *of_user == 0 {
                taken.remove(&self.1);
            }
        }
    }
}

/// Gives each request a number that no other one has. What is logged while it is answered has it as well.
async fn numbered(request: Request, next: Next) -> Response {
    let mut random = [0; 8];
    // Zeros, if even that fails: nothing depends on it but a person's search in a log.
    let _ = getrandom::fill(&mut random);
    let id = hex::encode(&random);
    let mut response = next.run(request).instrument(tracing::error_span!("request", id)).await;
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = Refusal { request: Some(id.clone()), ..refusal }.into_response();
    }
    response.headers_mut().insert(REQUEST, HeaderValue::try_from(id).expect("digits are a header's value"));
    response
}

async fn in_time(request: Request) -> Request {
    request.map(|body| Body::new(Timed { body, late: Box::pin(tokio::time::sleep(READ_MAX)) }))
}

/// A request's body, of which something has to come within [`READ_MAX`] each time.
struct Timed {
    body: Body,
    late: Pin<Box<tokio::time::Sleep>>,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.late.as_mut().reset(tokio::time::Instant::now() + READ_MAX);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.late.as_mut().poll(context).map(|()| Some(Err("the request did not come in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
