//! Changes of the pool's disks: some join, some are to leave. Plans first, then writes labels, and nothing else: no shard moves here.
//!
//! A change is one generation of labels. New disks get theirs first; a crash leaves labels of two generations, of which the higher counts and
//! either would do, because what the directories list is the truth. A disk that is to leave is *draining* until nothing on it is needed.

use std::sync::Arc;

use super::create::{check_empty, prepare};
use super::survey::hex;
use super::{DiskState, Entry, Pool, Slot, place_name};
use crate::disk::Disk;
use crate::error::{PoolError, human_bytes};
use crate::label::{Label, Member, Role};
use crate::layout::Layout;
use crate::object::Class;

/// What is to become of the pool's disks. Disks go by their names; members also by their ids (hex), and missing ones by their places (`disk-2`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Empty disks join; one that is draining stays after all. A new layout is given to new objects, and to the others by repair.
    Add {
        /// The disks.
        disks: Vec<String>,
        /// The layout from now on; none: as it is.
        layout: Option<Layout>,
    },
    /// An empty disk joins, and a member leaves when all that it holds is elsewhere. It need not be there.
    Replace {
        /// The member.
        old: String,
        /// The empty disk.
        new: String,
    },
    /// A member leaves when all that it holds is elsewhere.
    Remove {
        /// The member.
        disk: String,
    },
}

/// What a change comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePlan {
    /// Disks that join.
    pub joining: Vec<String>,
    /// Disks that are to leave, and their ids.
    pub leaving: Vec<(String, [u8; 16])>,
    /// The layout afterwards.
    pub layout: Layout,
    /// Disks that take shards afterwards.
    pub active_disks: usize,
    /// Bytes that lie on leaving disks, as far as those are there.
    pub leaving_bytes: u64,
    /// Nothing is left to be done: an earlier call did it.
    pub is_done: bool,
}

/// What a change makes of the places.
struct Next {
    members: Vec<Member>,
    layout: Layout,
    /// Empty disks and their places.
    joining: Vec<(usize, String)>,
    leaving: Vec<usize>,
}

impl Pool {
    /// Says what a change comes to, or why it can't be: it would lose data, or leave fewer disks than the layout needs. Changes nothing.
    pub fn check_change(&self, change: &Change) -> Result<ChangePlan, PoolError> {
        let ids = vec![[0; 16]; self.joining_disks(change)];
        let next = self.next(change, &ids)?;
        self.check_next(change, &next)
    }

    /// How many new ids [`Pool::begin_change`] needs at most.
    pub fn joining_disks(&self, change: &Change) -> usize {
        match change {
            Change::Add { disks, .. } => disks.len(),
            Change::Replace { .. } => 1,
            Change::Remove { .. } => 0,
        }
    }

    /// Begins a change: checks it and writes the labels. [`Pool::unsettled`] then names the objects to repair, and [`Pool::finish_drains`] lets leaving
    /// disks go. To go on after a crash, do it all again.
    pub fn begin_change(&self, change: &Change, ids: &[[u8; 16]]) -> Result<ChangePlan, PoolError> {
        self.check_write()?;
        self.check_new_ids(ids)?;
        let next = self.next(change, ids)?;
        let plan = self.check_next(change, &next)?;
        if !plan.is_done {
            self.enact(next)?;
        }
        Ok(plan)
    }

    fn next(&self, change: &Change, ids: &[[u8; 16]]) -> Result<Next, PoolError> {
        let mut next = Next { members: self.members(), layout: self.layout(), joining: Vec::new(), leaving: Vec::new() };
        let mut ids = ids.iter().copied();
        match change {
            Change::Add { disks, layout } => {
                for name in disks {
                    match self.named(name) {
                        Some(slot) => self.stay(slot, &mut next)?,
                        None => self.join(name, ids.next(), &mut next)?,
                    }
                }
                next.layout = layout.unwrap_or(next.layout);
            }
            Change::Replace { old, new } => {
                let leaving = self.leave(old, &mut next)?;
                let is_begun = self.slots()[leaving].role == Role::Draining;
                match self.named(new).filter(|slot| *slot != leaving && self.slots()[*slot].state != DiskState::Empty) {
                    Some(_) if is_begun => {}
                    Some(_) => {
                        return Err(PoolError::Refused(format!("{new} is a disk of this vault already, so it can't take over from {old}")));
                    }
                    None => self.join(new, ids.next(), &mut next)?,
                }
            }
            Change::Remove { disk } => drop(self.leave(disk, &mut next)?),
        }
        Ok(next)
    }

