//! Gives objects their redundancy back.
//!
//! Plans from what was read and checked, writes what is missing, and removes what is superseded only when the full layout is
//! durable. An object that can't be put together is left exactly as it is.

use super::Pool;
use super::commit::CommitReport;
use super::listing::{Entry, ShardAt};
use super::place::Candidate;
use super::recover::{Read, Recovered};
use super::scrub::{ScrubReport, ScrubVerdict};
use super::write::{Phase, Staged};
use crate::coding::encode_object;
use crate::error::PoolError;
use crate::layout::Layout;
use crate::object::ObjectName;

/// How a repair ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairOutcome {
    /// There was nothing to do.
    Whole,
    /// It has its full redundancy again.
    Healed,
    /// It has the best redundancy that the disks there are allow, which is not the full one.
    Degraded,
    /// It can't be put together; nothing was changed.
    Lost,
}

/// What a repair of one object did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairReport {
    /// What was found before.
    pub found: ScrubReport,
    /// How it ended.
    pub outcome: RepairOutcome,
    /// Shards written.
    pub shards_written: usize,
    /// Superseded or damaged files removed.
    pub shards_removed: usize,
}

/// Which shards of a layout are there, and where the others go.
struct Plan {
    layout: Layout,
    kept: Vec<ShardAt>,
    missing: Vec<(u8, Candidate)>,
}

impl Pool {
    /// Checks an object and rebuilds what is missing or damaged, on disks that stay. A disk that fails on the way gets no more writes, and it
    /// is tried again without it.
    pub fn repair_object(&self, name: ObjectName) -> Result<RepairReport, PoolError> {
        self.check_write()?;
        loop {
            let before = self.writable().len();
            match self.try_repair(name) {
                Err(PoolError::Disk { .. }) if self.writable().len() < before => {}
                result => return result,
            }
        }
    }

    fn try_repair(&self, name: ObjectName) -> Result<RepairReport, PoolError> {
        let entry = self.entry(name)?;
        let mut found = self.recover(name, &entry, Read::All);
        let scrub = self.scrub_report(name, &entry, &found);
        let report =
            |outcome, written, removed| RepairReport { found: scrub.clone(), outcome, shards_written: written, shards_removed: removed };
        let Some(object) = found.object.take() else { return Ok(report(RepairOutcome::Lost, 0, 0)) };
        let full = self.full_layout(name.class.spread(), object.len() as u64);
        let extra = found.good.len() > usize::from(full.width());
        if scrub.verdict == ScrubVerdict::Whole && !extra {
            return Ok(report(RepairOutcome::Whole, 0, 0));
        }
        let plan = self.plan_repair(name, object.len() as u64, &found)?;
        let written = plan.missing.len();
        if written > 0 {
            self.rebuild(name, object, &plan)?;
        }
        if plan.layout != full {
            return Ok(report(RepairOutcome::Degraded, written, 0));
        }
        let removed = self.remove_superseded(name, &entry, &plan);
        Ok(report(RepairOutcome::Healed, written, removed))
    }

    /// The widest layout that can be had with good shards where they are and room for the others.
    fn plan_repair(&self, name: ObjectName, len: u64, found: &Recovered) -> Result<Plan, PoolError> {
        let spread = name.class.spread();
        let (disks, full) = self.room(name.id, spread, len);
        let active = self.active();
        for count in (1..=active.iter().filter(|active| **active).count()).rev() {
            if let Some(plan) = self.layout_on(spread, len, count).and_then(|layout| place(layout, found, &disks, &active)) {
                return Ok(plan);
            }
            if let Some((disk, space)) = &full {
                return Err(self.full_error(disk.disk.as_ref(), Some(*space)));
            }
        }
        Err(self.too_few_writable())
    }

