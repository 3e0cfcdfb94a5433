//! All disks, present and past, and what is known of each. One thread per disk asks and looks, so that a disk that hangs delays only itself. Owns the table of the disks;
//! what may be done with one, `guard` decides.

mod actions;
mod erasing;
mod events;
mod outward;
mod scanning;
mod taking;
mod unmountable;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keepwell_api::disks::{Bus, Disk, DiskDetail, Disks, Health, Job, Poll, Serial, Standing};

pub use actions::Asker;

use crate::calendar::Tests;
use crate::content::Content;
use crate::error::DiskError;
use crate::former::Former;
use crate::guard::{self, Unseen};
use crate::history::History;
use crate::identity::{Identity, KnownBoxes, PublicKey};
use crate::inventory::{Found, Places};
use crate::locate;
use crate::mount::MountPlace;
use crate::prepare::Tools;
use crate::smart::Smartctl;
use unmountable::Unmountable;

/// How disks are watched.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to look.
    pub places: Places,
    /// Programs that change disks.
    pub tools: Tools,
    /// The program that asks them.
    pub smartctl: Smartctl,
    /// Between two polls of a disk.
    pub poll_every: Duration,
    /// Where prepared disks are mounted.
    pub mount: MountPlace,
    /// Whether this box's own disks are mounted when they appear.
    pub automount: bool,
    /// Whether disks test themselves by the calendar.
    pub self_tests: bool,
    /// Other boxes' keys.
    pub known: KnownBoxes,
    /// File with the keys of boxes whose disks were taken over.
    pub former: PathBuf,
    /// File of the history.
    pub history: PathBuf,
}

/// The disks of the box.
pub struct Watch {
    config: Config,
    identity: Box<dyn Identity>,
    former: Former,
    clock: fn() -> i64,
    history: Mutex<History>,
    table: Mutex<Table>,
    scanning: Mutex<()>,
    /// Told whenever a disk that was taken is free again.
    released: Condvar,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<Serial, Entry>,
    unnamed: Vec<String>,
}

/// A disk.
struct Entry {
    /// As it is connected; none while it is away.
    found: Option<Found>,
    content: Result<Content, Unseen>,
    health: Health,
    job: Option<Job>,
    /// Somebody works on it.
    taken: bool,
    /// A person unmounted it: it stays so until it is plugged in again.
    parked: bool,
    /// It could not be mounted.
    unmountable: Option<Unmountable>,
    last_seen: i64,
    tests: Tests,
    model: String,
    wwn: Option<String>,
    bus: Bus,
    size_bytes: u64,
    rotational: bool,
    /// To its thread.
    wake: Option<Sender<Wake>>,
}

/// What a disk's thread is to do before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    /// Look at what is on it.
    Look,
    /// Ask for its health too.
    Poll,
}

impl Watch {
    /// Remembers the disks of before and looks at those that are there. Nothing runs by itself until [`Watch::listen`].
    pub fn start(config: Config, identity: Box<dyn Identity>, clock: fn() -> i64) -> Result<Arc<Self>, DiskError> {
        let history = History::open_anyhow(&config.history)?;
        let entries = history.disks()?.into_iter().map(|disk| {
            let entry = Entry {
                found: None,
                content: Err(Unseen::NotYet),
                health: Health::unknown("absent", "The disk is not connected."),
                job: None,
                taken: false,
                parked: false,
                unmountable: None,
                last_seen: disk.last_seen,
                tests: disk.tests,
                model: disk.model,
                wwn: disk.wwn,
                bus: disk.bus,
                size_bytes: disk.size_bytes,
                rotational: disk.rotational,
                wake: None,
            };
            (disk.serial, entry)
        });
        let table = Mutex::new(Table { entries: entries.collect(), unnamed: Vec::new() });
        let former = Former::load(&config.former);
        let watch = Self {
            config,
            identity,
            former,
            clock,
            history: Mutex::new(history),
            table,
            scanning: Mutex::new(()),
            released: Condvar::new(),
        };
        let watch = Arc::new(watch);
        watch.rescan();
        Ok(watch)
    }

