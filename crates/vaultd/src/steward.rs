//! The thread that looks after the box: opens the vault, starts what is due, and looks at every promise. Never waits for anything but its own state: what takes long has
//! threads of its own. What is due, and what is said, `keepwell-duties` decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepwell_api::vault::{PoolPhase, Unready};
use keepwell_duties::schedule::Room;
use keepwell_duties::{At, Candidate, Duty, DutyKind, Numbers, Running, next_due, pick};
use keepwell_vault::Vault;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::watch::Policies;
use crate::{digest, disks, emergency, freezing, keeping, restore, run};
use keepwell_api::error::chain;

/// All is looked at this often; what happens is seen at once.
const LOOK: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// A vault that could not be opened is tried again.
const REOPEN: Duration = Duration::from_secs(5);

/// A vault that was open may be closed so long, to be opened with other disks, without anybody being told.
const CLOSED_MAX: Duration = Duration::from_secs(600);
/// Runs at once whose servers do not answer; with more, nothing is started.
const SILENT_MAX: usize = 32;

/// What the box's own disk is then.
pub(crate) const FULL: &str = "full";

/// Runs until told to end.
pub(crate) fn run(appliance: &Arc<Appliance>, stop: &AtomicBool) {
    let mut steward = Steward {
        appliance: Arc::clone(appliance),
        opened: false,
        next_open: Instant::now(),
        next_minute: Instant::now(),
        closed: None,
        room: Room::default(),
    };
    let mut seen = 0;
    while !stop.load(Ordering::Acquire) {
        if let Err(error) = steward.look() {
            tracing::error!(error = chain(&error), "the box could not be looked after; it is tried again");
        }
        appliance.pulse.beat();
        seen = appliance.wait(seen, LOOK);
    }
    let kept = appliance.watch.keep(appliance).and_then(|()| Ok(appliance.clock.keep(&appliance.state)?));
    if let Err(error) = kept {
        tracing::error!(error = chain(&error), "the state could not be kept at the end");
    }
}

struct Steward {
    appliance: Arc<Appliance>,
    opened: bool,
    next_open: Instant,
    next_minute: Instant,
    /// Since when it is closed, after it was open.
    closed: Option<Instant>,
    room: Room,
}

impl Steward {
    fn look(&mut self) -> Result<(), VaultdError> {
        self.appliance.judged(self.appliance.clock.tick())?;
        if let Err(error) = self.open() {
            tracing::error!(error = chain(&error), "what was under way could not be taken up; it is tried again");
        }
        // It may be closed for a while, to be opened with other disks: that is no failure of any share.
        if self.opened && self.appliance.engine.vault().is_ok() {
            self.start_due()?;
        }
        if Instant::now() >= self.next_minute {
            self.next_minute = Instant::now() + MINUTE;
            self.minute()?;
        }
        // Whatever became of that, promises are looked at.
        if let Err(error) = emergency::look(&self.appliance) {
            tracing::error!(error = chain(&error), "emergency access could not be looked after; it is tried again");
        }
        self.appliance.watch.step(&self.appliance)
    }

    fn open(&mut self) -> Result<(), VaultdError> {
        if self.opened || Instant::now() < self.next_open {
            return Ok(());
        }
        self.next_open = Instant::now() + REOPEN;
        let keys = Duty::of_box(DutyKind::Keys);
        let _long = self.appliance.pulse.long();
        match self.appliance.engine.open() {
            Ok(vault) => {
                keeping::adopt(&self.appliance, &vault)?;
                run::take_up(&self.appliance)?;
                restore::take_up(&self.appliance, &vault);
                disks::opened(&self.appliance);
                self.opened = true;
                self.appliance.changed();
                self.appliance.watch.seen(&keys, Ok(Numbers::new()), &self.appliance);
                self.next_minute = Instant::now();
            }
            // A box that has no pool yet lacks none.
            Err(_) if disks::phase(&self.appliance)? != PoolPhase::There => {
                if let Some(vault) = self.appliance.engine.arriving() {
                    keeping::adopt_early(&self.appliance, &vault)?;
                }
            }
            Err(unready) => self.unready(&unready),
        }
        Ok(())
    }

    fn unready(&self, unready: &Unready) {
        let (kind, code) = match &*unready.code {
            "locked" | "keyd-silent" => (DutyKind::Keys, "locked"),
            _ => (DutyKind::Pool, "unreadable"),
        };
        self.appliance.watch.seen(&Duty::of_box(kind), Err((code, Numbers::new())), &self.appliance);
    }

