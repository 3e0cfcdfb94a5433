//! Life signs for the service manager (`WatchdogSec=`, sd_notify(3)), so that a program that hangs is started again. Each is sent by what does the work, after a proof that it
//! goes on; never by a clock alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};

/// Signs in the time after which the service manager gives a program up.
const SIGNS: u32 = 4;

/// Whether the rest of the program, beside what answers requests, goes on.
pub type Alive = Arc<dyn Fn() -> bool + Send + Sync>;

/// For who answers requests.
pub struct Watchdog {
    due: Option<Interval>,
    alive: Alive,
    proving: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchdog").field("due", &self.due).finish_non_exhaustive()
    }
}

impl Watchdog {
    /// As the service manager wants it; without one, nothing is ever due.
    pub fn new(alive: Alive) -> Self {
        let due = every().map(|every| {
            let mut due = tokio::time::interval(every);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            due
        });
        Self { due, alive, proving: None }
    }

    /// Resolves when a sign is due. Cancelled, it loses none.
    pub async fn due(&mut self) {
        match &mut self.due {
            Some(due) => drop(due.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Sends a sign as soon as there is a thread that requests are carried out by, and the rest goes on. As long as there is none, none is sent.
    pub fn prove(&mut self) {
        if self.proving.as_ref().is_some_and(|proving| !proving.is_finished()) {
            return;
        }
        let alive = Arc::clone(&self.alive);
        self.proving = Some(tokio::task::spawn_blocking(move || match alive() {
            true => sign(),
            false => tracing::error!("a part of this program does not go on; the service manager is to start it again"),
        }));
    }
}

/// For a program that is one loop.
#[derive(Debug)]
pub struct LifeSigns {
    every: Option<Duration>,
    last: Option<Instant>,
}

impl LifeSigns {
    /// As the service manager wants it.
    pub fn new() -> Self {
        Self { every: every(), last: None }
    }

    /// The loop came round.
    pub fn round(&mut self) {
        let Some(every) = self.every else { return };
        if self.last.is_none_or(|last| last.elapsed() >= every) {
            self.last = Some(Instant::now());
            sign();
        }
    }
}

impl Default for LifeSigns {
    fn default() -> Self {
        Self::new()
    }
}

fn every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / SIGNS).filter(|every| !every.is_zero())
}

fn sign() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
        tracing::warn!(%error, "the service manager could not be told that this program goes on");
    }
}