    /// The place of a member whose disk has this name; of one that is missing only when no other has it.
    fn named(&self, name: &str) -> Option<usize> {
        let slots = self.slots();
        let with = |there: bool| slots.iter().position(|slot| slot.is_member() && slot.name == name && slot.disk.is_some() == there);
        with(true).or_else(|| with(false))
    }

    /// The place of a member that is meant: by its disk's name, its id, or, where nothing has that name, the name of the place.
    fn member(&self, text: &str) -> Option<usize> {
        let by_id = || self.slots().iter().position(|slot| slot.is_member() && hex(&slot.id) == text);
        let by_place = || {
            let taken = self.strays().iter().any(|stray| stray.health.name == text);
            self.slots().iter().enumerate().position(|(n, slot)| !taken && slot.is_member() && text == place_name(n))
        };
        self.named(text).or_else(by_id).or_else(by_place)
    }

    fn stay(&self, slot: usize, next: &mut Next) -> Result<(), PoolError> {
        let slots = self.slots();
        if slots[slot].state == DiskState::Empty {
            let name = &slots[slot].name;
            return Err(PoolError::Refused(format!(
                "{name} is empty and stands where a disk of this vault is missing: bring that disk back, replace it by {name}, or let repair do so"
            )));
        }
        next.members[slot].role = Role::Active;
        Ok(())
    }

    /// Gives an empty disk a place: a retired one, or a new one.
    fn join(&self, name: &str, id: Option<[u8; 16]>, next: &mut Next) -> Result<(), PoolError> {
        let slots = self.slots();
        let stray = self.strays().iter().find(|stray| stray.health.name == name).map(|stray| stray.health.clone());
        let seated = slots.iter().any(|slot| slot.name == name && slot.state == DiskState::Empty);
        match stray {
            _ if next.joining.iter().any(|(_, other)| other == name) => {
                return Err(PoolError::Refused(format!("{name} is named twice")));
            }
            Some(disk) if disk.state != DiskState::Empty => {
                return Err(PoolError::Refused(format!("{name} can't be used, as it is not empty: it {}", disk.state)));
            }
            None if !seated => return Err(PoolError::Refused(format!("there is no empty disk {name}"))),
            _ => {}
        }
        let id = id.ok_or_else(|| PoolError::Invalid("a new disk needs a new id".into()))?;
        let free = |slot: &usize| next.members[*slot].role == Role::Retired && next.joining.iter().all(|(taken, _)| taken != slot);
        let place = (0..next.members.len()).find(free).unwrap_or(next.members.len());
        if place == usize::from(u8::MAX) {
            return Err(PoolError::Refused("a vault has at most 255 disks".into()));
        }
        next.members.resize(next.members.len().max(place + 1), Member::active(id));
        next.members[place] = Member::active(id);
        next.joining.push((place, name.to_owned()));
        Ok(())
    }

    fn leave(&self, name: &str, next: &mut Next) -> Result<usize, PoolError> {
        let Some(slot) = self.member(name) else {
            let why = match self.strays().iter().find(|stray| stray.health.name == name) {
                Some(stray) if matches!(stray.health.state, DiskState::Retired | DiskState::Replaced) => "has left already",
                Some(_) => "does not belong to it",
                None => "is not known",
            };
            return Err(PoolError::Refused(format!("{name} can't be taken out of this vault: it {why}")));
        };
        next.members[slot].role = Role::Draining;
        next.leaving.push(slot);
        Ok(slot)
    }

