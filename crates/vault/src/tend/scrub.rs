//! Reads all shards of all objects again within a month, some at a time, and heals what it finds. What nobody reads for years would be found damaged on the
//! day it is needed.

use std::collections::HashSet;
use std::ops::Bound;

use keepwell_format::PackId;
use keepwell_storage::{Access, Class, Narrowing, ObjectName, Pool, PoolError, RepairOutcome, ScrubVerdict};

use super::ScrubCursor;
use crate::VaultError;
use crate::env::{Progress, Step};
use crate::report::{LostFile, VerifyReport};
use crate::snapshot;
use crate::vault::{Sealed, Vault};
use crate::verify::{CLASSES, Check, faults};

/// An object, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The object.
    pub object: String,
    /// What was found.
    pub why: String,
}

/// What a part of a round found.
#[derive(Debug, Clone, Default)]
pub struct ScrubReport {
    /// Objects read.
    pub objects: u64,
    /// Objects of the vault.
    pub total_objects: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Objects that were damaged or lacked shards, and are whole again.
    pub healed: Vec<Trouble>,
    /// Objects that can be read, and could not be made whole.
    pub remaining: Vec<Trouble>,
    /// Objects that can't be put together any more.
    pub lost: Vec<Trouble>,
    /// What that means (with keys): everything that can't be restored.
    pub files_lost: Vec<LostFile>,
    /// Snapshots that can't be read (with keys), and why.
    pub snapshots_lost: Vec<(String, String)>,
    /// Whether the round is complete.
    pub is_round_complete: bool,
    packs_lost: HashSet<PackId>,
}

impl ScrubReport {
    /// Whether everything that was read is whole now.
    pub fn is_clean(&self) -> bool {
        self.remaining.is_empty() && self.lost.is_empty()
    }
}

impl Sealed {
    /// Bytes to be read now, so that everything is read within so many days.
    pub fn scrub_due(&self, cursor: &ScrubCursor, now: i64, days: u32) -> Result<u64, VaultError> {
        Ok(cursor.due(self.pool.stored_bytes()?, now, days))
    }

    /// Reads on from `cursor` until `budget` bytes are read or the round is complete, heals what it can, and moves the cursor. `now` in Unix seconds.
    pub fn scrub(&self, cursor: &mut ScrubCursor, budget: u64, now: i64, progress: &dyn Progress) -> Result<ScrubReport, VaultError> {
        scrub(&self.pool, cursor, budget, now, progress)
    }
}

impl Vault {
    /// As [`Sealed::scrub_due`].
    pub fn scrub_due(&self, cursor: &ScrubCursor, now: i64, days: u32) -> Result<u64, VaultError> {
        Ok(cursor.due(self.pool.stored_bytes()?, now, days))
    }

    /// As [`Sealed::scrub`]; damage that could not be healed is named as files and snapshots.
    pub fn scrub(&self, cursor: &mut ScrubCursor, budget: u64, now: i64, progress: &dyn Progress) -> Result<ScrubReport, VaultError> {
        let mut report = scrub(&self.pool, cursor, budget, now, progress)?;
        if report.lost.is_empty() {
            return Ok(report);
        }
        let loaded = snapshot::load_all(&self.pool, &self.keys)?;
        report.snapshots_lost = loaded.lost;
        let reader = self.reader();
        let mut check = Check::new(&reader, report.packs_lost.clone(), false);
        let mut found = VerifyReport::default();
        loaded.snapshots.iter().rev().try_for_each(|snapshot| check.snapshot(snapshot, &mut found, progress))?;
        report.files_lost = found.files_lost;
        Ok(report)
    }
}

fn scrub(pool: &Pool, cursor: &mut ScrubCursor, budget: u64, now: i64, progress: &dyn Progress) -> Result<ScrubReport, VaultError> {
    let all = CLASSES.into_iter().flat_map(|class| pool.objects(class).into_iter().map(move |id| ObjectName { class, id }));
    let names: std::collections::BTreeSet<ObjectName> = all.collect();
    let mut report = ScrubReport { total_objects: names.len() as u64, ..ScrubReport::default() };
    progress.begin(Step::Scrub, 0, budget);
    cursor.mend(now);
    let from = cursor.after.map_or(Bound::Unbounded, Bound::Excluded);
    for name in names.range((from, Bound::Unbounded)) {
        if report.read_bytes >= budget {
            return Ok(report);
        }
        let read = one(pool, *name, &mut report)?;
        report.objects += 1;
        report.read_bytes += read;
        progress.advance(1, read);
        (cursor.after, cursor.done_bytes) = (Some(*name), cursor.done_bytes.saturating_add(read));
    }
    report.is_round_complete = true;
    *cursor = ScrubCursor { rounds: cursor.rounds + 1, ..ScrubCursor::new(now) };
    Ok(report)
}

/// Reads one object and heals it. Answers the bytes read.
fn one(pool: &Pool, name: ObjectName, report: &mut ScrubReport) -> Result<u64, VaultError> {
    let trouble = |why| Trouble { object: name.to_string(), why };
    let repaired = if pool.access() == Access::Write { Some(pool.repair_with(name, Narrowing::ToSave)) } else { None };
    let (found, outcome, failed) = match repaired {
        Some(Ok(repaired)) => (repaired.found, Some(repaired.outcome), None),
        Some(Err(error @ (PoolError::Full { .. } | PoolError::TooFewWritable { .. } | PoolError::Disk { .. }))) => {
            (pool.scrub(name)?, None, Some(error.to_string()))
        }
        Some(Err(error)) => return Err(error.into()),
        None => (pool.scrub(name)?, None, None),
    };
    let why = faults(&found);
    match (found.verdict, outcome) {
        (ScrubVerdict::Lost { good, needed }, _) => {
            report.lost.push(trouble(format!("{good} good shards of the {needed} needed; {why}")));
            if name.class == Class::Pack {
                report.packs_lost.insert(PackId(name.id.0));
            }
        }
        (ScrubVerdict::Whole, _) => {}
        (ScrubVerdict::Degraded, Some(RepairOutcome::Healed | RepairOutcome::Whole)) => report.healed.push(trouble(why)),
        (ScrubVerdict::Degraded, _) => report.remaining.push(trouble(failed.map_or(why.clone(), |failed| format!("{why}; {failed}")))),
    }
    Ok(found.read_bytes)
}
