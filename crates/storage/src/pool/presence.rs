//! Disks that go and come while the pool is open. What is listed of one that goes is forgotten with it, and listed anew when it is back: the same that opening the pool
//! again would find, without ending what is under way. Takes no place away from a disk and gives none to a new one: that is a change of disks.

use std::sync::{Arc, PoisonError};

use super::listing::{Entry, Listing, ShardAt};
use super::open::{state_of, survey_one};
use super::settle::Leftovers;
use super::survey::{Finding, Surveyed};
use super::{Access, DiskHealth, DiskState, Pool, Stray};
use crate::disk::Disk;
use crate::error::PoolError;
use crate::label::{Label, Role};
use crate::object::ObjectName;

impl Pool {
    /// Lets go of a disk by its name, so that it can be unmounted or come back as a new device: nothing of it is held open any more. A member is missing from then on. False
    /// when no disk of that name is held. What writes to it at this moment fails there, as if it had been pulled.
    pub fn let_go(&self, name: &str) -> bool {
        let mut strays = self.strays();
        let before = strays.len();
        strays.retain(|stray| stray.health.name != name);
        let was_stray = strays.len() < before;
        drop(strays);
        let gone = {
            let mut slots = self.slots_mut();
            let held = slots.iter_mut().enumerate().find(|(_, slot)| slot.disk.is_some() && slot.name == name);
            held.map(|(number, slot)| {
                (slot.disk, slot.lock, slot.failed, slot.state) = (None, None, None, DiskState::Missing);
                slot.note.clear();
                number
            })
        };
        if let Some(number) = gone {
            self.listing_mut().forget(number, name);
        }
        was_stray || gone.is_some()
    }

    /// Takes a disk that has appeared: a member that was missing gets its place back, with what is on it; any other one is known from then on, so that a change may take
    /// it in. Answers what it is to the pool.
    ///
    /// # Errors
    /// It can't be read; another program has it; or its label knows of a later change of disks than the pool does, which has to be opened again.
    pub fn take_in(&self, disk: Arc<dyn Disk>) -> Result<DiskState, PoolError> {
        self.check_write()?;
        let mut given = survey_one(disk, Access::Write)?;
        let state = match &given.finding {
            Finding::Unreachable(_) => return Ok(DiskState::Missing),
            Finding::Label(label) if label.vault == self.vault => match self.place_of(label)? {
                Ok(slot) => return self.seat_again(slot, given),
                Err(state) => state,
            },
            Finding::Newer { found, intact: true } => {
                return Err(PoolError::Newer { disk: given.disk.name().into(), found: *found });
            }
            _ => state_of(&given, self.vault).0,
        };
        let id = if let Finding::Label(label) = &given.finding { Some(label.disk) } else { None };
        let health = DiskHealth::stray(given.disk.name(), id, state, String::new());
        self.strays().push(Stray { health, lock: given.lock.take(), disk: given.disk });
        Ok(state)
    }

    /// Whether nothing of the pool is missing that this label would have: its place, or what the disk is without one.
    fn place_of(&self, label: &Label) -> Result<Result<usize, DiskState>, PoolError> {
        if label.generation > self.generation() {
            return Err(PoolError::Refused(
                "a disk that is back knows of a later change of the vault's disks than those that are there: the vault has to be opened again".into(),
            ));
        }
        let slots = self.slots();
        Ok(match slots.iter().position(|slot| slot.id == label.disk) {
            None => Err(DiskState::Replaced),
            Some(slot) if slots[slot].role == Role::Retired => Err(DiskState::Retired),
            // A copy of a disk that is there.
            Some(slot) if slots[slot].readable().is_some() => Err(DiskState::Foreign),
            Some(slot) => Ok(slot),
        })
    }

    fn seat_again(&self, number: usize, given: Surveyed) -> Result<DiskState, PoolError> {
        let (mut leftovers, mut found) = (Leftovers::default(), Listing::default());
        let place = u8::try_from(number).map_err(|_| PoolError::Invalid("a vault has at most 255 disks".into()))?;
        if leftovers.list_disk(place, given.disk.as_ref(), &mut found).is_err() {
            return Ok(DiskState::Missing);
        }
        if let (Finding::Label(label), Some(slot)) = (&given.finding, self.slots_mut().get_mut(number)) {
            // An empty one that stood in its place.
            if let Some(disk) = slot.disk.take().filter(|_| slot.state == DiskState::Empty) {
                let health = DiskHealth::stray(disk.name(), None, DiskState::Empty, String::new());
                self.strays().push(Stray { health, disk, lock: slot.lock.take() });
            }
            (slot.name, slot.generation) = (given.disk.name().into(), label.generation);
            (slot.disk, slot.lock, slot.failed, slot.state) = (Some(given.disk), given.lock, None, DiskState::Present);
            slot.note.clear();
        }
        self.listing.write().unwrap_or_else(PoisonError::into_inner).merge(found);
        self.settle(leftovers);
        self.label_laggards()?;
        Ok(DiskState::Present)
    }
}

impl Listing {
    /// What is in a place is no longer there.
    fn forget(&mut self, place: usize, disk: &str) {
        let on = |entry: &Entry| entry.shards.iter().filter(|at| usize::from(at.slot) == place).copied().collect::<Vec<_>>();
        let gone: Vec<(ObjectName, ShardAt)> =
            self.entries().flat_map(|(name, entry)| on(entry).into_iter().map(|at| (*name, at))).collect();
        gone.into_iter().for_each(|(name, at)| self.remove(name, at));
        self.foreign.retain(|(other, _)| other != disk);
        self.used_bytes.retain(|slot, _| usize::from(*slot) != place);
    }

    fn merge(&mut self, other: Self) {
        for (name, entry) in other.entries() {
            entry.shards.iter().for_each(|at| self.insert(*name, *at));
        }
        self.foreign.extend(other.foreign);
        self.used_bytes.extend(other.used_bytes);
    }
}
