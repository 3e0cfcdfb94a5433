//! Everything that vaultd has, in one place: what its threads and its routes work on together.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keepwell_audit::{Draft, Event, Head, Ledger, Time, Value};
use keepwell_duties::Judgement;
use tokio::sync::watch;

use crate::clock::BoxClock;
use crate::disks::Shelf;
use crate::doors::Doors;
use crate::emergency::Emergency;
use crate::engine::{Engine, Places};
use crate::error::VaultdError;
use crate::gate::Gate;
use crate::pulse::Pulse;
use crate::reserve::Reserve;
use crate::state::State;
use crate::watch::Watch;
use crate::work::Works;

const LEDGER: &str = "ledger";

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder for the state and the ledger.
    pub state: PathBuf,
    /// What the engine needs.
    pub places: Places,
    /// Where ingestd is reached: each connection is a job of its own.
    pub ingest: PathBuf,
    /// authd's socket.
    pub authd: PathBuf,
    /// notifyd's socket.
    pub notifyd: PathBuf,
    /// replicad's socket.
    pub replicad: PathBuf,
    /// What the box is called in messages.
    pub name: String,
    /// Runs at a time.
    pub slots: usize,
}

/// Everything.
#[derive(Debug)]
pub struct Appliance {
    /// Where everything is.
    pub config: Config,
    pub(crate) clock: Arc<BoxClock>,
    pub(crate) state: State,
    pub(crate) engine: Engine,
    pub(crate) works: Works,
    pub(crate) watch: Watch,
    pub(crate) gate: Gate,
    pub(crate) disks: Shelf,
    pub(crate) doors: Doors,
    pub(crate) emergency: Emergency,
    pub(crate) pulse: Pulse,
    pub(crate) reserve: Reserve,
    /// How often something happened, for those who follow.
    pub(crate) followed: watch::Sender<u64>,
    ledger: Mutex<Ledger>,
    starting: Mutex<()>,
    forgetting: Mutex<()>,
    scrubbing: Mutex<()>,
    stirred: (Mutex<u64>, Condvar),
}

impl Appliance {
    /// Takes up where the program before left. Opens no vault yet.
    pub fn start(config: Config) -> Result<Arc<Self>, VaultdError> {
        std::fs::create_dir_all(&config.state).map_err(VaultdError::Own)?;
        let reserve = Reserve::of(&config.state);
        if let Err(error) = reserve.look() {
            tracing::warn!(%error, "no room could be kept back on the box's own disk");
        }
        let state = State::open(&config.state.join("state.sqlite"))?;
        let (ledger, opened) = Ledger::open(&config.state.join(LEDGER))?;
        let (clock, judgement) = BoxClock::start(&state)?;
        let clock = Arc::new(clock);
        let appliance = Arc::new(Self {
            engine: Engine::new(config.places.clone(), Arc::clone(&clock)),
            gate: Gate::new(&config.authd),
            watch: Watch::load(&state, clock.believed())?,
            works: Works::default(),
            disks: Shelf::default(),
            doors: Doors::default(),
            emergency: Emergency::default(),
            pulse: Pulse::new(),
            reserve,
            followed: watch::Sender::new(0),
            ledger: Mutex::new(ledger),
            starting: Mutex::new(()),
            forgetting: Mutex::new(()),
            scrubbing: Mutex::new(()),
            stirred: (Mutex::new(0), Condvar::new()),
            clock,
            state,
            config,
        });
        appliance.check_ledger(opened.head, opened.broken.is_none())?;
        appliance.record("vaultd", Event::Started, vec![("torn-bytes".into(), Value::Number(opened.torn_bytes.cast_signed()))])?;
        if let Some(judgement) = judgement {
            appliance.judged(judgement)?;
        }
        Ok(appliance)
    }

    /// Whether what looks after the box goes on: who watches over programs starts one again that does not.
    pub fn goes_on(&self) -> bool {
        self.pulse.goes_on()
    }

    /// The state knows the ledger's last record: one that is missing, or another one in its place, is the work of somebody.
    fn check_ledger(&self, head: Head, whole: bool) -> Result<(), VaultdError> {
        let known: Option<String> = self.state.document("ledger")?;
        let Some(known) = known.and_then(|known| known.parse::<Head>().ok()).filter(|known| known.seq > 0) else {
            return self.watch.log_found(whole, self);
        };
        let there = self.ledger().read(known.seq, 1)?.first().and_then(|record| record.hash().ok());
        self.watch.log_found(whole && known.seq <= head.seq && there == Some(known.hash), self)
    }

    /// Writes a record; durable when this returns.
    pub(crate) fn record(&self, actor: &str, event: Event, fields: Vec<(String, Value)>) -> Result<(), VaultdError> {
        let at = Time { seconds: self.clock.believed(), nanos: 0 };
        let draft = Draft { at, boot: self.clock.boot_bytes(), actor: actor.to_owned(), event, fields };
        let head = lock(&self.ledger).append(&draft)?;
        Ok(self.state.note("ledger", &head.to_string())?)
    }

    /// Where the ledger lies: whoever only reads it needs no more.
    pub(crate) fn ledger_folder(&self) -> PathBuf {
        self.config.state.join(LEDGER)
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// What a look at the clocks showed.
    pub(crate) fn judged(&self, judgement: Judgement) -> Result<(), VaultdError> {
        self.watch.judged(&self.clock.course(), judgement);
        match judgement {
            Judgement::Jumped { by } => self.record("vaultd", Event::ClockJump, vec![("by-s".into(), Value::Number(by))]),
            _ => Ok(()),
        }
    }

    /// Held by whoever decides that a share may run now.
    pub(crate) fn starting(&self) -> MutexGuard<'_, ()> {
        lock(&self.starting)
    }

    /// Held while old copies are forgotten.
    pub(crate) fn forgetting(&self) -> MutexGuard<'_, ()> {
        lock(&self.forgetting)
    }

    /// Held while the pool is read again, and by whoever says what became of what was found then.
    pub(crate) fn scrubbing(&self) -> MutexGuard<'_, ()> {
        lock(&self.scrubbing)
    }

    /// Something happened: the steward looks again at once, and whoever follows is told.
    pub(crate) fn changed(&self) {
        *lock(&self.stirred.0) += 1;
        self.stirred.1.notify_all();
        self.followed.send_modify(|times| *times += 1);
    }

    /// Waits until something happens after `seen`, at most so long. Answers how much has happened.
    pub(crate) fn wait(&self, seen: u64, at_most: Duration) -> u64 {
        let stirred = self.stirred.1.wait_timeout_while(lock(&self.stirred.0), at_most, |now| *now == seen);
        *stirred.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