    fn check_next(&self, change: &Change, next: &Next) -> Result<ChangePlan, PoolError> {
        let names: Vec<String> = self.slots().iter().map(|slot| slot.name.clone()).collect();
        let active = next.members.iter().filter(|member| member.role == Role::Active).count();
        let plan = ChangePlan {
            joining: next.joining.iter().map(|(_, name)| name.clone()).collect(),
            leaving: next.leaving.iter().map(|slot| (names[*slot].clone(), next.members[*slot].disk)).collect(),
            layout: next.layout,
            active_disks: active,
            leaving_bytes: next.leaving.iter().map(|slot| self.bytes_on(*slot)).sum(),
            is_done: next.members == self.members() && next.layout == self.layout(),
        };
        if active < usize::from(next.layout.width()) {
            let (layout, width) = (next.layout, next.layout.width());
            return Err(PoolError::Refused(format!(
                "{active} disks would be left to take shards, and layout {layout} needs {width}: add an empty disk first, or replace the old one by it"
            )));
        }
        if next.layout.m < self.layout().m {
            let (new, old) = (next.layout, self.layout());
            return Err(PoolError::Refused(format!("with layout {new} fewer disks may fail than with {old}")));
        }
        if !plan.is_done {
            self.check_loss(change, next)?;
            self.check_room(&plan, next)?;
        }
        Ok(plan)
    }

    /// What lies only on disks that are not there must not be given up.
    fn check_loss(&self, change: &Change, next: &Next) -> Result<(), PoolError> {
        if next.leaving.iter().any(|slot| self.slots()[*slot].readable().is_none()) {
            self.check_missing()?;
        }
        let alone = self.alone_on(&next.leaving);
        if alone > 0 {
            let names: Vec<String> = next.leaving.iter().map(|slot| self.slots()[*slot].name.clone()).collect();
            let names = names.join(", ");
            return Err(PoolError::Refused(format!(
                "{names}: {alone} objects are there that were written while other disks were missing, and lack their redundancy. Run 'keepwell vault \
                 repair' first, or replace the missing disk"
            )));
        }
        let slots = self.slots();
        let there = |slot: usize| slots.get(slot).is_none_or(|slot| slot.changeable().is_some());
        let takers = (0..next.members.len()).filter(|slot| next.members[*slot].role == Role::Active && there(*slot)).count();
        if matches!(change, Change::Remove { .. }) && takers < usize::from(next.layout.width()) {
            let (layout, width) = (next.layout, next.layout.width());
            return Err(PoolError::Refused(format!(
                "without it only {takers} of the disks there take shards, and layout {layout} needs {width}: bring missing disks back first"
            )));
        }
        Ok(())
    }

    /// What lies only on disks that are not there is given up when another one gets the place of one of them.
    pub(super) fn check_missing(&self) -> Result<(), PoolError> {
        let slots = self.slots();
        let lost = |slot: &&Slot| slot.is_member() && slot.readable().is_none();
        let missing: Vec<&str> = slots.iter().filter(lost).map(|slot| slot.name.as_str()).collect();
        if missing.len() <= usize::from(self.layout().m) {
            return Ok(());
        }
        let (names, layout) = (missing.join(", "), self.layout());
        Err(PoolError::Refused(format!(
            "{names}: not there, and with layout {layout} the others can't make up for that. What lies on them would be lost: bring them back"
        )))
    }

    /// Objects on these disks that have so few shards that all of them may be on disks which the layout lets go missing: nobody would then miss them.
    fn alone_on(&self, leaving: &[usize]) -> usize {
        let m = self.layout().m;
        let listing = self.listing();
        let here = |entry: &Entry| entry.shards.iter().any(|at| leaving.contains(&usize::from(at.slot)));
        let alone = |entry: &Entry| m > 0 && entry.shards.iter().all(|at| at.layout.acknowledged_at() <= m);
        listing.entries().filter(|(_, entry)| here(entry) && alone(entry)).count()
    }

