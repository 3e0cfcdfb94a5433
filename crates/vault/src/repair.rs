//! Heals a vault: gives empty disks their place, rebuilds lost and damaged shards, and copies what can still be read out of packs that are
//! beyond repair, so that later backups do not lean on them. Never removes anything that may still be of use.

use std::collections::HashSet;

use keepwell_format::{DiskId, PackId};
use keepwell_storage::{Adopted, Class, Departure, Narrowing, ObjectName, Pool, PoolError, RepairOutcome};

use crate::VaultError;
use crate::blobs::{BlobWriter, pack_name};
use crate::env::{Progress, Step, Workers};
use crate::index::{Unreadable, unreadable};
use crate::lanes::Lanes;
use crate::pack::{Frame, open_frame};
use crate::report::{RepairReport, VerifyReport};
use crate::snapshot;
use crate::tend::forget_old_slots;
use crate::vault::{Sealed, Vault, describe};
use crate::verify::{CLASSES, Check, ailing};

impl Sealed {
    /// Rebuilds what redundancy can rebuild. Needs no key.
    pub fn repair(&self, adopt: &mut dyn FnMut() -> DiskId, progress: &dyn Progress) -> Result<RepairReport, VaultError> {
        Ok(rebuild(&self.pool, adopt, progress)?.0)
    }
}

impl Vault {
    /// Rebuilds what redundancy can rebuild, salvages the rest, and names what is lost.
    pub fn repair(&mut self, adopt: &mut dyn FnMut() -> DiskId, progress: &dyn Progress) -> Result<RepairReport, VaultError> {
        let (mut report, lost) = rebuild(&self.pool, adopt, progress)?;
        self.reconcile(progress)?;
        // A pack whose key is missing stays: another keyring may open it.
        let (keyless, unusable): (Vec<_>, Vec<_>) = unreadable(&self.pool, &self.keys)?.into_iter().partition(|pack| pack.lacks_key);
        report.remaining.extend(keyless.into_iter().map(|pack| format!("{}: {}", pack_name(pack.id), pack.why)));
        if !lost.is_empty() || !unusable.is_empty() {
            self.salvage(&lost, &unusable, &mut report)?;
            self.reconcile(progress)?;
        }
        let loaded = snapshot::load_all(&self.pool, &self.keys)?;
        report.snapshots_lost = loaded.lost.into_iter().map(|(id, _)| id).collect();
        let reader = self.reader();
        let mut check = Check::new(&reader, HashSet::new(), false);
        let mut found = VerifyReport::default();
        loaded.snapshots.iter().rev().try_for_each(|snapshot| check.snapshot(snapshot, &mut found, progress))?;
        report.files_lost = found.files_lost;
        Ok(report)
    }

    /// Copies readable frames out of lost packs, as they are, then moves those packs aside.
    fn salvage(&self, lost: &[PackId], unusable: &[Unreadable], report: &mut RepairReport) -> Result<(), VaultError> {
        let leaving: Vec<PackId> = lost.iter().copied().chain(unusable.iter().map(|pack| pack.id)).collect();
        std::thread::scope(|scope| {
            let lanes = Lanes::start(scope, Workers::Inline);
            let floor = snapshot::load_all(&self.pool, &self.keys)?.highest_seq();
            let mut writer = BlobWriter::new(&self.pool, &self.keys, (&*self.index, &self.turns), lanes, &self.env, 3, (0, floor))?;
            for pack in &leaving {
                for place in self.index.content(pack)? {
                    let elsewhere = self.index.locate(&place.frame.blob)?.iter().any(|other| !leaving.contains(&other.pack));
                    if elsewhere {
                        continue;
                    }
                    let sealed = self.pool.read_range(pack_name(*pack), place.offset, place.stored_len as usize);
                    match sealed.ok().filter(|sealed| open_frame(&self.keys, &place.frame, sealed).is_ok()) {
                        Some(sealed) => {
                            writer.store_frame(Frame { info: place.frame, sealed })?;
                            report.blobs_salvaged += 1;
                        }
                        None => report.blobs_lost.push(place.frame.blob),
                    }
                }
            }
            writer.flush()?;
            for pack in lost {
                if self.pool.set_aside(pack_name(*pack))? {
                    report.packs_lost.push(*pack);
                }
            }
            for pack in unusable {
                self.pool.set_aside_unusable(pack_name(pack.id))?;
                report.packs_unusable.push(pack.id);
            }
            Ok(())
        })
    }
}

/// The part that needs no key. Also tells the packs that are beyond repair.
fn rebuild(pool: &Pool, adopt: &mut dyn FnMut() -> DiskId, progress: &dyn Progress) -> Result<(RepairReport, Vec<PackId>), VaultError> {
    let ids: Vec<[u8; 16]> = (0..pool.empty_disks()).map(|_| adopt().0).collect();
    let mut report = RepairReport::default();
    let adopted = match pool.adopt_empty_disks(&ids) {
        // What would be lost by that is waited for; the others are labelled all the same.
        Err(PoolError::Refused(why)) => {
            report.remaining.push(why);
            pool.adopt_empty_disks(&[])?
        }
        other => other?,
    };
    report.disks_adopted = adopted.into_iter().map(|(Adopted::Empty(name) | Adopted::Relabelled(name))| name).collect();
    let narrowing = if pool.has_room_to_narrow()? { Narrowing::ToGain } else { Narrowing::ToSave };
    let names: Vec<ObjectName> =
        CLASSES.into_iter().flat_map(|class| pool.objects(class).into_iter().map(move |id| ObjectName { class, id })).collect();
    progress.begin(Step::Repair, names.len() as u64, 0);
    let mut lost = Vec::new();
    for name in names {
        let repaired = pool.repair_with(name, narrowing)?;
        report.objects += 1;
        report.shards_written += repaired.shards_written as u64;
        match repaired.outcome {
            RepairOutcome::Whole => {}
            RepairOutcome::Healed => report.healed += 1,
            RepairOutcome::Degraded => report.remaining.push(format!("{name} has less redundancy than it should have")),
            RepairOutcome::Lost => {
                report.remaining.push(format!("{name} can't be put together any more"));
                if name.class == Class::Pack {
                    lost.push(PackId(name.id.0));
                }
            }
        }
        progress.advance(1, 0);
    }
    for departure in pool.finish_drains()? {
        match departure {
            Departure::Left { disk } => report.disks_left.push(disk),
            Departure::Stays { disk, why } => report.remaining.push(format!("{disk} is being emptied: {why}")),
        }
    }
    forget_old_slots(pool)?;
    let health = pool.health();
    report.remaining.extend(ailing(&health).map(|disk| format!("{}: {}", disk.name, describe(disk))));
    Ok((report, lost))
}