    fn rebuild(&self, name: ObjectName, object: Vec<u8>, plan: &Plan) -> Result<(), PoolError> {
        let len = object.len() as u64;
        let encoded = encode_object(plan.layout, self.vault, name.class, object);
        let (shards, failures) = self.write_shards(&encoded, plan.missing.clone());
        drop(encoded);
        let staged = Staged { name, spread: name.class.spread(), len, layout: plan.layout, shards, kept: plan.kept.len() };
        if let Some((disk, error)) = failures.into_iter().next() {
            return Err(self.repair_failed(&disk, error));
        }
        let mut batch = [staged];
        self.sync(&mut batch)?;
        if batch[0].count(Phase::Synced) < plan.layout.width().into() {
            return Err(self.too_few_writable());
        }
        self.publish(&mut batch)?;
        self.enlist(&batch, &mut CommitReport::default());
        if batch[0].count(Phase::Durable) < plan.layout.width().into() {
            return Err(self.too_few_writable());
        }
        Ok(())
    }

    fn repair_failed(&self, disk: &Candidate, error: crate::disk::DiskError) -> PoolError {
        match self.after_failure(disk.slot, disk.disk.as_ref(), error.clone()) {
            Err(full) => full,
            Ok(()) => PoolError::Disk { doing: "a repair could not write; what was there before is untouched", source: error },
        }
    }

    /// Removes every other shard of the object, damaged ones included.
    fn remove_superseded(&self, name: ObjectName, entry: &Entry, plan: &Plan) -> usize {
        let wanted = |at: &ShardAt| {
            let new = |(index, disk): &(u8, Candidate)| at.layout == plan.layout && at.index == *index && at.slot == disk.slot;
            plan.kept.contains(at) || plan.missing.iter().any(new)
        };
        let others: Vec<ShardAt> = entry.shards.iter().filter(|at| !wanted(at)).copied().collect();
        self.remove_shards(name, &others)
    }

    /// Removes shards, from disks that take changes, and answers how many. A disk that will not is left with its own.
    pub(super) fn remove_shards(&self, name: ObjectName, shards: &[ShardAt]) -> usize {
        let mut slots = Vec::new();
        let mut removed = 0;
        for at in shards {
            let Some(disk) = self.slots().get(usize::from(at.slot)).and_then(|s| s.changeable().cloned()) else { continue };
            match disk.remove(&at.path(name)) {
                Ok(()) => {
                    self.listing_mut().remove(name, *at);
                    slots.push(at.slot);
                    removed += 1;
                }
                Err(error) => self.mark_failed(at.slot, error),
            }
        }
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            if let Some(Err(error)) = self.readable(slot).map(|disk| disk.sync_folder(name.class.folder())) {
                self.mark_failed(slot, error);
            }
        }
        removed
    }
}

/// Keeps good shards on active disks, one a disk and one an index, and gives the missing ones their preferred free disks.
fn place(layout: Layout, found: &Recovered, disks: &[Candidate], active: &[bool]) -> Option<Plan> {
    let mut kept: Vec<ShardAt> = Vec::new();
    for at in found.good.iter().filter(|at| at.layout == layout && active[usize::from(at.slot)]) {
        if kept.iter().all(|other| other.index != at.index && other.slot != at.slot) {
            kept.push(*at);
        }
    }
    let mut free: Vec<Option<&Candidate>> = disks.iter().map(|d| Some(d).filter(|d| kept.iter().all(|at| at.slot != d.slot))).collect();
    let (mut missing, mut homeless) = (Vec::new(), Vec::new());
    for index in (0..layout.width()).filter(|index| kept.iter().all(|at| at.index != *index)) {
        match free.get_mut(usize::from(index)).and_then(Option::take) {
            Some(preferred) => missing.push((index, preferred.clone())),
            None => homeless.push(index),
        }
    }
    let mut rest = free.into_iter().flatten();
    for index in homeless {
        missing.push((index, rest.next()?.clone()));
    }
    Some(Plan { layout, kept, missing })
}
