//! How the pool is doing, from what is known without reading objects.

use super::{DiskState, Pool, Slot};
use crate::layout::Layout;

/// One disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskHealth {
    /// Its place in the pool, from 0; none for a disk that has no place in it.
    pub slot: Option<usize>,
    /// Its name.
    pub name: String,
    /// What it is to the pool.
    pub state: DiskState,
    /// More on that: the other vault, a file in the way, why it can't be read. May be empty.
    pub note: String,
    /// Why it takes no writes any more in this session.
    pub failed: Option<String>,
    /// Capacity; 0 when unknown.
    pub total_bytes: u64,
    /// Free; 0 when unknown.
    pub free_bytes: u64,
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
    /// Whether every disk is there and every object has its full redundancy.
    pub fn is_whole(&self) -> bool {
        self.degraded_objects == 0 && self.disks.iter().all(|d| d.state == DiskState::Present && d.failed.is_none())
    }
}

impl Pool {
    /// State of disks, number of degraded objects, free space.
    pub fn health(&self) -> PoolHealth {
        let mut disks: Vec<DiskHealth> = self.slots().iter().enumerate().map(|(number, slot)| disk_health(number, slot)).collect();
        disks.extend(self.strays.iter().cloned());
        let listing = self.listing();
        let (mut objects, mut degraded_objects) = (0, 0);
        for (name, entry) in listing.entries() {
            objects += 1;
            degraded_objects += u64::from(!self.is_full(*name, entry));
        }
        PoolHealth { layout: self.layout, disks, objects, degraded_objects }
    }
}

fn disk_health(number: usize, slot: &Slot) -> DiskHealth {
    let space = slot.disk.as_ref().filter(|_| slot.state != DiskState::Missing).and_then(|disk| disk.space().ok());
    DiskHealth {
        slot: Some(number),
        name: slot.name.clone(),
        state: slot.state,
        note: slot.note.clone(),
        failed: slot.failed.as_ref().map(|error| error.kind.to_string()),
        total_bytes: space.map_or(0, |s| s.total),
        free_bytes: space.map_or(0, |s| s.free),
    }
}