    fn check_room(&self, plan: &ChangePlan, next: &Next) -> Result<(), PoolError> {
        let stays = |slot: &usize| next.members[*slot].role == Role::Active;
        let mut disks: Vec<Arc<dyn Disk>> =
            self.slots().iter().enumerate().filter(|(n, _)| stays(n)).filter_map(|(_, slot)| slot.changeable().cloned()).collect();
        disks.extend(next.joining.iter().filter_map(|(_, name)| self.empty_disk(name)));
        let spaces = disks.iter().filter_map(|disk| disk.space().ok());
        let free: u64 = spaces.map(|space| space.free.saturating_sub(self.reserve.bytes(space))).sum();
        if plan.leaving_bytes <= free {
            return Ok(());
        }
        let (needed, free) = (human_bytes(plan.leaving_bytes), human_bytes(free));
        Err(PoolError::Refused(format!("{needed} have to go to the other disks, which have room for {free}: add a disk first")))
    }

    /// Bytes of all files in the vault's folders of a disk.
    fn bytes_on(&self, slot: usize) -> u64 {
        let disk = self.slots().get(slot).and_then(|slot| slot.readable().cloned());
        let folder = |disk: &Arc<dyn Disk>, class: Class| disk.list(class.folder()).map_or(0, |files| files.iter().map(|f| f.len).sum());
        disk.map_or(0, |disk| Class::ALL.into_iter().map(|class| folder(&disk, class)).sum::<u64>())
    }

    fn empty_disk(&self, name: &str) -> Option<Arc<dyn Disk>> {
        let stray = self.strays().iter().find(|stray| stray.health.name == name).map(|stray| Arc::clone(&stray.disk));
        stray.or_else(|| self.slots().iter().find(|s| s.name == name && s.state == DiskState::Empty).and_then(|s| s.disk.clone()))
    }

    /// Writes the labels, of new disks first, and follows in memory.
    fn enact(&self, next: Next) -> Result<(), PoolError> {
        let generation = self.generation() + 1;
        let label = |slot: usize| Label {
            vault: self.vault,
            disk: next.members[slot].disk,
            layout: next.layout,
            generation,
            members: next.members.clone(),
        };
        for (_, name) in &next.joining {
            let disk = self.empty_disk(name).ok_or_else(|| PoolError::Refused(format!("{name} is gone")))?;
            check_empty(disk.as_ref())?;
        }
        for (slot, name) in &next.joining {
            let disk = self.empty_disk(name).ok_or_else(|| PoolError::Refused(format!("{name} is gone")))?;
            prepare(disk.as_ref(), &label(*slot)).map_err(PoolError::disk("a disk can't be made ready for this vault"))?;
        }
        next.joining.iter().for_each(|(slot, name)| self.seat(*slot, name, next.members[*slot], generation));
        *self.layout.write().unwrap_or_else(std::sync::PoisonError::into_inner) = next.layout;
        self.slots_mut().iter_mut().zip(&next.members).for_each(|(slot, member)| slot.role = member.role);
        // New disks have the new generation already.
        if next.joining.is_empty() { self.label_anew() } else { self.label_laggards() }
    }

    /// Takes an empty disk out of where it was, and gives it its place.
    fn seat(&self, place: usize, name: &str, member: Member, generation: u64) {
        let mut slots = self.slots_mut();
        let mut strays = self.strays();
        let stray = strays.iter().position(|stray| stray.health.name == name).map(|at| strays.remove(at));
        let taken = stray.map(|stray| (stray.disk, stray.lock)).or_else(|| {
            let (number, slot) = slots.iter_mut().enumerate().find(|(_, slot)| slot.name == name && slot.state == DiskState::Empty)?;
            (slot.state, slot.name) = (DiskState::Missing, place_name(number));
            Some((slot.disk.take()?, slot.lock.take()))
        });
        let Some((disk, lock)) = taken else { return };
        let slot = Slot {
            id: member.disk,
            role: member.role,
            name: disk.name().into(),
            disk: Some(disk),
            state: DiskState::Present,
            note: String::new(),
            failed: None,
            generation,
            lock,
        };
        match slots.get_mut(place) {
            Some(retired) => *retired = slot,
            None => slots.push(slot),
        }
    }
}
