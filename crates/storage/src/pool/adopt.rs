//! Takes empty disks into the pool, and labels those again that lost their label.
//!
//! The new disk gets its label first: from then on its list of members, with a higher generation, is the one that counts, and
//! labels that lag behind are rewritten by the next call.

use super::create::{prepare, write_label};
use super::{DiskState, Pool};
use crate::error::PoolError;
use crate::label::{Label, Member};

/// What became of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// It was empty and belongs to the pool now; repair fills it.
    Empty(String),
    /// Its label was damaged or gone, and is written anew.
    Relabelled(String),
}

impl Pool {
    /// How many ids [`Pool::adopt_empty_disks`] can use.
    pub fn empty_disks(&self) -> usize {
        self.in_state(DiskState::Empty).len()
    }

    /// Takes empty disks in, as long as there are ids for them, and labels disks again whose shards are this vault's. Each new disk has the place of one that
    /// is missing and is given up by that, so it is refused when more are missing than the layout allows.
    pub fn adopt_empty_disks(&self, ids: &[[u8; 16]]) -> Result<Vec<Adopted>, PoolError> {
        self.check_write()?;
        let mut members = self.members();
        let highest = self.slots().iter().map(|s| s.generation).max().unwrap_or(1);
        let empty: Vec<usize> = self.in_state(DiskState::Empty);
        let chosen: Vec<(usize, [u8; 16])> = empty.into_iter().zip(ids.iter().copied()).collect();
        if !chosen.is_empty() {
            self.check_missing()?;
        }
        self.check_new_ids(&chosen.iter().map(|(_, id)| *id).collect::<Vec<_>>())?;
        chosen.iter().for_each(|(slot, id)| members[*slot] = Member::active(*id));
        let generation = highest + u64::from(!chosen.is_empty());
        let label = |slot: usize| Label {
            vault: self.vault,
            disk: members[slot].disk,
            layout: self.layout(),
            generation,
            members: members.clone(),
        };
        let mut adopted = Vec::new();
        for (slot, _) in chosen {
            adopted.push(Adopted::Empty(self.relabel(slot, &label(slot))?));
        }
        for slot in self.in_state(DiskState::DamagedLabel) {
            adopted.push(Adopted::Relabelled(self.relabel(slot, &label(slot))?));
        }
        for slot in self.in_state(DiskState::Present) {
            if self.slots()[slot].generation != generation {
                self.relabel(slot, &label(slot))?;
            }
        }
        Ok(adopted)
    }

    pub(super) fn check_new_ids(&self, ids: &[[u8; 16]]) -> Result<(), PoolError> {
        let slots = self.slots();
        let known = |id: &[u8; 16]| slots.iter().any(|slot| slot.id == *id);
        if ids.iter().enumerate().any(|(n, id)| known(id) || ids[..n].contains(id)) {
            return Err(PoolError::Invalid("a new disk needs a new id".into()));
        }
        Ok(())
    }

    fn in_state(&self, state: DiskState) -> Vec<usize> {
        let slots = self.slots();
        (0..slots.len()).filter(|slot| slots[*slot].is_member() && slots[*slot].state == state).collect()
    }

    /// Writes a disk's label, with its folders where they are missing.
    pub(super) fn relabel(&self, slot: usize, label: &Label) -> Result<String, PoolError> {
        let (disk, state) = {
            let slots = self.slots();
            (slots[slot].disk.clone(), slots[slot].state)
        };
        let Some(disk) = disk else { return Err(PoolError::Invalid("a slot without a disk can't be labelled".into())) };
        let written = if state == DiskState::Present { write_label(disk.as_ref(), label) } else { prepare(disk.as_ref(), label) };
        written.map_err(PoolError::disk("a disk's label can't be written"))?;
        let mut slots = self.slots_mut();
        let slot = &mut slots[slot];
        (slot.id, slot.state, slot.generation) = (label.disk, DiskState::Present, label.generation);
        slot.note.clear();
        Ok(slot.name.clone())
    }
}