    /// Starts the runs whose time has come.
    fn start_due(&mut self) -> Result<(), VaultdError> {
        let now = At(self.appliance.clock.believed());
        let shares = self.appliance.state.shares()?;
        let policies = Policies::load(&self.appliance.state)?;
        let under_way = self.appliance.works.shares();
        let silent: Vec<&str> =
            shares.iter().filter(|share| under_way.get(&share.id) == Some(&true)).map(|share| server(&share.location)).collect();
        if silent.len() >= SILENT_MAX {
            return Ok(());
        }
        let mut due = Vec::new();
        let mut running = Vec::new();
        for share in &shares {
            match under_way.get(&share.id) {
                // It waits for its server and needs nothing else: it takes nobody's place.
                Some(true) => {}
                Some(false) => running.push(Running { share: share.id.clone(), slow: share.clock.is_slow(now) }),
                // One share of a silent server is enough to find out when it speaks again.
                None if share.paused || silent.contains(&server(&share.location)) => {}
                None => {
                    let due_at = next_due(&share.id, &policies.of(share.tier), &share.clock, now).at;
                    due.push(Candidate { share: share.id.clone(), tier: share.tier, due: due_at, slow: share.clock.was_slow });
                }
            }
        }
        for picked in pick(&due, &running, self.appliance.config.slots, self.room, now) {
            let Some(share) = shares.iter().find(|share| share.id == picked) else { continue };
            match run::start(&self.appliance, share.clone(), false) {
                Ok(_) | Err(VaultdError::RunsAlready(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn minute(&mut self) -> Result<(), VaultdError> {
        self.look_at_own_disk();
        self.appliance.clock.keep(&self.appliance.state)?;
        match self.appliance.engine.vault() {
            Ok(vault) => {
                self.closed = None;
                self.look_at_pool(&vault);
            }
            // No run begins meanwhile, so none says so by failing.
            Err(unready) if self.opened => {
                if self.closed.get_or_insert_with(Instant::now).elapsed() >= CLOSED_MAX {
                    self.unready(&unready);
                }
            }
            Err(_) => {}
        }
        if let Err(error) = freezing::say(&self.appliance) {
            tracing::error!(error = chain(&error), "that deletions are frozen could not be said; it is tried again within a minute");
        }
        if let Err(error) = digest::report_due(&self.appliance) {
            tracing::error!(error = chain(&error), "the day could not be reported; it is tried again within a minute");
        }
        self.appliance.watch.keep(&self.appliance)
    }

    /// All programs of the box write to it.
    fn look_at_own_disk(&self) {
        if let Err(error) = self.appliance.reserve.look() {
            tracing::warn!(%error, "no room could be kept back on the box's own disk");
        }
        let (duty, watch) = (Duty::of_box(DutyKind::State), &self.appliance.watch);
        match (self.appliance.reserve.is_full(), watch.failure(&duty).as_deref() == Some(FULL)) {
            (true, false) => watch.seen(&duty, Err((FULL, Numbers::new())), &self.appliance),
            (false, true) => watch.seen(&duty, Ok(Numbers::new()), &self.appliance),
            _ => {}
        }
    }

    fn look_at_pool(&mut self, vault: &Vault) {
        let health = vault.disks();
        let (total, free) = (health.total_bytes(), health.free_bytes());
        self.room = self.room.step(free, total);
        self.appliance.watch.glance().room = self.room;
        let numbers = vec![("free_bytes".into(), free.cast_signed()), ("total_bytes".into(), total.cast_signed())];
        let looked = match self.room {
            Room::Ample if health.is_whole() => Ok(numbers),
            Room::Ample => Err(("degraded", vec![("objects".into(), health.degraded_objects.cast_signed())])),
            Room::Short => Err(("short", numbers)),
            Room::Scarce => Err(("scarce", numbers)),
            Room::Full => Err(("full", numbers)),
        };
        self.appliance.watch.seen(&Duty::of_box(DutyKind::Pool), looked, &self.appliance);
    }
}

/// Host and port of an address: shares with the same one are silent together.
pub(crate) fn server(location: &str) -> &str {
    let authority = location.split_once("://").map_or(location, |(_, rest)| rest).split('/').next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares_of_one_server_are_known_as_such() {
        for location in ["smb://reader@server:445/EHR", "smb://other@server:445/SCANS/2026", "smb://server:445"] {
            assert_eq!(super::server(location), "server:445");
        }
        assert_eq!(super::server("nfs://10.0.0.7/export/a@b"), "10.0.0.7");
    }
}
