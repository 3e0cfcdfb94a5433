//! Lets drained disks go, and says what is still to be done. Never lets a disk go that holds something the others do not hold in full.

use super::repair::RepairOutcome;
use super::{DiskHealth, DiskState, Entry, Pool, Stray};
use crate::error::PoolError;
use crate::label::{Label, Role};
use crate::layout::SMALL;
use crate::object::{ObjectName, Spread};

/// What became of a disk that is to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    /// It has left: nothing on it is needed, and it is no member any more.
    Left {
        /// Its name.
        disk: String,
    },
    /// It is still needed.
    Stays {
        /// Its name.
        disk: String,
        /// What for.
        why: String,
    },
}

impl Pool {
    /// Objects that are not as they should be, as far as directories tell: less than full redundancy on disks that stay, or shards that are one too
    /// many. Repair settles each. Ascending.
    pub fn unsettled(&self) -> Vec<ObjectName> {
        let active = self.active();
        let unsettled = |(name, entry): &(ObjectName, Entry)| !self.is_settled(*name, entry, &active);
        self.sorted_entries().into_iter().filter(unsettled).map(|(name, _)| name).collect()
    }

    /// All objects, ascending: what is done in this order is done in the same order in each run.
    pub(super) fn sorted_entries(&self) -> Vec<(ObjectName, Entry)> {
        let mut entries: Vec<(ObjectName, Entry)> = self.listing().entries().map(|(name, entry)| (*name, entry.clone())).collect();
        entries.sort_unstable_by_key(|(name, _)| *name);
        entries
    }

    /// Whether the object has all its shards, each once, on active disks. Reads a header when the object may be small or not.
    pub(super) fn is_settled(&self, name: ObjectName, entry: &Entry, active: &[bool]) -> bool {
        let whole_copies = entry.shards.iter().any(|at| at.layout.k == 1);
        let len = match (name.class.spread(), entry.len) {
            (Spread::Layout, None) if whole_copies => self.len(name).ok(),
            (Spread::Layout, None) => Some(SMALL),
            (_, len) => len.or(Some(0)),
        };
        len.is_some_and(|len| {
            let full = self.full_layout(name.class.spread(), len);
            entry.shards.len() == usize::from(full.width()) && entry.has_all(full, active)
        })
    }

    /// Disks that are to leave and are no longer needed do so. Nothing is removed or written but labels, and what repair does to objects that a disk
    /// which takes no changes still lists.
    pub fn finish_drains(&self) -> Result<Vec<Departure>, PoolError> {
        self.check_write()?;
        // Labels that a cut change left behind.
        self.label_laggards()?;
        let draining: Vec<(usize, String)> = {
            let slots = self.slots();
            slots.iter().enumerate().filter(|(_, s)| s.role == Role::Draining).map(|(n, s)| (n, s.name.clone())).collect()
        };
        let mut departures = Vec::new();
        let mut gone = Vec::new();
        for (slot, disk) in draining {
            match self.needed_for(slot)? {
                Some(why) => departures.push(Departure::Stays { disk, why }),
                None => {
                    departures.push(Departure::Left { disk });
                    gone.push(slot);
                }
            }
        }
        if !gone.is_empty() {
            self.retire(&gone)?;
        }
        Ok(departures)
    }

    /// What a draining disk is still needed for.
    fn needed_for(&self, slot: usize) -> Result<Option<String>, PoolError> {
        let (readable, changeable) = {
            let slots = self.slots();
            (slots[slot].readable().is_some(), slots[slot].changeable().is_some())
        };
        if !readable {
            let missing = self.slots().iter().filter(|s| s.is_member() && s.readable().is_none()).count();
            if missing > usize::from(self.layout().m) {
                // An object all of whose shards are on missing disks is listed nowhere, so nobody would miss it.
                return Ok(Some("it is not there, and what only missing disks hold is not known: bring it back".into()));
            }
            let degraded = self.health().degraded_objects;
            let why = || format!("it is not there, and {degraded} objects lack redundancy for which it may hold shards");
            return Ok((degraded > 0).then(why));
        }
        let here = |entry: &Entry| entry.shards.iter().any(|at| usize::from(at.slot) == slot);
        let held: Vec<ObjectName> = self.sorted_entries().into_iter().filter(|(_, entry)| here(entry)).map(|(name, _)| name).collect();
        if changeable || held.is_empty() {
            return Ok(
                (!held.is_empty()).then(|| format!("it holds shards of {} objects that the other disks do not have in full", held.len()))
            );
        }
        // It takes no changes, so superseded shards stay on it: each object is proven to be whole without them.
        let mut needed = 0;
        for name in &held {
            let outcome = self.repair_object(*name)?.outcome;
            needed += u64::from(!matches!(outcome, RepairOutcome::Whole | RepairOutcome::Healed));
        }
        Ok((needed > 0).then(|| format!("it holds shards of {needed} objects that the other disks do not have in full")))
    }

    /// They are no members any more.
    fn retire(&self, gone: &[usize]) -> Result<(), PoolError> {
        self.slots_mut().iter_mut().enumerate().filter(|(n, _)| gone.contains(n)).for_each(|(_, slot)| slot.role = Role::Retired);
        let left: Vec<(ObjectName, super::ShardAt)> = {
            let listing = self.listing();
            let on = |entry: &Entry| entry.shards.iter().filter(|at| gone.contains(&usize::from(at.slot))).copied().collect::<Vec<_>>();
            listing.entries().flat_map(|(name, entry)| on(entry).into_iter().map(|at| (*name, at))).collect()
        };
        left.into_iter().for_each(|(name, at)| self.listing_mut().remove(name, at));
        let result = self.label_anew();
        let mut slots = self.slots_mut();
        for slot in gone.iter().copied() {
            let slot = &mut slots[slot];
            slot.state = DiskState::Retired;
            if let Some(disk) = slot.disk.take() {
                let health = DiskHealth::stray(disk.name(), Some(slot.id), DiskState::Retired, String::new());
                self.strays().push(Stray { health, disk, lock: slot.lock.take() });
            }
        }
        result
    }

    /// The highest generation of a label that is known.
    pub(super) fn generation(&self) -> u64 {
        self.slots().iter().map(|slot| slot.generation).max().unwrap_or(1)
    }

    /// Writes the places as they are in memory to every member, as a new generation.
    pub(super) fn label_anew(&self) -> Result<(), PoolError> {
        self.label(self.generation() + 1)
    }

    /// Writes the places as they are in memory to the members that lag behind the newest generation.
    pub(super) fn label_laggards(&self) -> Result<(), PoolError> {
        self.label(self.generation())
    }

    /// A disk that fails takes no writes any more; that none took it is an error.
    fn label(&self, generation: u64) -> Result<(), PoolError> {
        let (members, layout) = (self.members(), self.layout());
        let mut failure = None;
        let mut written = 0;
        for slot in 0..members.len() {
            let (wanted, has) = {
                let slots = self.slots();
                (slots[slot].changeable().is_some(), slots[slot].generation)
            };
            if !wanted || has == generation {
                written += usize::from(wanted);
                continue;
            }
            let label = Label { vault: self.vault, disk: members[slot].disk, layout, generation, members: members.clone() };
            match self.relabel(slot, &label) {
                Ok(_) => written += 1,
                Err(PoolError::Disk { source, doing }) => {
                    self.mark_failed(slot as u8, source.clone());
                    failure = Some(PoolError::Disk { source, doing });
                }
                Err(other) => return Err(other),
            }
        }
        match failure {
            Some(failure) if written == 0 => Err(failure),
            _ => Ok(()),
        }
    }
}
