//! Forgets whole snapshots: decides which may go, and makes that durable. Unlinks nothing; what nothing needs any more is collected elsewhere, after a tombstone is durable.

use std::collections::BTreeSet;

use keepwell_format::tombstone::MAX_REASON;
use keepwell_format::{Gone, Outcome, SnapshotId};
use keepwell_storage::{Class, ObjectId, ObjectName, ScrubVerdict, encode_object};

use crate::VaultError;
use crate::backup::last_accepted;
use crate::snapshot::{self, Loaded, Snapshot};
use crate::tomb::{self, Forgotten};
use crate::vault::Vault;

/// What became of snapshots that were to be forgotten.
#[derive(Debug, Clone)]
pub struct ForgetReport {
    /// Those that are forgotten now, oldest first.
    pub forgotten: Vec<Snapshot>,
    /// Those that were already.
    pub already: Vec<SnapshotId>,
}

impl Vault {
    /// What [`Vault::forget`] would do. Changes nothing.
    pub fn check_forget(&self, ids: &[SnapshotId]) -> Result<ForgetReport, VaultError> {
        self.turns.between_runs(|is_pinned| choose(&snapshot::load_all(&self.pool, &self.keys)?, ids, is_pinned))
    }

    /// Forgets snapshots, all of them or none: when this returns, no crash, loss or return of a disk shows them again. `reason` is a policy's words or a person's
    /// (of more than 1,024 bytes the beginning is kept), `now` the receipt time. The space that they need stays taken.
    pub fn forget(&self, ids: &[SnapshotId], reason: &str, now: i64) -> Result<ForgetReport, VaultError> {
        self.turns.between_runs(|is_pinned| {
            let loaded = snapshot::load_all(&self.pool, &self.keys)?;
            let report = choose(&loaded, ids, is_pinned)?;
            let mut gone: Vec<Gone> = report.forgotten.iter().map(gone).collect();
            for (again, by) in report.already.iter().filter_map(|id| loaded.tombs.of(id)) {
                if !self.is_whole(by)? {
                    gone.push(again);
                }
            }
            let packs = report.forgotten.iter().map(snapshot::packs_end).max().unwrap_or(0);
            let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
            for tombstone in loaded.tombs.encode(&self.keys, gone, packs, reason, now) {
                self.put_tombstone(tombstone)?;
            }
            Ok(report)
        })
    }

    /// All that was forgotten, when and why; the oldest first.
    pub fn forgotten(&self) -> Result<Vec<Forgotten>, VaultError> {
        tomb::read_all(&self.pool, &self.keys)
    }

    /// Whether one of these tombstones has all its copies.
    fn is_whole(&self, tombstones: &[ObjectId]) -> Result<bool, VaultError> {
        for id in tombstones {
            if self.pool.scrub(ObjectName { class: Class::Tombstone, id: *id })?.verdict == ScrubVerdict::Whole {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Unlike a snapshot, which is better on too few disks than nowhere, this can wait until there are enough.
    fn put_tombstone(&self, bytes: Vec<u8>) -> Result<(), VaultError> {
        let layout = self.pool.plan(bytes.len());
        if layout.m < self.pool.layout().m {
            return Err(VaultError::NotForgotten(
                "too few disks of the vault take writes to make it last. Nothing was changed; bring the missing disk back or replace it first".into(),
            ));
        }
        let staged = self.pool.stage(encode_object(layout, self.keys.vault.0, Class::Tombstone, bytes))?;
        let report = self.pool.commit(vec![staged])?;
        if report.degraded.is_empty() {
            return Ok(());
        }
        Err(VaultError::NotForgotten("a disk failed meanwhile: it may show again. Replace the disk, and forget it once more".into()))
    }
}

fn gone(snapshot: &Snapshot) -> Gone {
    Gone { snapshot: snapshot.id, sequence: snapshot.sequence, previous: snapshot.previous }
}

/// Sorts out what may be forgotten; an error names the first that may not.
fn choose(loaded: &Loaded, ids: &[SnapshotId], is_pinned: &dyn Fn(&SnapshotId) -> bool) -> Result<ForgetReport, VaultError> {
    let wanted: BTreeSet<SnapshotId> = ids.iter().copied().collect();
    let (already, rest): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|id| loaded.tombs.holds(id));
    let mut forgotten = Vec::with_capacity(rest.len());
    for id in rest {
        let Some(snapshot) = loaded.snapshots.iter().find(|snapshot| snapshot.id == id) else {
            return Err(VaultError::NoSnapshot(format!("the vault holds no snapshot {id} that can be read; nothing was forgotten")));
        };
        if let Some(why) = why_kept(&loaded.snapshots, snapshot, is_pinned) {
            return Err(VaultError::NotForgotten(format!("snapshot {} of {} {why}. Nothing was changed", id.short(), snapshot.body.name)));
        }
        forgotten.push(snapshot.clone());
    }
    forgotten.sort_by_key(|snapshot| (snapshot.sequence, snapshot.id));
    Ok(ForgetReport { forgotten, already })
}

fn why_kept(all: &[Snapshot], snapshot: &Snapshot, is_pinned: &dyn Fn(&SnapshotId) -> bool) -> Option<&'static str> {
    if snapshot.body.outcome == Outcome::Held {
        return Some("is held: a person has to look at it, and no rule removes it");
    }
    if is_pinned(&snapshot.id) {
        return Some("is what a backup that runs now builds on; try again when it has ended");
    }
    let last = last_accepted(all, &snapshot.body.name).is_some_and(|last| last.id == snapshot.id);
    last.then_some("is the last accepted one: without it there would be nothing to restore that is up to date")
}
