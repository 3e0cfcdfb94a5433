//! The disks of a vault that stays open: they go and come, change, and what that leaves to be done is done in slices, beside backups. Decides nothing about disks: the pool
//! does.

use std::sync::Arc;

use keepwell_format::DiskId;
use keepwell_storage::{Change, ChangePlan, Departure, Disk, DiskState, Narrowing, ObjectName, PoolError, RepairOutcome};

use super::slots::forget_old_slots;
use crate::VaultError;
use crate::vault::Vault;

/// How far a round through what is to be mended has come. Lives as long as the program: a round that is begun anew costs time only.
#[derive(Debug, Default)]
pub struct MendCursor {
    round: Option<Round>,
}

/// What is to be looked at in this round; the first come last.
#[derive(Debug)]
struct Round {
    unsettled: Vec<ObjectName>,
    displaced: Option<Vec<ObjectName>>,
    waiting: u64,
    departures: Vec<Departure>,
}

/// What a slice did.
#[derive(Debug, Clone, Default)]
pub struct Mended {
    /// Objects that were looked at.
    pub objects: u64,
    /// Shards rebuilt.
    pub shards_written: u64,
    /// Shards moved to disks that their objects prefer.
    pub shards_moved: u64,
    /// Objects that are still to be looked at in this round.
    pub left: u64,
    /// Objects that wait: for a disk that is missing, for room, or for a person.
    pub waiting: u64,
    /// What became of the disks that are to leave, when the round is over.
    pub departures: Vec<Departure>,
    /// Whether the round is over.
    pub is_over: bool,
}

impl Vault {
    /// Lets go of a disk by its name: see [`keepwell_storage::Pool::let_go`].
    pub fn let_go(&self, disk: &str) -> bool {
        self.pool.let_go(disk)
    }

    /// Takes a disk that has appeared: see [`keepwell_storage::Pool::take_in`].
    ///
    /// # Errors
    /// It can't be read, another program has it, or the vault has to be opened again for it.
    pub fn take_in(&self, disk: Arc<dyn Disk>) -> Result<DiskState, VaultError> {
        Ok(self.pool.take_in(disk)?)
    }

    /// Says what a change of disks comes to, or why it can't be. Changes nothing.
    ///
    /// # Errors
    /// It would lose data, or leave fewer disks than the layout needs.
    pub fn check_change(&self, change: &Change) -> Result<ChangePlan, VaultError> {
        Ok(self.pool.check_change(change)?)
    }

    /// Begins a change of disks: labels are written, and from then on [`Vault::mend`] carries it out.
    ///
    /// # Errors
    /// As [`Vault::check_change`], and when no disk takes its label.
    pub fn begin_change(&self, change: &Change, id: &mut dyn FnMut() -> DiskId) -> Result<ChangePlan, VaultError> {
        let ids: Vec<[u8; 16]> = (0..self.pool.joining_disks(change)).map(|_| id().0).collect();
        Ok(self.pool.begin_change(change, &ids)?)
    }

    /// Objects that have to be rebuilt or moved before the pool is as it should be, by what is listed now.
    pub fn to_mend(&self) -> u64 {
        (self.pool.unsettled().len() + self.pool.displaced().len()) as u64
    }

    /// Goes on with what changes and losses of disks left to be done, as long as `more` says so: rebuilds, lets drained disks go, moves shards to where they are preferred. While
    /// a disk is missing that may return, what lacks only its shards waits.
    ///
    /// # Errors
    /// The pool failed in another way than by a disk that fails, is full or missing: that is told as waiting.
    pub fn mend(&self, cursor: &mut MendCursor, more: &mut dyn FnMut() -> bool) -> Result<Mended, VaultError> {
        let mut done = Mended::default();
        let mut round = match cursor.round.take() {
            Some(round) => round,
            None => Round { unsettled: reversed(self.pool.unsettled()), displaced: None, waiting: 0, departures: Vec::new() },
        };
        while let Some(name) = round.unsettled.pop() {
            round.waiting += u64::from(!self.rebuild(name, &mut done)?);
            if !more() {
                return Ok(pause(cursor, round, done));
            }
        }
        if round.displaced.is_none() {
            round.departures = self.pool.finish_drains()?;
            round.displaced = Some(reversed(self.pool.displaced()));
        }
        while let Some(name) = round.displaced.as_mut().and_then(Vec::pop) {
            done.objects += 1;
            done.shards_moved += self.pool.rebalance_object(name).or_else(gone)? as u64;
            if !more() {
                return Ok(pause(cursor, round, done));
            }
        }
        forget_old_slots(&self.pool)?;
        Ok(Mended { waiting: round.waiting, departures: round.departures, is_over: true, ..done })
    }

    /// Whether the object is as it should be now.
    fn rebuild(&self, name: ObjectName, done: &mut Mended) -> Result<bool, VaultError> {
        if !self.pool.contains(name) {
            return Ok(true);
        }
        match self.pool.is_mendable(name, Narrowing::ToSave) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => return gone(error).map(|_| true),
        }
        done.objects += 1;
        match self.pool.repair_with(name, Narrowing::ToSave) {
            Ok(repaired) => {
                done.shards_written += repaired.shards_written as u64;
                Ok(matches!(repaired.outcome, RepairOutcome::Whole | RepairOutcome::Healed))
            }
            Err(PoolError::Full { .. } | PoolError::TooFewWritable { .. } | PoolError::Disk { .. }) => Ok(false),
            Err(error) => gone(error).map(|_| true),
        }
    }
}

/// An object that was forgotten meanwhile needs nothing.
fn gone(error: PoolError) -> Result<usize, VaultError> {
    match error {
        PoolError::NoObject(_) => Ok(0),
        other => Err(other.into()),
    }
}

fn reversed(mut names: Vec<ObjectName>) -> Vec<ObjectName> {
    names.reverse();
    names
}

fn pause(cursor: &mut MendCursor, round: Round, done: Mended) -> Mended {
    let left = round.unsettled.len() + round.displaced.as_ref().map_or(0, Vec::len);
    let waiting = round.waiting;
    cursor.round = Some(round);
    Mended { left: left as u64, waiting, ..done }
}
