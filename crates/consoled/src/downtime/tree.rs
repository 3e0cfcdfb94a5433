//! What is open, as folders: the shares at the top, and in each the files of its snapshot. Everything is asked of vaultd anew, with the password that came along; no file is kept.

use std::sync::Arc;
use std::time::Duration;

use keepwell_api::vault::{EmergencyEntry, EmergencyFiles, EmergencyKey, EmergencyNow, EmergencyShare, EmergencyState, File, Files};
use keepwell_api::{Base64, Client, ClientError, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::guests::Guests;
use crate::app::App;

/// Questions to vaultd at a time; further ones wait.
const CALLS_MAX: usize = 6;
/// The same for whoever has not shown the password yet.
const KNOCKS_MAX: usize = 2;
/// Files that are sent at a time.
const FLOWS_MAX: usize = 8;
/// Longest wait for a place, and for an answer.
pub(super) const QUEUE: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(60);

/// The way to vaultd, with places of its own: who reads here keeps nobody waiting who is signed in.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) app: Arc<App>,
    pub(super) vaultd: Client,
    pub(super) flows: Arc<Semaphore>,
    pub(super) guests: Guests,
    calls: Arc<Semaphore>,
    knocks: Arc<Semaphore>,
}

impl Door {
    pub(super) fn new(app: Arc<App>) -> Self {
        let vaultd = Client::new("keepwell-vaultd", app.neighbours.vaultd_socket(), PATIENCE);
        let places = |many| Arc::new(Semaphore::new(many));
        Self { app, vaultd, flows: places(FLOWS_MAX), guests: Guests::default(), calls: places(CALLS_MAX), knocks: places(KNOCKS_MAX) }
    }

    /// What is open, for somebody who has shown the password before, or has not.
    pub(super) async fn state(&self, known: bool) -> Result<EmergencyState, ClientError> {
        let vaultd = self.vaultd.clone();
        call(if known { &self.calls } else { &self.knocks }, move || vaultd.get("/v1/emergency")).await
    }

    async fn post<T: DeserializeOwned + Send + 'static>(
        &self,
        route: &'static str,
        body: impl Serialize + Send + 'static,
    ) -> Result<T, ClientError> {
        let vaultd = self.vaultd.clone();
        call(&self.calls, move || vaultd.post(route, &body)).await
    }
}

/// The place goes with the question, which goes on when whoever waits for the answer hangs up.
async fn call<T: Send + 'static>(
    places: &Arc<Semaphore>,
    ask: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    let place = tokio::time::timeout(QUEUE, Arc::clone(places).acquire_owned()).await;
    let place = place.ok().and_then(Result::ok).ok_or_else(busy)?;
    let asked = tokio::task::spawn_blocking(move || {
        let _place = place;
        ask()
    });
    asked.await.unwrap_or_else(|_| Err(busy()))
}

pub(super) fn busy() -> ClientError {
    ClientError::Refused(Refusal::text(
        axum::http::StatusCode::SERVICE_UNAVAILABLE,
        "busy",
        "too many read here at once; try again in a minute",
    ))
}

/// What a file or folder is.
#[derive(Clone, Debug)]
pub(super) struct Found {
    file: Option<File>,
    taken_at: i64,
    /// Of which copy.
    snapshot: String,
}

impl Found {
    pub(super) fn is_folder(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.kind == "folder")
    }

    /// Bytes of a file that is there; none of what has a gap.
    pub(super) fn size(&self) -> Option<u64> {
        self.file.as_ref().filter(|file| file.kind == "file" && file.gap.is_none()).and_then(|file| file.size)
    }

    /// When it changed; of what is above all files, when its copy was taken.
    pub(super) fn changed_at(&self) -> i64 {
        self.file.as_ref().and_then(|file| file.changed_at).unwrap_or(self.taken_at).max(0)
    }

    /// The copy that it is in: the same file of another one may have other bytes, whatever its size and times say.
    pub(super) fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// A share's own folder.
    pub(super) fn share(taken_at: i64) -> Self {
        Self { file: None, taken_at, snapshot: String::new() }
    }

    /// One of a folder's entries, if it is shown.
    pub(super) fn entry(file: File, snapshot: &str, taken_at: i64) -> Option<Self> {
        matches!(file.kind.as_str(), "file" | "folder").then_some(Self { file: Some(file), taken_at, snapshot: snapshot.to_owned() })
    }
}

