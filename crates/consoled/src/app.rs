//! What all pages share: where the neighbours are, who is signed in, what was last known of the box.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use jiff::tz::TimeZone;
use keepwell_duties::Status;

use crate::live::Live;
use crate::neighbours::{Neighbours, Trouble};
use crate::sessions::Sessions;

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
        Self { settings, neighbours, sessions, live: Live::default(), set_up: AtomicBool::new(false), last: Mutex::default() }
    }

    /// Unix seconds.
    pub fn now(&self) -> i64 {
        (self.settings.clock)()
    }

    /// Asks the box how it is, and remembers what it said.
    pub async fn status(&self) -> HowItIs {
        match self.neighbours.get::<Status>("/v1/status").await {
            Ok(status) => {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((self.now(), status.clone()));
                HowItIs::Now(Box::new(status))
            }
            Err(trouble) => HowItIs::Silent(trouble, self.last.lock().unwrap_or_else(PoisonError::into_inner).clone().map(Box::new)),
        }
    }
}
