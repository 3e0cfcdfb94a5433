//! The second half of a write: makes staged objects durable, many at a time.
//!
//! Order: sync each temporary shard; sync their folders, so that the temporary names are durable; only then rename all; sync
//! the folders. So once the first final name can be seen, every shard of the object is durable under one of its two names, and
//! a crash leaves either an object that open completes, or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::recover;
use super::write::{Phase, Staged, StagedShard};
use super::{Pool, on_disks};
use crate::coding::{decode, encode_object};
use crate::disk::{Disk, DiskError};
use crate::error::PoolError;
use crate::object::{ObjectId, ObjectName};
use crate::shard::HEADER_LEN;

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitReport {
    /// Objects that are durable.
    pub objects: usize,
    /// Those among them that have less than their full redundancy.
    pub degraded: Vec<ObjectName>,
}

impl Pool {
    /// Makes objects durable. When it returns, each survives the loss of as many disks as its layout has parity. A disk that fails
    /// on the way costs a rewrite of what it would have held; an error means that nothing of this call is acknowledged.
    pub fn commit(&self, staged: Vec<Staged>) -> Result<CommitReport, PoolError> {
        self.check_write()?;
        let mut report = CommitReport::default();
        let mut waiting = staged;
        while !waiting.is_empty() {
            let synced = self.sync(&mut waiting);
            if let Err(error) = synced {
                return Err(self.abandon(waiting, error));
            }
            let (mut ready, mut short) = split(waiting, Phase::Synced);
            if let Err(error) = self.publish(&mut ready) {
                short.append(&mut ready);
                return Err(self.abandon(short, error));
            }
            let (done, more) = split(ready, Phase::Durable);
            short.extend(more);
            self.enlist(&done, &mut report);
            waiting = Vec::new();
            while let Some(object) = short.pop() {
                match self.restage(&object) {
                    Ok(again) => {
                        self.list_durable(&object);
                        waiting.push(again);
                    }
                    Err(error) => {
                        short.push(object);
                        short.append(&mut waiting);
                        return Err(self.abandon(short, error));
                    }
                }
            }
        }
        Ok(report)
    }

    /// Syncs content and temporary names.
    pub(super) fn sync(&self, staged: &mut [Staged]) -> Result<(), PoolError> {
        self.on_each_disk(staged, Phase::Written, |disk, shards| {
            shards.iter().try_for_each(|(_, shard)| disk.sync_file(&shard.temp))?;
            sync_folders(disk, shards)?;
            shards.iter_mut().for_each(|(_, shard)| shard.phase = Phase::Synced);
            Ok(())
        })
    }

    /// Gives the final names and syncs them.
    pub(super) fn publish(&self, staged: &mut [Staged]) -> Result<(), PoolError> {
        self.on_each_disk(staged, Phase::Synced, |disk, shards| {
            for (_, shard) in shards.iter_mut() {
                disk.rename(&shard.temp, &shard.path)?;
                shard.phase = Phase::Renamed;
            }
            sync_folders(disk, shards)?;
            shards.iter_mut().for_each(|(_, shard)| shard.phase = Phase::Durable);
            Ok(())
        })
    }

    /// Puts what is durable into the listing.
    pub(super) fn enlist(&self, done: &[Staged], report: &mut CommitReport) {
        done.iter().for_each(|object| self.list_durable(object));
        let active = self.active();
        let listing = self.listing();
        report.objects += done.len();
        let full = |o: &&Staged| listing.get(o.name).is_some_and(|entry| entry.has_all(self.full_layout(o.spread, o.len), &active));
        report.degraded.extend(done.iter().filter(|o| !full(o)).map(|o| o.name));
    }

    fn list_durable(&self, object: &Staged) {
        let mut listing = self.listing_mut();
        for shard in object.shards.iter().filter(|s| s.phase == Phase::Durable) {
            listing.insert(object.name, shard.at);
            *listing.used_bytes.entry(shard.at.slot).or_default() += object.layout.shard_len(object.len) + HEADER_LEN as u64;
        }
        listing.set_len(object.name, object.len);
    }