/// What is open, for one request.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) door: Arc<Door>,
    pub(super) key: EmergencyKey,
    pub(super) opened_at: i64,
    pub(super) until: i64,
    /// With the names of their folders.
    pub(super) shares: Arc<Vec<(String, EmergencyShare)>>,
}

/// A place in it.
pub(super) enum Place<'a> {
    /// Above all shares.
    Top,
    /// In a share, and where.
    In(&'a EmergencyShare, Vec<u8>),
}

impl Tree {
    pub(super) fn new(door: Arc<Door>, key: EmergencyKey, open: &EmergencyNow) -> Self {
        let shares = Arc::new(folders(&open.shares));
        Self { door, key, opened_at: open.opened_at, until: open.until, shares }
    }

    /// Whether the password is the one. It is asked for a snapshot that there is none of: vaultd looks at the password first, and no share is read, so none that is damaged
    /// or gone keeps the others from being shown.
    pub(super) async fn knock(&self) -> Result<(), ClientError> {
        let ask = EmergencyEntry { key: self.key.clone(), snapshot: String::new(), path: Base64::default() };
        let vaultd = self.door.vaultd.clone();
        match call(&self.door.knocks, move || vaultd.post::<File>("/v1/emergency/entry", &ask)).await {
            Err(ClientError::Refused(refusal)) if matches!(refusal.code.as_str(), "not-found" | "no-snapshot") => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Where a path leads.
    pub(super) fn place(&self, path: &[u8]) -> Option<Place<'_>> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        if path.is_empty() {
            return Some(Place::Top);
        }
        let (first, rest) = match path.iter().position(|byte| *byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (path, &b""[..]),
        };
        let (_, share) = self.shares.iter().find(|(name, _)| name.as_bytes() == first)?;
        Some(Place::In(share, rest.to_vec()))
    }

    /// What lies at a path.
    pub(super) async fn find(&self, path: &[u8]) -> Result<Found, ClientError> {
        match self.place(path).ok_or_else(absent)? {
            Place::Top => Ok(Found::share(self.opened_at)),
            Place::In(share, path) => {
                let taken_at = share.taken_at;
                Found::entry(self.entry(share, path).await?, &share.snapshot, taken_at).ok_or_else(absent)
            }
        }
    }

    async fn entry(&self, share: &EmergencyShare, path: Vec<u8>) -> Result<File, ClientError> {
        let ask = EmergencyEntry { key: self.key.clone(), snapshot: share.snapshot.clone(), path: path.into() };
        self.door.post("/v1/emergency/entry", ask).await
    }

    /// A page of what lies in a folder of a share; only files and folders.
    pub(super) async fn files(&self, snapshot: &str, path: &[u8], after: Option<Base64>, limit: u32) -> Result<Files, ClientError> {
        let (snapshot, path) = (snapshot.to_owned(), path.to_vec().into());
        self.door.post("/v1/emergency/files", EmergencyFiles { key: self.key.clone(), snapshot, path, after, limit }).await
    }
}

fn absent() -> ClientError {
    ClientError::Refused(Refusal::text(axum::http::StatusCode::NOT_FOUND, "no-path", "there is no such file or folder"))
}

/// Names of shares as names of folders: none holds a slash, is a dot, or is there twice.
fn folders(shares: &[EmergencyShare]) -> Vec<(String, EmergencyShare)> {
    let mut named: Vec<(String, EmergencyShare)> = Vec::new();
    for share in shares {
        let plain = share.share.replace(['/', '\\', ':'], "-");
        let plain = if plain.trim_matches('.').is_empty() { "share".to_owned() } else { plain };
        let numbered = (2..).map(|number| format!("{plain} ({number})"));
        let name = std::iter::once(plain.clone()).chain(numbered).find(|name| named.iter().all(|(known, _)| known != name));
        named.extend(name.map(|name| (name, share.clone())));
    }
    named
}

#[cfg(test)]
mod tests {
    use keepwell_api::vault::Outcome;

    use super::*;

    #[test]
    fn each_share_has_a_folder_of_its_own() {
        let share = |name: &str| EmergencyShare { share: name.into(), snapshot: name.into(), taken_at: 1, outcome: Outcome::Complete };
        let named = folders(&[share("EHR"), share("a/b"), share("a-b"), share(".."), share("share")]);
        assert_eq!(named.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["EHR", "a-b", "a-b (2)", "share", "share (2)"]);
        assert_eq!(named[3].1.snapshot, "..");
    }
}
