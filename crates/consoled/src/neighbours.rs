//! authd, vaultd and keyd, as the console asks them: with a deadline, never more at a time than they have places, and in a person's name where it takes one.
//! What they refuse, the console does not argue with.

use std::sync::Arc;
use std::time::Duration;

use keepwell_api::auth::{AskGrant, Granted};
use keepwell_api::grants::{Verb, digest};
use keepwell_api::{Base64, Client, ClientError, Refusal, hex};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::passkey;

/// A program answers one user on so many connections at a time; the others are for streams.
const CALLS_MAX: usize = 24;
/// Of these, for whoever is not signed in: people who guess passwords keep nobody else waiting.
const KNOCKS_MAX: usize = 6;
/// Questions about disks at a time that take minutes: in places of their own.
const SLOW_MAX: usize = 2;
/// Longest wait for one of those.
const QUEUE: Duration = Duration::from_secs(10);
/// Longest wait for what a page shows.
const PAGE: Duration = Duration::from_secs(10);
/// Longest wait for what a person asked to be done or looked for.
const ACT: Duration = Duration::from_secs(60);
/// Longest wait for disks that are erased and made ready.
const DISKS: Duration = Duration::from_secs(900);

/// Why something can't be said or was not done, for a page.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// vaultd can't be asked.
    #[error("The box's engine does not answer. Backups and copies are not touched by that; nothing can be said about them now.")]
    Silent,
    /// authd can't be asked.
    #[error(
        "The box's program for people and passwords does not answer. Backups go on; nobody can sign in or do anything here until it is back."
    )]
    NoAuthority,
    /// keyd can't be asked.
    #[error("The box's program for keys does not answer. Backups that are under way go on; nothing can be said of the papers now.")]
    NoKeys,
    /// Too many at once.
    #[error("The box is busy. Nothing was done; try again in a moment.")]
    Busy,
    /// Somebody downloads as much as one may at a time.
    #[error("Two of your downloads are under way. Nothing was sent; wait until one is over, or restore to a share.")]
    Downloads,
    /// The session is over.
    #[error("You are signed out.")]
    SignedOut,
    /// The second factor is asked for again.
    #[error("This needs a new code from your authenticator. Nothing was done yet.")]
    StepUp,
    /// The role may not.
    #[error("Your role may not do this. Nothing was done.")]
    Role,
    /// What was typed can't be.
    #[error("{0} Nothing was changed.")]
    Typed(crate::pages::address::TypedWrong),
    /// Anything else that was refused.
    #[error("{}", sentence(.0))]
    Refused(Refusal),
}

impl Trouble {
    /// The code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }
}

