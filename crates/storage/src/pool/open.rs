//! Opens a pool: which vault, which disk in which slot, which objects.
//!
//! Decides first, then changes: with write access unfinished writes are finished or removed, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::settle::Leftovers;
use super::survey::{self, DiskState, Finding, Surveyed, hex};
use super::{Access, DiskHealth, Io, Pool, Reserve, Slot, Stray, place_name};
use crate::disk::{Disk, DiskErrorKind};
use crate::error::PoolError;
use crate::label::{Label, Member, Role};

impl Pool {
    /// Opens a pool. The disks are given in slot order, but found by their labels: swapped disks are fine, missing ones may be
    /// left out or be folders that are not there.
    pub fn open(disks: Vec<Arc<dyn Disk>>, access: Access) -> Result<Self, PoolError> {
        let surveyed = disks.into_iter().map(|disk| survey_one(disk, access)).collect::<Result<Vec<_>, _>>()?;
        let label = decide(&surveyed)?;
        let (slots, strays) = seat(surveyed, &label);
        if access == Access::Write {
            refuse_others(&slots, &strays, &label)?;
        }
        let mut pool = Self {
            vault: label.vault,
            layout: label.layout.into(),
            access,
            io: Io::Parallel,
            reserve: Reserve::default(),
            slots: slots.into(),
            strays: strays.into(),
            listing: std::sync::RwLock::default(),
            temps: std::sync::atomic::AtomicU64::default(),
            lost: std::sync::Mutex::default(),
        };
        let leftovers = pool.list_all();
        pool.check_enough()?;
        pool.settle(leftovers);
        Ok(pool)
    }

    fn list_all(&mut self) -> Leftovers {
        let mut leftovers = Leftovers::default();
        let slots = self.slots.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let listing = self.listing.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (number, slot) in (0..).zip(slots) {
            let Some(disk) = slot.readable().cloned() else { continue };
            if let Err(error) = leftovers.list_disk(number, disk.as_ref(), listing) {
                slot.state = DiskState::Missing;
                slot.note = error.kind.to_string();
            }
        }
        leftovers
    }

    fn check_enough(&self) -> Result<(), PoolError> {
        let slots = self.slots();
        let present = slots.iter().filter(|slot| slot.readable().is_some()).count();
        let layout = self.layout();
        if present >= usize::from(layout.k) {
            return Ok(());
        }
        let missing = slots.iter().filter(|s| s.is_member() && s.readable().is_none());
        let missing: Vec<String> = missing.map(|s| format!("{} is {}", s.name, describe(s))).collect();
        Err(PoolError::TooFewDisks {
            present,
            members: slots.iter().filter(|slot| slot.is_member()).count(),
            needed: layout.k.into(),
            layout: layout.to_string(),
            missing: missing.join(", "),
        })
    }
}

fn describe(slot: &Slot) -> String {
    if slot.note.is_empty() { slot.state.to_string() } else { format!("{} ({})", slot.state, slot.note) }
}

/// The lock comes first: what is read after it stays true.
pub(super) fn survey_one(disk: Arc<dyn Disk>, access: Access) -> Result<Surveyed, PoolError> {
    let lock = match access {
        Access::Read => None,
        Access::Write => match disk.lock() {
            Ok(lock) => Some(lock),
            Err(e) if e.kind == DiskErrorKind::Locked => return Err(PoolError::Locked { disk: e.disk }),
            Err(e) => return Ok(Surveyed { disk, finding: Finding::Unreachable(e.kind.to_string()), lock: None }),
        },
    };
    Ok(Surveyed { finding: survey::look(disk.as_ref()), disk, lock })
}

/// The label that counts: of the vault that most labels name, the one with the highest generation; then the most frequent.
fn decide(surveyed: &[Surveyed]) -> Result<Label, PoolError> {
    let labels: Vec<&Label> =
        surveyed.iter().filter_map(|s| if let Finding::Label(label) = &s.finding { Some(label) } else { None }).collect();
    for s in surveyed {
        if let Finding::Newer { found, intact } = s.finding
            && (intact || labels.is_empty())
        {
            return Err(PoolError::Newer { disk: s.disk.name().into(), found });
        }
    }
    let votes = |same: &dyn Fn(&Label) -> bool| labels.iter().filter(|l| same(l)).count();
    let rank = |label: &Label| {
        let alike = |l: &Label| l.vault == label.vault && l.generation == label.generation && l.members == label.members;
        (votes(&|l| l.vault == label.vault), label.generation, votes(&alike))
    };
    // Of equals the first: `max_by_key` would take the last.
    let best = labels.iter().rev().max_by_key(|label| rank(label));
    best.map(|label| (*label).clone()).ok_or_else(|| no_vault(surveyed))
}

