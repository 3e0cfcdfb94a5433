//! The thread for what takes its time: reading the pool again, a slice a minute, and asking the other programs of the box.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepwell_duties::{Duty, DutyKind};
use keepwell_vault::{NoProgress, ScrubCursor, Vault};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::{forgetting, keeping, neighbours, trial, verbs};
use keepwell_api::error::chain;

/// Often enough to end soon when the program does.
const LOOK: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Neighbours are asked this often: a kit whose last paper was confirmed is soon valid, and said to be.
const ASK: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);
/// What happened is kept in the vault this often, seconds.
const HISTORY: i64 = 6 * 3_600;
/// All shards are read within so many days.
const SCRUB_DAYS: u32 = 30;
/// Document: objects that were found lost in this round.
pub(crate) const LOST: &str = "scrub-lost";
/// Bytes that are read in one go.
const SCRUB_SLICE: u64 = 256 << 20;

/// Runs until told to end.
pub(crate) fn run(appliance: &Appliance, stop: &AtomicBool) {
    let (mut seen, mut next, mut next_ask) = (0, Instant::now(), Instant::now());
    let mut kept = Kept { version: 0, history: 0, at: 0 };
    let mut checked = Checked { log_at: None };
    while !stop.load(Ordering::Acquire) {
        let opened = appliance.engine.vault();
        if Instant::now() >= next_ask {
            next_ask = Instant::now() + ASK;
            match &opened {
                Ok(_) => attempt("ask its neighbours", &mut || neighbours::ask(appliance)),
                // A new box is claimed before it has a vault, and one that is locked is not claimed at all.
                Err(_) => neighbours::say_claims(appliance),
            }
        }
        if let (Ok(vault), true) = (opened, Instant::now() >= next) {
            next = Instant::now() + MINUTE;
            let tasks: [(&str, Task<'_>); 5] = [
                ("check its log", &mut || checked.log(appliance)),
                ("keep its state in the vault", &mut || kept.keep(appliance, &vault)),
                ("forget what no policy keeps", &mut || forgetting::forget_due(appliance, &vault)),
                ("test a restore", &mut || trial::test_due(appliance, &vault, stop)),
                ("read the pool again", &mut || scrub(appliance, &vault)),
            ];
            for (what, task) in tasks {
                attempt(what, task);
            }
        }
        seen = appliance.wait(seen, LOOK);
    }
}

type Task<'a> = &'a mut dyn FnMut() -> Result<(), VaultdError>;

fn attempt(what: &str, task: Task<'_>) {
    if let Err(error) = task() {
        tracing::error!(error = chain(&error), "the box could not {what}; it is tried again within a minute");
    }
}

/// When what is looked at once a day was looked at.
struct Checked {
    log_at: Option<Instant>,
}

impl Checked {
    /// Reads the whole log again: an edit of long ago shows too.
    fn log(&mut self, appliance: &Appliance) -> Result<(), VaultdError> {
        if self.log_at.is_some_and(|at| at.elapsed() < DAY) {
            return Ok(());
        }
        let verdict = verbs::verify_log(appliance)?;
        self.log_at = Some(Instant::now());
        appliance.watch.log_found(verdict.faults.is_empty(), appliance)
    }
}

/// What of the state the vault has.
struct Kept {
    version: u64,
    history: u64,
    at: i64,
}

impl Kept {
    /// Settings are kept within a minute; what happened, with them, or some hours later.
    fn keep(&mut self, appliance: &Appliance, vault: &Vault) -> Result<(), VaultdError> {
        let (version, history, now) = (appliance.state.version(), appliance.state.history(), appliance.clock.believed());
        let late = history != self.history && (now.saturating_sub(self.at)).abs() >= HISTORY;
        if version == self.version && !late {
            return Ok(());
        }
        keeping::keep(appliance, vault)?;
        *self = Self { version, history, at: now };
        Ok(())
    }
}

/// Reads on, as much as is due by now, a slice a minute.
fn scrub(appliance: &Appliance, vault: &Vault) -> Result<(), VaultdError> {
    let now = appliance.clock.believed();
    let kept: Option<String> = appliance.state.document("scrub")?;
    let mut cursor = kept.and_then(|text| ScrubCursor::parse(&text)).unwrap_or_else(|| ScrubCursor::new(now));
    let due = vault.scrub_due(&cursor, now, SCRUB_DAYS)?.min(SCRUB_SLICE);
    if due == 0 {
        return Ok(());
    }
    let _until_it_is_said = appliance.scrubbing();
    let report = vault.scrub(&mut cursor, due, now, &NoProgress)?;
    let lost = appliance.state.document::<u64>(LOST)?.unwrap_or(0) + report.lost.len() as u64;
    // Before the cursor: what is counted twice is told, what is not counted would be proven away at the round's end.
    appliance.state.note(LOST, &if report.is_round_complete { 0 } else { lost })?;
    appliance.state.note("scrub", &cursor.encode())?;
    let duty = Duty::of_box(DutyKind::Scrub);
    let count = |things: usize| i64::try_from(things).unwrap_or(i64::MAX);
    if !report.lost.is_empty() {
        let (objects, files) = (count(report.lost.len()), count(report.files_lost.len()));
        let numbers = vec![("lost".into(), if files > 0 { files } else { objects }), ("objects".into(), objects), ("files".into(), files)];
        appliance.watch.seen(&duty, Err(("lost", numbers)), appliance);
    } else if report.is_round_complete && lost == 0 {
        appliance.watch.seen(&duty, Ok(vec![("objects".into(), report.total_objects.cast_signed())]), appliance);
    }
    Ok(())
}