    /// Looks again whenever the kernel says that something changed, and once a minute in any case. Ends with the last other owner.
    pub fn listen(self: &Arc<Self>) {
        events::listen(Arc::downgrade(self));
    }

    /// All disks.
    pub fn disks(&self) -> Disks {
        let own = self.own_keys();
        let table = self.table();
        let disks = table.entries.iter().map(|(serial, entry)| self.view(serial, entry, &own)).collect();
        Disks { disks, unnamed: table.unnamed.clone() }
    }

    /// One disk with its past.
    pub fn detail(&self, serial: &Serial) -> Result<DiskDetail, DiskError> {
        let own = self.own_keys();
        let (disk, tests) = {
            let table = self.table();
            let entry = table.entries.get(serial).ok_or_else(|| unknown(serial))?;
            (self.view(serial, entry, &own), entry.tests)
        };
        let history = self.history();
        let polls = history.polls(serial, i64::MIN)?.into_iter().map(|kept| Poll {
            at: kept.dated.at,
            verdict: kept.verdict,
            temperature_celsius: kept.dated.reading.temperature,
            counters: kept.dated.reading.counters.iter().map(|(counter, value)| (counter.name().to_owned(), *value)).collect(),
        });
        let polls = polls.collect();
        Ok(DiskDetail {
            disk,
            polls,
            short_test_at: tests.short_at,
            long_test_at: tests.long_at,
            certificate: history.certificate(serial)?,
        })
    }

    /// Where disks are looked for.
    pub fn places(&self) -> &Places {
        &self.config.places
    }

    /// Where pool disks are mounted.
    pub fn mounts(&self) -> &std::path::Path {
        &self.config.mount.base
    }

    fn view(&self, serial: &Serial, entry: &Entry, own: &[PublicKey]) -> Disk {
        let found = entry.found.as_ref();
        let mut notes = Vec::new();
        if let Some(zoned) = found.and_then(|found| found.zoned.as_deref()) {
            notes.push(format!("It records in overlapping tracks (SMR, {zoned}): replacing a disk by it takes days rather than hours."));
        }
        if found.is_some_and(|found| found.read_only) {
            notes.push("It can only be read.".into());
        }
        let mut standing = found.map_or(Standing::Absent, |found| self.standing(found, &entry.content, own));
        if let (Standing::Prepared { unreadable, mounted_at: None, .. }, Some(tried)) = (&mut standing, &entry.unmountable) {
            unreadable.clone_from(&tried.unreadable);
        }
        Disk {
            serial: serial.clone(),
            device: found.map_or_else(String::new, |found| found.name.clone()),
            wwn: entry.wwn.clone(),
            bay: found.and_then(|found| locate::bay(&self.config.places, &found.name)),
            model: entry.model.clone(),
            bus: entry.bus,
            size_bytes: entry.size_bytes,
            rotational: entry.rotational,
            removable: found.is_some_and(|found| found.removable),
            notes,
            standing,
            health: entry.health.clone(),
            job: entry.job.clone(),
            first_seen: entry.tests.first_seen,
            last_seen: entry.last_seen,
        }
    }

    fn standing(&self, found: &Found, content: &Result<Content, Unseen>, own: &[PublicKey]) -> Standing {
        let known = match content {
            Ok(Content::Labelled(label)) if !own.contains(&label.key) => self.config.known.name_of(&label.key),
            _ => None,
        };
        guard::standing(found, content.as_ref(), own, known, &self.config.mount.base)
    }

    fn own_keys(&self) -> Vec<PublicKey> {
        let mut keys = self.identity.own_keys().unwrap_or_default();
        keys.extend(self.former.keys());
        keys
    }

    fn now(&self) -> i64 {
        (self.clock)()
    }

    /// A panic elsewhere leaves the table as good as it was: each change of it is one assignment.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(serial: &Serial) -> DiskError {
    DiskError::refused("unknown-disk", format!("no disk with the serial number {serial} was ever seen here"))
}

/// Logs a failure that nobody waits for, with its causes.
fn log(error: &DiskError, serial: &Serial) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%serial, cause, "{error}");
}
