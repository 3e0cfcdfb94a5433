//! vaultd: the engine as a service, and the box that looks after itself. The only writer of the vault, the only program with data keys in its memory.
//!
//! Owns state, schedules, runs, restores, promises, incidents and the ledger. Never has a network: servers are spoken to by ingestd, people by notifyd. Gives out or
//! changes nothing without a grant that authd signed for that very request.

mod address;
pub mod appliance;
mod archive;
pub mod bays;
mod channels;
mod checking;
pub mod clock;
mod digest;
mod disks;
mod doors;
mod download;
mod emergency;
pub mod engine;
mod error;
mod events;
mod forgetting;
mod freezing;
mod gate;
mod handing;
mod healing;
mod keeping;
mod kit;
mod locks;
mod metrics;
mod neighbours;
mod offsite;
mod outbox;
mod place;
mod pulse;
mod reading;
mod repeats;
mod reserve;
mod restore;
mod run;
mod scope;
mod scratch;
pub mod service;
mod settling;
pub mod state;
mod steward;
mod succession;
mod support;
mod told;
mod trial;
mod upkeep;
mod verbs;
mod watch;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use error::VaultdError;

use appliance::Appliance;
use keepwell_audit::Event;

/// How long runs may take to end when the program does.
const PATIENCE: Duration = Duration::from_secs(20);

/// The threads that look after the box.
#[derive(Debug)]
pub struct Household {
    appliance: Arc<Appliance>,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Household {
    /// Starts them.
    pub fn start(appliance: &Arc<Appliance>) -> Result<Self, VaultdError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut household = Self { appliance: Arc::clone(appliance), stop: Arc::clone(&stop), threads: Vec::new() };
        household.spawn("steward", steward::run)?;
        household.spawn("upkeep", |appliance, stop| upkeep::run(appliance, stop))?;
        household.spawn("disks", disks::run)?;
        household.spawn("second site", |appliance, stop| handing::run(appliance, stop))?;
        household.spawn("healing", |appliance, stop| healing::run(appliance, stop))?;
        household.spawn("outbox", |appliance, stop| outbox::run(appliance, stop))?;
        Ok(household)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce(&Arc<Appliance>, &AtomicBool) + Send + 'static) -> Result<(), VaultdError> {
        let (appliance, stop) = (Arc::clone(&self.appliance), Arc::clone(&self.stop));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&appliance, &stop));
        self.threads.push(thread.map_err(VaultdError::Thread)?);
        Ok(())
    }

    /// Ends runs, threads and what they had in hand. What can't be ended in time is found by the next start.
    pub fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.appliance.changed();
        if !self.appliance.works.stop(PATIENCE) {
            tracing::warn!("a run did not end in time; the next start says what became of it");
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the program had failed");
            }
        }
        if let Err(error) = self.appliance.record("vaultd", Event::Stopped, Vec::new()) {
            tracing::error!(error = keepwell_api::error::chain(&error), "the end of the program could not be recorded");
        }
    }
}