fn no_vault(surveyed: &[Surveyed]) -> PoolError {
    let words = |s: &Surveyed| match &s.finding {
        Finding::Unreachable(why) => format!("{}: {why}", s.disk.name()),
        Finding::Empty => format!("{} is empty", s.disk.name()),
        Finding::Damaged => format!("the label of {} is damaged", s.disk.name()),
        Finding::Foreign(example) => format!("{} holds {example}", s.disk.name()),
        _ => format!("{} has no label", s.disk.name()),
    };
    let list: Vec<String> = surveyed.iter().map(words).collect();
    PoolError::NoVault { disks: surveyed.len(), hint: if list.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) } }
}

/// Gives each disk its slot: by its label's id, or else the place it was given in if an active disk's and free, or else any such one.
/// A disk that can't be reached and that no place waits for is nothing.
fn seat(surveyed: Vec<Surveyed>, label: &Label) -> (Vec<Slot>, Vec<Stray>) {
    let mut seats: BTreeMap<usize, (Surveyed, DiskState, String)> = BTreeMap::new();
    let (mut others, mut strays) = (Vec::new(), Vec::new());
    for (given, s) in surveyed.into_iter().enumerate() {
        match &s.finding {
            Finding::Label(own) if own.vault == label.vault => match label.members.iter().position(|member| member.disk == own.disk) {
                None => strays.push(stray(s, DiskState::Replaced, String::new())),
                Some(slot) if label.members[slot].role == Role::Retired => strays.push(stray(s, DiskState::Retired, String::new())),
                Some(slot) if seats.contains_key(&slot) => {
                    let note = format!("a copy of {}", seats[&slot].0.disk.name());
                    strays.push(stray(s, DiskState::Foreign, note));
                }
                Some(slot) => drop(seats.insert(slot, (s, DiskState::Present, String::new()))),
            },
            _ => others.push((given, s)),
        }
    }
    // An empty disk takes no place that one waits for which was given and can't be reached.
    let mut others: Vec<_> = others.into_iter().map(|(given, s)| (given, state_of(&s, label.vault), s)).collect();
    others.sort_by_key(|(_, (state, _), _)| *state == DiskState::Empty);
    for (given, (state, note), s) in others {
        let waits = |slot: &usize| {
            let role = label.members.get(*slot).map(|member| member.role);
            let takes = if state == DiskState::Empty { role == Some(Role::Active) } else { role.is_some_and(|role| role != Role::Retired) };
            takes && !seats.contains_key(slot)
        };
        match Some(given).filter(waits).or_else(|| (0..label.members.len()).find(waits)) {
            Some(slot) => drop(seats.insert(slot, (s, state, note))),
            None if state == DiskState::Missing => {}
            None => strays.push(stray(s, state, note)),
        }
    }
    let slots = label.members.iter().enumerate().map(|(number, member)| slot(number, *member, seats.remove(&number))).collect();
    (slots, strays)
}

fn slot(number: usize, member: Member, seat: Option<(Surveyed, DiskState, String)>) -> Slot {
    let Member { disk: id, role } = member;
    let Some((s, state, note)) = seat else {
        let name = place_name(number);
        let state = if role == Role::Retired { DiskState::Retired } else { DiskState::Missing };
        return Slot { id, role, name, disk: None, state, note: String::new(), failed: None, generation: 0, lock: None };
    };
    let generation = if let Finding::Label(label) = &s.finding { label.generation } else { 0 };
    Slot { id, role, name: s.disk.name().into(), disk: Some(s.disk), state, note, failed: None, generation, lock: s.lock }
}

pub(super) fn state_of(s: &Surveyed, vault: [u8; 16]) -> (DiskState, String) {
    match &s.finding {
        Finding::Label(other) => (DiskState::WrongVault, hex(&other.vault)),
        Finding::Unreachable(why) => (DiskState::Missing, why.clone()),
        Finding::Empty => (DiskState::Empty, String::new()),
        Finding::Foreign(example) => (DiskState::Foreign, example.clone()),
        Finding::Unlabelled => survey::judge(s.disk.as_ref(), vault, false),
        Finding::Damaged | Finding::Newer { .. } => survey::judge(s.disk.as_ref(), vault, true),
    }
}

fn stray(s: Surveyed, state: DiskState, note: String) -> Stray {
    let id = if let Finding::Label(label) = &s.finding { Some(label.disk) } else { None };
    Stray { health: DiskHealth::stray(s.disk.name(), id, state, note), disk: s.disk, lock: s.lock }
}

fn refuse_others(slots: &[Slot], strays: &[Stray], label: &Label) -> Result<(), PoolError> {
    let seated = slots.iter().map(|s| (&s.name, s.state, &s.note));
    for (disk, state, note) in seated.chain(strays.iter().map(|s| (&s.health.name, s.health.state, &s.health.note))) {
        let (disk, note) = (disk.clone(), note.clone());
        match state {
            DiskState::WrongVault => return Err(PoolError::WrongVault { disk, found: note, vault: hex(&label.vault) }),
            DiskState::Foreign => return Err(PoolError::Foreign { disk, example: note }),
            _ => {}
        }
    }
    Ok(())
}
