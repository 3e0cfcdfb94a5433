//! What runs beside each other must not choose twice: the numbers of packs, and whose snapshot comes next; and no run's base may be forgotten under it. Nothing here outlives the program: each
//! run says what it found in the pool.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keepwell_format::{PackSeq, SnapshotId};

use crate::VaultError;

/// The order among the runs of one vault.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    next_pack: Mutex<u64>,
    newest: Mutex<Option<(u64, SnapshotId)>>,
    /// What runs under way build on, and how many do.
    pins: Mutex<BTreeMap<SnapshotId, usize>>,
}

/// A run builds on a snapshot as long as this lives.
#[derive(Debug)]
pub(crate) struct Pin<'a> {
    turns: &'a Turns,
    base: Option<SnapshotId>,
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        let Some(base) = self.base else { return };
        let mut pins = lock(&self.turns.pins);
        match pins.get_mut(&base) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(pins.remove(&base)),
        }
    }
}

impl Turns {
    /// Packs of this number and below were there once.
    pub(crate) fn used_up_to(&self, number: u64) {
        let mut next = lock(&self.next_pack);
        *next = (*next).max(number.saturating_add(1));
    }

    /// A number that no pack had and no run has.
    pub(crate) fn next_pack(&self) -> PackSeq {
        let mut next = lock(&self.next_pack);
        let number = PackSeq(*next);
        *next += 1;
        number
    }

    /// Lets a run look for what it builds on; from then on nobody forgets that.
    pub(crate) fn pin<T>(&self, look: impl FnOnce() -> Result<(T, Option<SnapshotId>), VaultError>) -> Result<(T, Pin<'_>), VaultError> {
        let mut pins = lock(&self.pins);
        let (found, base) = look()?;
        if let Some(base) = base {
            *pins.entry(base).or_insert(0) += 1;
        }
        Ok((found, Pin { turns: self, base }))
    }

    /// Does something while no run begins; it is told how to ask whether a run builds on a snapshot.
    pub(crate) fn between_runs<T>(&self, act: impl FnOnce(&dyn Fn(&SnapshotId) -> bool) -> T) -> T {
        let pins = lock(&self.pins);
        act(&|id| pins.contains_key(id))
    }

    /// Adds a snapshot behind the newest: `put` is told its number and the one before, and makes it durable, while no other run does so. `found` is the newest that
    /// the run saw at its start.
    pub(crate) fn append(
        &self,
        found: Option<(u64, SnapshotId)>,
        put: impl FnOnce(u64, SnapshotId) -> Result<SnapshotId, VaultError>,
    ) -> Result<SnapshotId, VaultError> {
        let mut newest = lock(&self.newest);
        let (sequence, before) = newest.max(found).unwrap_or((0, SnapshotId::NONE));
        let id = put(sequence + 1, before)?;
        *newest = Some((sequence + 1, id));
        Ok(id)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_packs_are_given_once() {
        let turns = Turns::default();
        turns.used_up_to(4);
        assert_eq!(turns.next_pack(), PackSeq(5));
        turns.used_up_to(2);
        assert_eq!(turns.next_pack(), PackSeq(6));
        turns.used_up_to(9);
        assert_eq!(turns.next_pack(), PackSeq(10));
    }

    #[test]
    fn a_base_is_pinned_as_long_as_a_run_builds_on_it() {
        let (turns, base) = (Turns::default(), SnapshotId([1; 32]));
        let pinned = || turns.between_runs(|is_pinned| is_pinned(&base));
        let (_, first) = turns.pin(|| Ok(((), Some(base)))).unwrap();
        let (_, second) = turns.pin(|| Ok(((), Some(base)))).unwrap();
        drop(turns.pin(|| Ok(((), None))).unwrap());
        assert!(turns.pin(|| Err::<((), _), _>(VaultError::NoSlots)).is_err());
        drop(first);
        assert!(pinned());
        drop(second);
        assert!(!pinned());
    }

    #[test]
    fn snapshots_follow_one_another() {
        let (turns, id) = (Turns::default(), |n| SnapshotId([n; 32]));
        let mut seen = Vec::new();
        let mut append = |found, n, fails: bool| {
            turns.append(found, |sequence, before| {
                seen.push((sequence, before));
                if fails { Err(VaultError::NoSlots) } else { Ok(id(n)) }
            })
        };
        // Both runs saw snapshot 3 when they began.
        let found = Some((3, id(3)));
        append(found, 4, false).unwrap();
        append(found, 0, true).unwrap_err();
        append(found, 5, false).unwrap();
        assert_eq!(seen, [(4, id(3)), (5, id(4)), (5, id(4))]);
    }
}
