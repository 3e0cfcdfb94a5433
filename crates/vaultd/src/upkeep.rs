//! The thread for what takes its time: reading the pool again, a slice a minute, and asking the other programs of the box.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepwell_duties::{Duty, DutyKind};
use keepwell_vault::{NoProgress, ScrubCursor, Vault};

use crate::appliance::Appliance;
use crate::engine::chain;
use crate::error::VaultdError;
use crate::neighbours;

/// Often enough to end soon when the program does.
const LOOK: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// All shards are read within so many days.
const SCRUB_DAYS: u32 = 30;
/// Bytes that are read in one go.
const SCRUB_SLICE: u64 = 256 << 20;

/// Runs until told to end.
pub(crate) fn run(appliance: &Appliance, stop: &AtomicBool) {
    let (mut seen, mut next) = (0, Instant::now());
    while !stop.load(Ordering::Acquire) {
        let opened = appliance.engine.vault();
        if let (Ok(vault), true) = (opened, Instant::now() >= next) {
            next = Instant::now() + MINUTE;
            let done = neighbours::ask(appliance).and_then(|()| scrub(appliance, &vault));
            if let Err(error) = done {
                tracing::error!(error = chain(&error), "the upkeep of the box failed; it is tried again in a minute");
            }
        }
        seen = appliance.wait(seen, LOOK);
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
    let report = vault.scrub(&mut cursor, due, now, &NoProgress)?;
    appliance.state.note("scrub", &cursor.encode())?;
    let duty = Duty::of_box(DutyKind::Scrub);
    let count = |things: usize| i64::try_from(things).unwrap_or(i64::MAX);
    if !report.lost.is_empty() {
        let numbers = vec![("objects".into(), count(report.lost.len())), ("files".into(), count(report.files_lost.len()))];
        appliance.watch.seen(&duty, Err(("lost", numbers)), appliance)?;
    } else if report.is_round_complete {
        appliance.watch.seen(&duty, Ok(vec![("objects".into(), report.total_objects.cast_signed())]), appliance)?;
    }
    Ok(())
}