    /// One job per disk; a disk that fails leaves its shards in the phase they had.
    fn on_each_disk(
        &self,
        staged: &mut [Staged],
        phase: Phase,
        work: impl Fn(&dyn Disk, &mut [(&'static str, &mut StagedShard)]) -> Result<(), DiskError> + Sync,
    ) -> Result<(), PoolError> {
        let mut jobs: BTreeMap<u8, Vec<(&'static str, &mut StagedShard)>> = BTreeMap::new();
        for object in staged {
            let folder = object.name.class.folder();
            for shard in object.shards.iter_mut().filter(|s| s.phase == phase) {
                jobs.entry(shard.at.slot).or_default().push((folder, shard));
            }
        }
        let results = on_disks(self.io, jobs.into_iter().collect(), |(slot, mut shards): (u8, Vec<_>)| {
            let disk = Arc::clone(&shards[0].1.disk);
            work(disk.as_ref(), &mut shards).map_err(|error| (slot, disk, error))
        });
        results.into_iter().filter_map(Result::err).try_for_each(|(slot, disk, error)| self.after_failure(slot, disk.as_ref(), error))
    }

    /// Rebuilds an object from the shards that were written, and stages it for the disks that are left.
    fn restage(&self, object: &Staged) -> Result<Staged, PoolError> {
        let mut good = Vec::new();
        for shard in &object.shards {
            let path = if shard.phase >= Phase::Renamed { &shard.path } else { &shard.temp };
            if good.len() < usize::from(object.layout.k)
                && let Ok((_, payload)) = recover::load(shard.disk.as_ref(), path, self.vault, object.name, shard.at)
            {
                good.push((shard.at.index, payload));
            }
        }
        let slices: Vec<(u8, &[u8])> = good.iter().map(|(index, payload)| (*index, payload.as_slice())).collect();
        let bytes = decode(object.layout, object.len, &slices).filter(|bytes| ObjectId::of(bytes) == object.name.id);
        let bytes = bytes.ok_or_else(|| self.too_few_writable())?;
        let layout = self.plan_spread(object.spread, bytes.len());
        self.stage_spread(object.spread, encode_object(layout, self.vault, object.name.class, bytes))
    }

    /// Takes back what was renamed of objects that nobody can read; what can be read stays and does no harm.
    fn abandon(&self, staged: Vec<Staged>, error: PoolError) -> PoolError {
        for object in staged {
            let known = self.contains(object.name);
            let readable = object.count(Phase::Renamed) >= usize::from(object.layout.k);
            let folder = object.name.class.folder();
            for shard in object.shards.iter().filter(|s| s.phase >= Phase::Renamed) {
                if known || readable {
                    // What is listed is leaned on: a name that is not durable is left for the next open.
                    if shard.phase == Phase::Durable || shard.disk.sync_folder(folder).is_ok() {
                        self.listing_mut().insert(object.name, shard.at);
                    }
                } else {
                    // A disk that fails here leaves a shard too few to matter: it is reported, and never was acknowledged.
                    let _ = shard.disk.remove(&shard.path);
                }
            }
        }
        error
    }
}

/// Objects with enough shards in `phase` to count as written, and the others.
fn split(staged: Vec<Staged>, phase: Phase) -> (Vec<Staged>, Vec<Staged>) {
    staged.into_iter().partition(|object| object.count(phase) >= usize::from(object.layout.acknowledged_at()))
}

fn sync_folders(disk: &dyn Disk, shards: &[(&'static str, &mut StagedShard)]) -> Result<(), DiskError> {
    let mut folders: Vec<&str> = shards.iter().map(|(folder, _)| *folder).collect();
    folders.sort_unstable();
    folders.dedup();
    folders.into_iter().try_for_each(|folder| disk.sync_folder(folder))
}