/// A refusal as a sentence of its own.
pub(crate) fn sentence(refusal: &Refusal) -> String {
    let mut text = refusal.error.clone();
    if let Some(first) = text.get(..1) {
        let first = first.to_uppercase();
        text.replace_range(..1, &first);
    }
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// The programs.
#[derive(Debug)]
pub struct Neighbours {
    authd: Client,
    keyd: Client,
    vaultd: Client,
    slow_vaultd: Client,
    calls: Arc<Semaphore>,
    knocks: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Neighbours {
    /// Those at these sockets.
    pub fn new(authd: &std::path::Path, vaultd: &std::path::Path) -> Self {
        Self {
            authd: Client::new("keepwell-authd", authd, ACT),
            keyd: Client::new("keepwell-keyd", keepwell_api::keys::SOCKET, PAGE),
            vaultd: Client::new("keepwell-vaultd", vaultd, PAGE),
            slow_vaultd: Client::new("keepwell-vaultd", vaultd, ACT),
            calls: Arc::new(Semaphore::new(CALLS_MAX - KNOCKS_MAX)),
            knocks: Arc::new(Semaphore::new(KNOCKS_MAX)),
            slow: Arc::new(Semaphore::new(SLOW_MAX)),
        }
    }

    /// With keyd at this socket.
    #[must_use]
    pub fn with_keyd(self, keyd: &std::path::Path) -> Self {
        Self { keyd: Client::new("keepwell-keyd", keyd, PAGE), ..self }
    }

    /// Where authd listens.
    pub fn authd_socket(&self) -> &std::path::Path {
        self.authd.path()
    }

    /// Where vaultd listens.
    pub fn vaultd_socket(&self) -> &std::path::Path {
        self.vaultd.path()
    }

    /// What vaultd says to anybody.
    pub async fn get<T: DeserializeOwned + Send + 'static>(&self, route: impl Into<String>) -> Result<T, Trouble> {
        let (client, route) = (self.vaultd.clone(), route.into());
        self.call(move || client.get(&route)).await?.map_err(of_vaultd)
    }

    /// The same for what takes longer than a page usually waits.
    pub async fn get_slowly<T: DeserializeOwned + Send + 'static>(&self, route: impl Into<String>) -> Result<T, Trouble> {
        let (client, route) = (self.slow_vaultd.clone(), route.into());
        self.call(move || client.get(&route)).await?.map_err(of_vaultd)
    }

    /// Asks authd. The request is wiped afterwards if its parts are.
    pub async fn authd<T: DeserializeOwned + Send + 'static>(
        &self,
        route: impl Into<String>,
        request: impl Serialize + Send + 'static,
    ) -> Result<T, Trouble> {
        let (client, route) = (self.authd.clone(), route.into());
        self.call(move || client.post(&route, &request)).await?.map_err(of_authd)
    }

    /// The same for somebody who is not signed in.
    pub async fn knock<T: DeserializeOwned + Send + 'static>(
        &self,
        route: impl Into<String>,
        request: impl Serialize + Send + 'static,
    ) -> Result<T, Trouble> {
        let (client, route) = (self.authd.clone(), route.into());
        within(&self.knocks, move || client.post(&route, &request)).await?.map_err(of_authd)
    }

    /// What authd says without being told who asks.
    pub async fn ask_authd<T: DeserializeOwned + Send + 'static>(&self, route: &'static str) -> Result<T, Trouble> {
        let client = self.authd.clone();
        self.call(move || client.get(route)).await?.map_err(of_authd)
    }

    /// How keyd says that the keys are.
    pub async fn ask_keyd<T: DeserializeOwned + Send + 'static>(&self, route: impl Into<String>) -> Result<T, Trouble> {
        let (client, route) = (self.keyd.clone(), route.into());
        self.call(move || client.get(&route)).await?.map_err(of_keyd)
    }

    /// As [`Neighbours::granted`], for a paper, as a page to print. Wiped when it is dropped.
    pub async fn paper(
        &self,
        who: (&Base64, Option<String>),
        verb: Verb,
        route: &'static str,
        request: &impl Serialize,
    ) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let bytes = body(request);
        let grant = self.grant(who, verb, &bytes, None).await?;
        let client = self.slow_vaultd.showing(grant);
        self.call(move || client.post_bytes_for_bytes(route, &bytes)).await?.map_err(of_vaultd)
    }

    /// As [`Neighbours::granted`], for disks that are erased and made ready.
    pub async fn granted_slowly<T: DeserializeOwned + Send + 'static>(
        &self,
        who: (&Base64, Option<String>),
        verb: Verb,
        route: &'static str,
        request: &impl Serialize,
    ) -> Result<T, Trouble> {
        let bytes = body(request);
        let grant = self.grant(who, verb, &bytes, None).await?;
        let client = self.slow_vaultd.showing(grant).within(DISKS);
        within(&self.slow, move || client.post_bytes(route, &bytes)).await?.map_err(of_vaultd)
    }

    /// Has vaultd do something in a person's name: the very bytes that authd gave a grant for are sent.
    pub async fn granted<T: DeserializeOwned + Send + 'static>(
        &self,
        (session, code): (&Base64, Option<String>),
        verb: Verb,
        route: &'static str,
        request: &impl Serialize,
    ) -> Result<T, Trouble> {
        let bytes = body(request);
        let grant = self.grant((session, code), verb, &bytes, None).await?;
        let client = self.slow_vaultd.showing(grant);
        self.call(move || client.post_bytes(route, &bytes)).await?.map_err(of_vaultd)
    }

    /// The same for a page that brings itself up to date: nobody is kept signed in by it.
    pub async fn granted_again<T: DeserializeOwned + Send + 'static>(
        &self,
        session: &Base64,
        verb: Verb,
        route: &'static str,
        request: &impl Serialize,
    ) -> Result<T, Trouble> {
        let bytes = body(request);
        let mut ask = AskGrant::in_session(session.clone(), verb, hex::encode(&digest(&bytes)), None);
        ask.background = true;
        let granted: Granted = self.authd("/v1/grants", ask).await?;
        let client = self.slow_vaultd.showing(granted.grant);
        self.call(move || client.post_bytes(route, &bytes)).await?.map_err(of_vaultd)
    }

    /// A grant for these bytes.
    pub async fn grant(
        &self,
        (session, code): (&Base64, Option<String>),
        verb: Verb,
        bytes: &[u8],
        max_bytes: Option<u64>,
    ) -> Result<String, Trouble> {
        let mut ask = AskGrant::in_session(session.clone(), verb, hex::encode(&digest(bytes)), max_bytes);
        ask.code = code;
        let granted: Granted = self.authd("/v1/grants", ask).await?;
        Ok(granted.grant)
    }

    /// vaultd for what takes long and comes piece by piece; the wait is between two pieces.
    pub fn streaming(&self, grant: String) -> Client {
        self.slow_vaultd.showing(grant)
    }

    async fn call<T: Send + 'static>(&self, ask: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
        within(&self.calls, ask).await
    }
}

