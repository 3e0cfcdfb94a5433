//! Gives objects their redundancy back.
//!
//! Plans from what was read and checked, writes what is missing, and removes what is superseded only when the full layout is
//! durable. An object that can't be put together is left exactly as it is.

use super::Pool;
use super::commit::CommitReport;
use super::listing::{Entry, ShardAt};
use super::place::Candidate;
use super::recover::Read;
use super::scrub::{ScrubReport, ScrubVerdict};
use super::write::{Phase, Staged};
use crate::coding::encode_object;
use crate::error::PoolError;
use crate::layout::Layout;
use crate::object::ObjectName;
use crate::shard::HEADER_LEN;

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

/// When an object gets a narrower layout than it should have, because disks are missing. That takes room, which only comes back with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrowing {
    /// Only when it can't be read any more without disks that are to leave.
    ToSave,
    /// Whenever it can then lose more disks than now.
    ToGain,
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

/// Which shards of a layout are there, and where others go; as many as there are disks for.
struct Plan {
    layout: Layout,
    kept: Vec<ShardAt>,
    missing: Vec<(u8, Candidate)>,
}

impl Pool {
    /// As [`Pool::repair_with`], with whatever layout gains.
    pub fn repair_object(&self, name: ObjectName) -> Result<RepairReport, PoolError> {
        self.repair_with(name, Narrowing::ToGain)
    }

    /// Checks an object and rebuilds what is missing or damaged, on disks that stay, where it can lose more disks by that. A disk that fails on the way
    /// gets no more writes, and it is tried again without it.
    pub fn repair_with(&self, name: ObjectName, narrowing: Narrowing) -> Result<RepairReport, PoolError> {
        self.check_write()?;
        loop {
            let before = self.writable().len();
            match self.try_repair(name, narrowing) {
                Err(PoolError::Disk { .. }) if self.writable().len() < before => {}
                result => return result,
            }
        }
    }

    /// Whether repair would change anything, as far as directories tell. Reads a header at most.
    pub fn is_mendable(&self, name: ObjectName, narrowing: Narrowing) -> Result<bool, PoolError> {
        let entry = self.entry(name)?;
        // What can't be read at all, repair has to say.
        let Some(len) = entry.len.or_else(|| self.len(name).ok()) else { return Ok(true) };
        Ok(self.choose(name, len, &entry.shards, &self.writable(), narrowing).is_some())
    }

    /// Whether there is room to give all objects that lack redundancy a narrower layout. With part of them done, room would lack for new ones as well.
    pub fn has_room_to_narrow(&self) -> Result<bool, PoolError> {
        let disks = self.writable();
        let mut needed = 0;
        for name in self.unsettled() {
            let Ok(len) = self.len(name) else { continue };
            if let Some(layout) = self.layout_on(name.class.spread(), len, disks.len()) {
                needed += (layout.shard_len(len) + HEADER_LEN as u64) * u64::from(layout.width());
            }
        }
        let share = needed / disks.len().max(1) as u64;
        Ok(disks.iter().all(|disk| disk.disk.space().is_ok_and(|space| space.free >= share.saturating_add(self.reserve.bytes(space)))))
    }

    fn try_repair(&self, name: ObjectName, narrowing: Narrowing) -> Result<RepairReport, PoolError> {
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
        let Some(plan) = self.plan_repair(name, object.len() as u64, &found.good, narrowing)? else {
            return Ok(report(RepairOutcome::Degraded, 0, 0));
        };
        let written = plan.missing.len();
        if written > 0 {
            self.rebuild(name, object, &plan)?;
        }
        if plan.layout != full || !plan.is_complete() {
            return Ok(report(RepairOutcome::Degraded, written, 0));
        }
        let removed = self.remove_superseded(name, &entry, &plan);
        Ok(report(RepairOutcome::Healed, written, removed))
    }

