//! Looks after a vault's disks while it lives: disks that join and leave, and reading everything again within a month. Needs no key; with keys, damage
//! is named as files and snapshots. Plans nothing itself: what may be done is the pool's to decide.

mod cursor;
mod mend;
mod scrub;
mod slots;

use keepwell_format::DiskId;
use keepwell_storage::{Change, ChangePlan, Departure, Narrowing, Pool, PoolError, PoolHealth, RepairOutcome};

pub use cursor::ScrubCursor;
pub use mend::{MendCursor, Mended};
pub use scrub::{ScrubReport, Trouble as ScrubTrouble};
pub(crate) use slots::forget_old_slots;

use crate::VaultError;
use crate::env::{Progress, Step};
use crate::vault::Sealed;

/// What became of a change of disks.
#[derive(Debug, Clone)]
pub struct ChangeReport {
    /// What it was to be; none when only what earlier calls began was carried on.
    pub plan: Option<ChangePlan>,
    /// Objects that were looked at, because something of them is elsewhere now.
    pub objects: u64,
    /// Shards rebuilt.
    pub shards_written: u64,
    /// Shards moved to disks that their objects prefer.
    pub shards_moved: u64,
    /// What became of the disks that are to leave.
    pub departures: Vec<Departure>,
    /// Objects that lack redundancy still, and why.
    pub remaining: Vec<String>,
}

impl ChangeReport {
    /// Whether nothing is left to be done.
    pub fn is_done(&self) -> bool {
        self.remaining.is_empty() && self.departures.iter().all(|departure| matches!(departure, Departure::Left { .. }))
    }
}

impl Sealed {
    /// The disks, and what they are to the vault.
    pub fn disks(&self) -> PoolHealth {
        self.pool.health()
    }

    /// Says what a change of disks comes to, or why it can't be. Changes nothing.
    pub fn check_change(&self, change: &Change) -> Result<ChangePlan, VaultError> {
        Ok(self.pool.check_change(change)?)
    }

    /// Carries a change of disks out, as far as the disks there allow. A call that was cut short is completed by the same call, or by
    /// [`Sealed::settle_disks`].
    pub fn change_disks(
        &self,
        change: &Change,
        id: &mut dyn FnMut() -> DiskId,
        progress: &dyn Progress,
    ) -> Result<ChangeReport, VaultError> {
        let ids: Vec<[u8; 16]> = (0..self.pool.joining_disks(change)).map(|_| id().0).collect();
        let plan = self.pool.begin_change(change, &ids)?;
        Ok(ChangeReport { plan: Some(plan), ..settle(&self.pool, progress)? })
    }

    /// Carries on what changes have begun: rebuilds, lets drained disks go, and moves shards to where they are preferred. While a disk is missing that may
    /// return, its shards are waited for: what lacks only them is not written anew, which [`Sealed::repair`] does.
    pub fn settle_disks(&self, progress: &dyn Progress) -> Result<ChangeReport, VaultError> {
        settle(&self.pool, progress)
    }
}

fn settle(pool: &Pool, progress: &dyn Progress) -> Result<ChangeReport, VaultError> {
    let mut report =
        ChangeReport { plan: None, objects: 0, shards_written: 0, shards_moved: 0, departures: Vec::new(), remaining: Vec::new() };
    rebuild(pool, progress, &mut report)?;
    report.departures = pool.finish_drains()?;
    let displaced = pool.displaced();
    progress.begin(Step::Repair, displaced.len() as u64, 0);
    for name in displaced {
        report.shards_moved += pool.rebalance_object(name)? as u64;
        progress.advance(1, 0);
    }
    forget_old_slots(pool)?;
    Ok(report)
}

fn rebuild(pool: &Pool, progress: &dyn Progress, report: &mut ChangeReport) -> Result<(), VaultError> {
    let names = pool.unsettled();
    progress.begin(Step::Repair, names.len() as u64, 0);
    for name in names {
        if !pool.is_mendable(name, Narrowing::ToSave)? {
            report.remaining.push(format!("{name} has less redundancy than it should have, until its disk is back or replaced"));
            progress.advance(1, 0);
            continue;
        }
        match pool.repair_with(name, Narrowing::ToSave) {
            Ok(repaired) => {
                report.shards_written += repaired.shards_written as u64;
                match repaired.outcome {
                    RepairOutcome::Whole | RepairOutcome::Healed => {}
                    RepairOutcome::Degraded => report.remaining.push(format!("{name} has less redundancy than it should have")),
                    RepairOutcome::Lost => report.remaining.push(format!("{name} can't be put together any more")),
                }
            }
            Err(error @ (PoolError::Full { .. } | PoolError::TooFewWritable { .. } | PoolError::Disk { .. })) => {
                report.remaining.push(format!("{name}: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
        report.objects += 1;
        progress.advance(1, 0);
    }
    Ok(())
}
