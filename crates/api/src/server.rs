//! How a program listens on its socket, and how it knows who asks.
//!
//! The socket is the service manager's where there is one (`LISTEN_FDS`), so that its place and mode are set before the program runs;
//! else the program makes it, for itself alone.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::Refusal;

/// No request of this API is longer, bulk data apart, which streams.
const BODY_MAX: usize = 1 << 20;

/// Who is at the other end, as the kernel says (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User id; none if the kernel would not say, and then nobody.
    pub uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|peer| peer.uid()) }
    }
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
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = StdListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until the program is told to end (SIGTERM, SIGINT), then lets running requests finish. Tells the service manager when it is ready.
pub async fn serve(listener: StdListener, routes: Router) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let ended = async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    };
    let service = routes.layer(DefaultBodyLimit::max(BODY_MAX)).into_make_service_with_connect_info::<Caller>();
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "the service manager could not be told of readiness");
    }
    axum::serve(listener, service).with_graceful_shutdown(ended).await
}