/// Asks when there is a place. The place goes with the question, which goes on when a browser that waited for the answer hangs up.
async fn within<T: Send + 'static>(places: &Arc<Semaphore>, ask: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    soon(places, QUEUE, ask).await
}

/// The same with another wait, for a place and once more for a thread.
async fn soon<T: Send + 'static>(places: &Arc<Semaphore>, wait: Duration, ask: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    let place = tokio::time::timeout(wait, Arc::clone(places).acquire_owned()).await;
    let place = place.ok().and_then(Result::ok).ok_or(Trouble::Busy)?;
    let (begin, begun) = tokio::sync::oneshot::channel();
    let asked = tokio::task::spawn_blocking(move || {
        let _place = place;
        // Who was told that the box is busy has nothing done behind their back.
        begin.send(()).ok().map(|()| ask())
    });
    if tokio::time::timeout(wait, begun).await.is_err() {
        return Err(Trouble::Busy);
    }
    asked.await.ok().flatten().ok_or_else(|| {
        tracing::error!("a question to a neighbour could not be asked");
        Trouble::Busy
    })
}

/// A request as it is sent, byte for byte.
pub fn body(request: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, request).expect("requests are plain data");
    // It has its room from the beginning: growing would leave copies of passwords behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, request).expect("requests are plain data");
    bytes
}

/// Counts what is written.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn of_vaultd(error: ClientError) -> Trouble {
    told(&error);
    match error {
        ClientError::Refused(refusal) => match refusal.code.as_str() {
            "role" => Trouble::Role,
            "starting" | "busy" | "authd-silent" => Trouble::Busy,
            _ => Trouble::Refused(refusal),
        },
        _ => Trouble::Silent,
    }
}

fn of_authd(error: ClientError) -> Trouble {
    told(&error);
    match error {
        ClientError::Refused(refusal) => match refusal.code.as_str() {
            "no-session" => Trouble::SignedOut,
            "step-up" => Trouble::StepUp,
            "passkey-asked" => {
                passkey::note(&refusal);
                Trouble::StepUp
            }
            "not-allowed" => Trouble::Role,
            "busy" => Trouble::Busy,
            _ => Trouble::Refused(refusal),
        },
        _ => Trouble::NoAuthority,
    }
}

fn of_keyd(error: ClientError) -> Trouble {
    told(&error);
    match error {
        ClientError::Refused(refusal) => Trouble::Refused(refusal),
        _ => Trouble::NoKeys,
    }
}

fn told(error: &ClientError) {
    match error {
        // What a person asked for and may not have is between them and that program, which has it in its log.
        ClientError::Refused(refusal) => tracing::debug!(code = refusal.code, "refused"),
        other => tracing::warn!(error = other as &dyn std::error::Error, "a neighbour can't be asked"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_waits_for_a_thread_too_long_is_never_asked() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_time().build().unwrap();
        let (free, taken) = mpsc::channel::<()>();
        let (asked, was_asked) = mpsc::channel::<()>();
        let places = Arc::new(Semaphore::new(2));
        let busy = runtime.block_on(async {
            tokio::task::spawn_blocking(move || taken.recv());
            soon(&places, Duration::from_millis(50), move || asked.send(())).await.map(drop)
        });
        assert!(matches!(busy, Err(Trouble::Busy)));
        drop(free);
        drop(runtime);
        assert!(was_asked.recv().is_err(), "it is dropped, and was not asked");
    }

    #[tokio::test]
    async fn a_place_is_taken_until_the_question_is_answered_even_if_nobody_waits() {
        let places = Arc::new(Semaphore::new(1));
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (answer, answered) = mpsc::channel::<()>();
        let asking = Arc::clone(&places);
        let waiting = tokio::spawn(async move {
            within(&asking, move || {
                let _ = begun.send(());
                let _ = answered.recv();
            })
            .await
        });
        has_begun.await.expect("it is asked");
        waiting.abort();
        assert!(waiting.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(places.available_permits(), 0);
        drop(answer);
        let _free = places.acquire().await.expect("it is not closed");
    }
}
