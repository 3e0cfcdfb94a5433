//! The connection to a share and what happens when it is lost: some attempts to get it back within a bounded time, then never again. Owns
//! the patience with a server that takes connections and does not answer.
//!
//! Must never go on with another server or volume that answers under the same address.

use std::fmt;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use keepwell_smb::{Credentials, Facts, Options, Share, SmbError, Volume, WidePath};

use super::target::lock;
use crate::pace::Pace;
use crate::{SmbUrl, SourceError};

/// What the server has to serve, in messages.
const SERVICE: &str = "SMB 2.1 to 3.1.1";

/// For so long new attempts are begun to get a connection back.
const RECOVERY: Duration = Duration::from_secs(25);

/// Times that one thing is begun again after the connection was lost under it.
pub(super) const REPEATS: usize = 3;

/// After so many connections in a row that were lost with a file and brought none, nothing is begun again any more.
const PATIENT: usize = 2;

/// After so many the server counts as one that does not answer.
const IN_VAIN: usize = 6;

const GONE: &str = "the connection to the server is lost and did not come back";
const SILENT: &str = "the server has stopped answering: it takes new connections, but file after file had to be given up";

/// How to connect, and how long to try to get a lost connection back.
#[derive(Clone, Debug)]
pub struct SmbOptions {
    /// Of the client.
    pub client: Options,
    /// Waits before each attempt to connect again.
    pub pauses: Vec<Duration>,
    /// Small requests in flight.
    pub in_flight: usize,
}

impl Default for SmbOptions {
    /// Four attempts within some 20 seconds.
    fn default() -> Self {
        Self { client: Options::default(), pauses: [1, 3, 6, 10].map(Duration::from_secs).into(), in_flight: 32 }
    }
}

/// An open share.
pub(super) struct Session {
    pub(super) share: Share,
    pub(super) pace: Pace,
    pub(super) facts: Facts,
    pub(super) volume: Volume,
    /// The folder that is the root, below the share.
    pub(super) root: WidePath,
    pauses: Vec<Duration>,
    /// One thread at a time brings the connection back.
    recovering: Mutex<()>,
    /// Why nothing further is tried.
    given_up: OnceLock<&'static str>,
    /// Connections in a row that cost a file and brought none, and the last of them.
    in_vain: Mutex<(usize, u64)>,
}

impl Session {
    pub(super) fn connect(url: &SmbUrl, password: &str, options: &SmbOptions) -> Result<Self, SourceError> {
        let credentials = Credentials::new(url.domain.as_deref(), &url.user, password);
        let share = Share::connect(&url.host, url.port, &url.share, credentials, options.client.clone()).map_err(|e| refused(url, e))?;
        let failed = |source| SourceError::Share { location: url.to_string(), source: Box::new(source) };
        let root = WidePath::from_wtf8(url.path.iter().map(String::as_bytes))
            .map_err(|bad| SourceError::Share { location: url.to_string(), source: Box::new(bad) })?;
        let volume = share.volume().map_err(failed)?;
        Ok(Self {
            facts: share.facts(),
            pace: Pace::new(options.in_flight),
            share,
            volume,
            root,
            pauses: options.pauses.clone(),
            recovering: Mutex::new(()),
            given_up: OnceLock::new(),
            in_vain: Mutex::default(),
        })
    }

    /// Equal for all entries of this volume.
    pub(super) fn volume_id(&self) -> u64 {
        self.volume.serial.into()
    }

    /// Does it, and does it again when the connection was lost meanwhile and could be brought back. Each request must be safe to repeat.
    pub(super) fn again<T>(&self, what: impl Fn(&Share) -> Result<T, SmbError>) -> Result<T, SmbError> {
        self.repeat(REPEATS, what)
    }

    /// The same for all of a file's content, as often as the server deserves.
    pub(super) fn again_content<T>(&self, what: impl Fn(&Share) -> Result<T, SmbError>) -> Result<T, SmbError> {
        let done = self.repeat(self.deserves(REPEATS), what);
        match &done {
            Ok(_) => self.answered(),
            Err(error) => self.note(self.share.generation(), error),
        }
        done
    }

    /// How often a file may be begun again, of the usual times. A server that answers all but what matters would take its deadline, and
    /// that several times, for each file.
    pub(super) fn deserves(&self, usual: usize) -> usize {
        if lock(&self.in_vain).0 < PATIENT { usual } else { 0 }
    }

    /// Content has come, or was taken.
    pub(super) fn answered(&self) {
        lock(&self.in_vain).0 = 0;
    }

    /// A file was given up. That counts if it was because of the connection of this generation, once for all files in flight.
    pub(super) fn note(&self, generation: u64, why: &SmbError) {
        if why.is_gone() {
            self.unanswered(generation);
        }
    }

    /// A file was given up because the connection of this generation was lost.
    pub(super) fn unanswered(&self, generation: u64) {
        let mut in_vain = lock(&self.in_vain);
        if in_vain.1 != generation {
            *in_vain = (in_vain.0 + 1, generation);
        }
        if in_vain.0 >= IN_VAIN {
            self.given_up.get_or_init(|| SILENT);
        }
    }

    fn repeat<T>(&self, most: usize, what: impl Fn(&Share) -> Result<T, SmbError>) -> Result<T, SmbError> {
        let mut repeats = 0;
        loop {
            let generation = self.share.generation();
            match what(&self.share) {
                Err(error) if error.is_gone() && repeats < most => {
                    repeats += 1;
                    if !self.recover(generation) {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }

    /// Gets the connection back that was lost after `since`. Answers whether there is one.
    pub(super) fn recover(&self, since: u64) -> bool {
        let _one = lock(&self.recovering);
        if self.given_up.get().is_some() {
            return false;
        }
        if self.share.generation() != since {
            return true;
        }
        let begun = Instant::now();
        for pause in &self.pauses {
            // A server that takes connections and then says nothing lets each attempt wait for long.
            if begun.elapsed() > RECOVERY {
                break;
            }
            std::thread::sleep(*pause);
            match self.share.reconnect(since) {
                Ok(()) if self.is_the_same() => {
                    tracing::info!("the connection to the SMB server was lost and is back");
                    return true;
                }
                Ok(()) => {
                    tracing::warn!("another server or volume answers under the address of the one that was lost");
                    break;
                }
                Err(error) => tracing::debug!(%error, "no connection yet"),
            }
        }
        self.given_up.get_or_init(|| GONE);
        false
    }

    /// Why nothing further is tried, once that is so.
    pub(super) fn given_up(&self) -> Option<&'static str> {
        self.given_up.get().copied()
    }

    fn is_the_same(&self) -> bool {
        self.share.facts().server_guid == self.facts.server_guid && self.share.volume().is_ok_and(|now| now.serial == self.volume.serial)
    }
}

fn refused(url: &SmbUrl, error: SmbError) -> SourceError {
    let server = url.address();
    match error {
        SmbError::SignIn { .. } | SmbError::Authentication { .. } => {
            SourceError::SignIn { server, user: url.user.clone(), source: Box::new(error) }
        }
        SmbError::OnlySmb1 => SourceError::OnlySmb1 { server, source: Box::new(error) },
        SmbError::NotSigned | SmbError::NotEncrypted | SmbError::Guest | SmbError::Signature => {
            SourceError::Unprotected { server, source: Box::new(error) }
        }
        SmbError::NoShare { .. } | SmbError::Status { .. } => SourceError::Share { location: url.to_string(), source: Box::new(error) },
        _ => SourceError::Unreachable { server, service: SERVICE, source: Box::new(error) },
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("facts", &self.facts).finish_non_exhaustive()
    }
}
