//! How the pool is doing, from what is known without reading objects.

use super::{DiskState, Pool, Slot};
use crate::disk::DiskErrorKind;
use crate::label::Role;
use crate::layout::Layout;

/// One disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskHealth {
    /// Its place in the pool, from 0; none for a disk that has no place in it.
    pub slot: Option<usize>,
    /// Its id, where its label could be read or its place tells it.
    pub id: Option<[u8; 16]>,
    /// Its name.
    pub name: String,
    /// What it is meant to be; a disk without a place is retired.
    pub role: Role,
    /// What it is to the pool.
    pub state: DiskState,
    /// More on that: the other vault, a file in the way, why it can't be read. May be empty.
    pub note: String,
    /// Why it takes no writes any more in this session.
    pub failed: Option<String>,
    /// The kind of that.
    pub failure: Option<DiskErrorKind>,
    /// It was away during a change of the disks: its label lags behind.
    pub is_behind: bool,
    /// Capacity; 0 when unknown.
    pub total_bytes: u64,
    /// Free; 0 when unknown.
    pub free_bytes: u64,
    /// Shards on it.
    pub shards: u64,
}

impl DiskHealth {
    pub(super) fn stray(name: &str, id: Option<[u8; 16]>, state: DiskState, note: String) -> Self {
        let role = Role::Retired;
        let (name, failed, failure, is_behind) = (name.into(), None, None, false);
        Self { slot: None, id, name, role, state, note, failed, failure, is_behind, total_bytes: 0, free_bytes: 0, shards: 0 }
    }

    /// Whether something is wrong with it. A disk without a place that is empty or was taken out needs nobody's attention.
    pub fn is_ailing(&self) -> bool {
        let idle = self.slot.is_none() && matches!(self.state, DiskState::Empty | DiskState::Retired | DiskState::Replaced);
        self.failed.is_some() || (self.state != DiskState::Present && !idle)
    }
}

/// The pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolHealth {
    /// Layout that objects are meant to have.
    pub layout: Layout,
    /// The disks in slot order, then those without a place.
    pub disks: Vec<DiskHealth>,
    /// Objects.
    pub objects: u64,
    /// Objects with less than their full redundancy, as far as directories tell.
    pub degraded_objects: u64,
}

impl PoolHealth {
    /// Bytes of all disks together.
    pub fn total_bytes(&self) -> u64 {
        self.disks.iter().map(|disk| disk.total_bytes).sum()
    }

    /// What of them is free.
    pub fn free_bytes(&self) -> u64 {
        self.disks.iter().map(|disk| disk.free_bytes).sum()
    }

    /// Whether every disk is there and stays, and every object has its full redundancy.
    pub fn is_whole(&self) -> bool {
        self.degraded_objects == 0 && self.disks.iter().all(|d| !d.is_ailing() && d.role != Role::Draining)
    }
}

impl Pool {
    /// State of disks, number of degraded objects, free space.
    pub fn health(&self) -> PoolHealth {
        let newest = self.generation();
        let slots: Vec<(usize, DiskHealth)> = self
            .slots()
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.is_member())
            .map(|(n, slot)| (n, disk_health(n, slot, newest)))
            .collect();
        let active = self.active();
        let listing = self.listing();
        let mut shards = vec![0; active.len()];
        let (mut objects, mut degraded_objects) = (0, 0);
        for (name, entry) in listing.entries() {
            objects += 1;
            degraded_objects += u64::from(!self.is_full(*name, entry, &active));
            for at in &entry.shards {
                // A disk that joined since is counted at the next look.
                shards.get_mut(usize::from(at.slot)).into_iter().for_each(|count| *count += 1);
            }
        }
        let mut disks: Vec<DiskHealth> =
            slots.into_iter().map(|(n, disk)| DiskHealth { shards: shards.get(n).copied().unwrap_or(0), ..disk }).collect();
        disks.extend(self.strays().iter().map(|stray| stray.health.clone()));
        PoolHealth { layout: self.layout(), disks, objects, degraded_objects }
    }
}

fn disk_health(number: usize, slot: &Slot, newest: u64) -> DiskHealth {
    let space = slot.disk.as_ref().filter(|_| slot.state != DiskState::Missing).and_then(|disk| disk.space().ok());
    DiskHealth {
        slot: Some(number),
        id: Some(slot.id),
        name: slot.name.clone(),
        role: slot.role,
        state: slot.state,
        note: slot.note.clone(),
        failed: slot.failed.as_ref().map(|error| error.kind.to_string()),
        failure: slot.failed.as_ref().map(|error| error.kind),
        is_behind: slot.state == DiskState::Present && slot.generation < newest,
        total_bytes: space.map_or(0, |s| s.total),
        free_bytes: space.map_or(0, |s| s.free),
        shards: 0,
    }
}
