//! The first half of a write: shards under temporary names, on disks that take them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::listing::ShardAt;
use super::place::Candidate;
use super::settle::temp_path;
use super::{Pool, on_disks};
use crate::coding::{EncodedObject, encode_object};
use crate::disk::{Disk, DiskError};
use crate::error::PoolError;
use crate::hashed::Hashed;
use crate::layout::Layout;
use crate::object::{Class, ObjectId, ObjectName, Spread};

/// An object whose shards are written and not durable. Dropped without [`Pool::commit`] it is gone without a trace.
#[must_use = "an object that is not committed is not stored"]
pub struct Staged {
    pub(super) name: ObjectName,
    pub(super) spread: Spread,
    pub(super) len: u64,
    pub(super) layout: Layout,
    /// Empty when the object was there already.
    pub(super) shards: Vec<StagedShard>,
    /// Shards of the layout that need no writing.
    pub(super) kept: usize,
}

/// One shard on its way.
pub(super) struct StagedShard {
    pub(super) at: ShardAt,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) temp: String,
    pub(super) path: String,
    pub(super) phase: Phase,
}

/// How far a shard is. Ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Under its temporary name, not synced.
    Written,
    /// Content and temporary name are durable.
    Synced,
    /// Under its final name, which is not durable.
    Renamed,
    /// Done.
    Durable,
}

impl Staged {
    /// The object.
    pub fn name(&self) -> ObjectName {
        self.name
    }

    /// The layout it is written in; narrower than the pool's while disks are missing.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Shards that have come at least so far, kept ones included.
    pub(super) fn count(&self, phase: Phase) -> usize {
        self.kept + self.shards.iter().filter(|s| s.phase >= phase).count()
    }
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged").field("name", &self.name).field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for shard in self.shards.iter().filter(|s| s.phase < Phase::Renamed) {
            // A disk that fails here keeps a `.tmp-` file, which the next open removes.
            let _ = shard.disk.remove(&shard.temp);
        }
    }
}

impl Pool {
    /// Writes an object's shards under temporary names. Takes another layout than the one encoded when disks have gone since; a
    /// disk that fails gets no more writes in this session.
    pub fn stage(&self, object: EncodedObject) -> Result<Staged, PoolError> {
        self.stage_spread(object.name().class.spread(), object)
    }

    /// Encodes, stages and commits one object.
    pub fn put(&self, class: Class, spread: Spread, bytes: &[u8]) -> Result<ObjectId, PoolError> {
        let object = Hashed::from(bytes);
        let id = object.id();
        self.put_hashed(class, spread, object).map(|_| id)
    }

    /// The same with what was hashed before, in its own memory, which is given back: what is in it then means nothing.
    pub fn put_hashed(&self, class: Class, spread: Spread, object: Hashed) -> Result<Vec<u8>, PoolError> {
        let layout = self.plan_spread(spread, object.bytes().len());
        let mut object = encode_object(layout, self.vault, class, object);
        let staged = self.stage_in_place(spread, &mut object)?;
        self.commit(vec![staged])?;
        Ok(object.into_memory())
    }

    pub(super) fn stage_spread(&self, spread: Spread, mut object: EncodedObject) -> Result<Staged, PoolError> {
        self.stage_in_place(spread, &mut object)
    }

    fn stage_in_place(&self, spread: Spread, object: &mut EncodedObject) -> Result<Staged, PoolError> {
        self.check_write()?;
        let (name, len) = (object.name(), object.object_len());
        let full = self.full_layout(spread, len);
        if self.listing().get(name).is_some_and(|entry| entry.has_all(full, &self.active())) {
            return Ok(Staged { name, spread, len, layout: full, shards: Vec::new(), kept: full.width().into() });
        }
        loop {
            let disks = self.with_room(name.id, spread, len)?;
            let layout = self.layout_on(spread, len, disks.len()).ok_or_else(|| self.too_few_writable())?;
            if layout != object.layout() {
                object.change_layout(layout);
            }
            let places = (0..layout.width()).zip(disks).collect();
            let (shards, failures) = self.write_shards(object, places);
            let staged = Staged { name, spread, len, layout, shards, kept: 0 };
            if failures.is_empty() {
                return Ok(staged);
            }
            drop(staged);
            failures.into_iter().try_for_each(|(disk, error)| self.after_failure(disk.slot, disk.disk.as_ref(), error))?;
        }
    }

    pub(super) fn next_temp(&self, name: ObjectName, at: ShardAt) -> String {
        temp_path(self.temps.fetch_add(1, Ordering::Relaxed), name, at)
    }

    /// Writes the given shards; those that a disk refused are the second part of the result.
    pub(super) fn write_shards(
        &self,
        object: &EncodedObject,
        places: Vec<(u8, Candidate)>,
    ) -> (Vec<StagedShard>, Vec<(Candidate, DiskError)>) {
        let (name, layout) = (object.name(), object.layout());
        let number = self.temps.fetch_add(1, Ordering::Relaxed);
        let results = on_disks(self.io, places, |(index, candidate)| {
            let at = ShardAt { layout, index, slot: candidate.slot };
            let temp = temp_path(number, name, at);
            let (header, payload) = object.shard(index);
            match candidate.disk.write(&temp, &[&header, payload]) {
                Ok(()) => Ok(StagedShard { at, disk: candidate.disk, temp, path: at.path(name), phase: Phase::Written }),
                Err(error) => {
                    // A part of it may be there; if this fails too, the next open removes it.
                    let _ = candidate.disk.remove(&temp);
                    Err((candidate, error))
                }
            }
        });
        let (mut shards, mut failures) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(shard) => shards.push(shard),
                Err(failure) => failures.push(failure),
            }
        }
        (shards, failures)
    }
}