    /// What to write, with room for it; none when nothing is gained. Redundancy is not traded for space.
    fn plan_repair(&self, name: ObjectName, len: u64, good: &[ShardAt], narrowing: Narrowing) -> Result<Option<Plan>, PoolError> {
        let spread = name.class.spread();
        let (disks, full) = self.room(name.id, spread, len);
        let plan = self.choose(name, len, good, &disks, narrowing);
        match (plan, full) {
            (Some(plan), None) => Ok(Some(plan)),
            (Some(plan), _) if plan.is_complete() && plan.layout == self.full_layout(spread, len) => Ok(Some(plan)),
            (_, Some((disk, space))) => Err(self.full_error(disk.disk.as_ref(), Some(space))),
            (None, None) if self.layout_on(spread, len, disks.len()).is_none() => Err(self.too_few_writable()),
            (None, None) => Ok(None),
        }
    }

    /// The full layout where there are disks for it; otherwise what lets the object lose more disks than now: a narrower one, or more shards of the full one.
    fn choose(&self, name: ObjectName, len: u64, good: &[ShardAt], disks: &[Candidate], narrowing: Narrowing) -> Option<Plan> {
        let (spread, active) = (name.class.spread(), self.active());
        let full = self.full_layout(spread, len);
        let part = place(full, good, disks, &active);
        if part.is_complete() {
            return Some(part);
        }
        let now = good.iter().map(|at| place(at.layout, good, &[], &active).spare()).max().unwrap_or(i32::MIN);
        let fewer = (1..active.len()).rev().filter_map(|count| self.layout_on(spread, len, count)).filter(|layout| *layout != full);
        let narrower = fewer.map(|layout| place(layout, good, disks, &active)).find(Plan::is_complete);
        let allowed = narrowing == Narrowing::ToGain || now < 0;
        let narrower = narrower.filter(|plan| allowed && plan.spare() > part.spare());
        narrower.or(Some(part)).filter(|plan| plan.spare() > now)
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
        let wanted = plan.kept.len() + plan.missing.len();
        if batch[0].count(Phase::Synced) < wanted {
            return Err(self.too_few_writable());
        }
        self.publish(&mut batch)?;
        self.enlist(&batch, &mut CommitReport::default());
        if batch[0].count(Phase::Durable) < wanted {
            return Err(self.too_few_writable());
        }
        Ok(())
    }

    /// Writes all shards of an object of which too little is left, in the best layout there are disks for, and removes what was left.
    pub(super) fn write_anew(&self, name: ObjectName, entry: &Entry, object: Vec<u8>) -> Result<RepairOutcome, PoolError> {
        let len = object.len() as u64;
        let full = self.full_layout(name.class.spread(), len);
        let plan = self.plan_repair(name, len, &[], Narrowing::ToSave)?.filter(Plan::is_complete).ok_or_else(|| self.too_few_writable())?;
        self.rebuild(name, object, &plan)?;
        self.remove_superseded(name, entry, &plan);
        Ok(if plan.layout == full { RepairOutcome::Healed } else { RepairOutcome::Degraded })
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

impl Plan {
    fn is_complete(&self) -> bool {
        self.kept.len() + self.missing.len() == usize::from(self.layout.width())
    }

    /// How many disks the object can lose when this is done; negative when it can't be read.
    fn spare(&self) -> i32 {
        (self.kept.len() + self.missing.len()) as i32 - i32::from(self.layout.k)
    }
}

/// Keeps good shards on active disks, one a disk and one an index, and gives the missing ones their preferred free disks, as long as there are any.
fn place(layout: Layout, good: &[ShardAt], disks: &[Candidate], active: &[bool]) -> Plan {
    let mut kept: Vec<ShardAt> = Vec::new();
    for at in good.iter().filter(|at| at.layout == layout && active[usize::from(at.slot)]) {
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
    missing.extend(homeless.into_iter().zip(free.into_iter().flatten().cloned()));
    Plan { layout, kept, missing }
}
