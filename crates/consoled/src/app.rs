//! What all pages share: where the neighbours are, who is signed in, what was last known of the box.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::tz::TimeZone;
use keepwell_duties::Status;
use tokio::sync::Semaphore;

use crate::authority::Authority;
use crate::certificate::Uploaded;
use crate::live::Live;
use crate::neighbours::{Neighbours, Trouble};
use crate::pages::setup::progress::Stage;
use crate::reckoning::Reckoning;
use crate::sessions::Sessions;

/// Downloads at a time, whoever has begun them and in however many sessions.
const DOWNLOADS: usize = 6;

/// What somebody decided when the program was started.
#[derive(Debug)]
pub struct Settings {
    /// What the practice calls the box.
    pub box_name: String,
    /// Names under which it is asked, lower case.
    pub names: BTreeSet<String>,
    /// Addresses too, beside the one that was connected to.
    pub addresses: BTreeSet<IpAddr>,
    /// In which times are shown.
    pub zone: TimeZone,
    /// Unix seconds.
    pub clock: fn() -> i64,
    /// The authority's certificate and its fingerprint.
    pub authority: (String, String),
}

/// All of it.
#[derive(Debug)]
pub struct App {
    /// As it was started.
    pub settings: Settings,
    /// authd and vaultd.
    pub neighbours: Neighbours,
    /// Who is signed in.
    pub sessions: Sessions,
    /// Who looks on.
    pub live: Live,
    /// Whether the box was seen to be set up.
    pub set_up: AtomicBool,
    /// Places for downloads of all who are signed in: as many as vaultd gives at a time.
    pub downloads: Arc<Semaphore>,
    /// How far setting up was seen to be: when, and after how many acts.
    pub(crate) progress: tokio::sync::Mutex<Option<(Instant, u64, Option<Stage>)>>,
    /// Forms that were let in: what was seen before one of them may not hold any more.
    pub(crate) acts: AtomicU64,
    /// The certificate that an owner has uploaded; none where there is no TLS.
    pub uploaded: Option<Arc<Uploaded>>,
    /// What time it is, as vaultd tells it too.
    pub reckoning: Arc<Reckoning>,
    last: Mutex<Option<(i64, Status)>>,
}

/// How the box is: as it says now, or as it last said.
#[derive(Debug)]
pub enum HowItIs {
    /// Now.
    Now(Box<Status>),
    /// It does not say; why, and what it said last, when.
    Silent(Trouble, Option<Box<(i64, Status)>>),
}

impl App {
    /// Nothing is known yet.
    pub fn new(settings: Settings, neighbours: Neighbours, sessions: Sessions) -> Self {
        Self {
            reckoning: Arc::new(Reckoning::new(settings.clock)),
            settings,
            neighbours,
            sessions,
            live: Live::default(),
            set_up: AtomicBool::new(false),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            progress: tokio::sync::Mutex::default(),
            acts: AtomicU64::new(0),
            uploaded: None,
            last: Mutex::default(),
        }
    }

    /// With the certificate that connections of this authority are met with.
    #[must_use]
    pub fn with_certificate(self, authority: &Authority) -> Self {
        Self { uploaded: Some(Arc::clone(authority.uploaded())), ..self }
    }

    /// Unix seconds.
    pub fn now(&self) -> i64 {
        (self.settings.clock)()
    }

    /// Whether the clock was doubted when the box was asked last. Asks nobody, so that anybody may know.
    pub fn is_clock_doubted(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|(_, status)| status.doubt.is_some())
    }

    /// Asks the box how it is, and remembers what it said.
    pub async fn status(&self) -> HowItIs {
        match self.neighbours.get::<Status>("/v1/status").await {
            Ok(status) => {
                self.reckoning.tell(status.at.0);
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((self.now(), status.clone()));
                HowItIs::Now(Box::new(status))
            }
            Err(trouble) => HowItIs::Silent(trouble, self.last.lock().unwrap_or_else(PoisonError::into_inner).clone().map(Box::new)),
        }
    }
}
