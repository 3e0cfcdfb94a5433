//! Moves shards to the disks that their objects prefer, so that a disk that was added, or a bigger one, is used. Copies first, and removes only
//! when the copy is durable: at every step the object has all its shards.

use super::listing::{Entry, ShardAt};
use super::place::{Candidate, rank};
use super::write::{Phase, Staged, StagedShard};
use super::{Pool, recover};
use crate::error::PoolError;
use crate::object::{ObjectName, Spread};

impl Pool {
    /// Objects that are as they should be, but not where they would be put today. Ascending.
    pub fn displaced(&self) -> Vec<ObjectName> {
        let (disks, active) = (self.weighed(), self.active());
        let moves = |(name, entry): &(ObjectName, Entry)| {
            name.class.spread() == Spread::Layout && self.is_settled(*name, entry, &active) && !moves(*name, entry, &disks).is_empty()
        };
        self.sorted_entries().into_iter().filter(moves).map(|(name, _)| name).collect()
    }

    /// Moves an object's shards to the disks it prefers. Answers how many were moved. A shard that can't be read, or for which there is no room, stays.
    pub fn rebalance_object(&self, name: ObjectName) -> Result<usize, PoolError> {
        self.check_write()?;
        let entry = self.entry(name)?;
        if name.class.spread() != Spread::Layout || !self.is_settled(name, &entry, &self.active()) {
            return Ok(0);
        }
        let mut moved = 0;
        for (from, to) in moves(name, &entry, &self.weighed()) {
            moved += usize::from(self.move_shard(name, from, &to)?);
        }
        Ok(moved)
    }

    /// Disks that take shards, and how big they are; none while one can't tell: without it everything would have another place.
    fn weighed(&self) -> Vec<Candidate> {
        let size = |disk: Candidate| Some(Candidate { total: disk.disk.space().ok()?.total, ..disk });
        self.writable().into_iter().map(size).collect::<Option<_>>().unwrap_or_default()
    }

    fn move_shard(&self, name: ObjectName, from: ShardAt, to: &Candidate) -> Result<bool, PoolError> {
        let Some(source) = self.readable(from.slot) else { return Ok(false) };
        let Ok(len) = source.len(&from.path(name)) else { return Ok(false) };
        if !to.disk.space().is_ok_and(|space| space.free >= len.saturating_add(self.reserve.bytes(space))) {
            return Ok(false);
        }
        let Ok((header, payload)) = recover::load(source.as_ref(), &from.path(name), self.vault, name, from) else { return Ok(false) };
        let at = ShardAt { slot: to.slot, ..from };
        let temp = self.next_temp(name, at);
        if let Err(error) = to.disk.write(&temp, &[&header.encode(), &payload]) {
            // A part of it may be there; if this fails too, the next open removes it.
            let _ = to.disk.remove(&temp);
            self.after_failure(to.slot, to.disk.as_ref(), error)?;
            return Ok(false);
        }
        let shard = StagedShard { at, disk: to.disk.clone(), temp, path: at.path(name), phase: Phase::Written };
        let kept = usize::from(from.layout.width()) - 1;
        let staged = Staged { name, spread: Spread::Layout, len: header.object_len, layout: from.layout, shards: vec![shard], kept };
        let mut batch = [staged];
        self.sync(&mut batch)?;
        self.publish(&mut batch)?;
        if batch[0].count(Phase::Durable) < usize::from(from.layout.width()) {
            return Ok(false);
        }
        self.enlist(&batch, &mut super::CommitReport::default());
        self.remove_shards(name, &[from]);
        Ok(true)
    }
}

/// Which shards go where: those on disks that are not among the preferred ones, to those of the preferred ones that have none.
fn moves(name: ObjectName, entry: &Entry, disks: &[Candidate]) -> Vec<(ShardAt, Candidate)> {
    let mut ranked = disks.to_vec();
    rank(&mut ranked, name.id);
    if ranked.len() < entry.shards.len() {
        return Vec::new();
    }
    ranked.truncate(entry.shards.len());
    let leaving = entry.shards.iter().filter(|at| ranked.iter().all(|disk| disk.slot != at.slot)).copied();
    let free = ranked.iter().filter(|disk| entry.shards.iter().all(|at| at.slot != disk.slot)).cloned();
    leaving.zip(free).collect()
}
