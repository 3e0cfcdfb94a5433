//! What changes and losses of disks leave to be done, a slice at a time, until nothing is left; and a disk whose damage grows is emptied where the others can take it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepwell_storage::life::{Order, hear};
use keepwell_storage::{Change, Departure, DiskHealth, DiskState};
use keepwell_vault::{MendCursor, Mended, Vault};

use super::{Answer, adding, changed, members, verdict};
use crate::appliance::Appliance;

/// A slice: short enough that the disks are looked at in between.
const SLICE: Duration = Duration::from_secs(2);
/// When nothing was left to do, or nothing could be done, it is looked again.
pub(super) const IDLE: Duration = Duration::from_secs(600);

/// How far it has come.
#[derive(Default)]
pub(super) struct Keeper {
    cursor: MendCursor,
    /// Something was done in this round.
    was_busy: bool,
}

impl Keeper {
    /// One slice, if its time has come. True: there is more to do at once.
    pub(super) fn slice(&mut self, appliance: &Appliance, stop: &AtomicBool) -> Answer<bool> {
        let Ok(vault) = appliance.engine.vault() else { return Ok(false) };
        let due = appliance.disks.seen().mend_at.get_or_insert_with(|| Instant::now() + SLICE).to_owned();
        if Instant::now() < due {
            return Ok(false);
        }
        let end = Instant::now() + SLICE;
        let done = vault.mend(&mut self.cursor, &mut || Instant::now() < end && !stop.load(Ordering::Acquire))?;
        self.was_busy |= done.shards_written + done.shards_moved > 0;
        appliance.disks.seen().to_mend = done.left + done.waiting;
        if !done.is_over {
            return Ok(true);
        }
        let again = self.round_is_over(appliance, &vault, &done)?;
        appliance.disks.mend_from(if again { Instant::now() } else { Instant::now() + IDLE });
        appliance.changed();
        Ok(again)
    }

    /// Whether another round is worth it at once.
    fn round_is_over(&mut self, appliance: &Appliance, vault: &Vault, done: &Mended) -> Answer<bool> {
        let mut again = std::mem::take(&mut self.was_busy);
        for departure in &done.departures {
            match departure {
                Departure::Left { disk } => {
                    changed(appliance, "vaultd", "disk-left", disk, None)?;
                    again = true;
                }
                Departure::Stays { disk, why } => tracing::info!(disk, why, "a disk that is to leave is still needed"),
            }
        }
        if again {
            return Ok(true);
        }
        // Nothing is left to be done, so nothing can be on them that is needed.
        let former = |disk: &DiskHealth| disk.slot.is_none() && matches!(disk.state, DiskState::Retired | DiskState::Replaced);
        for disk in vault.disks().disks.into_iter().filter(former) {
            adding::see_off(appliance, vault, &disk.name);
        }
        empty_the_failing(appliance, vault)
    }
}

/// A disk whose damage grows is emptied, on to a spare one where there is one: the machine of its life says so. Whether one was begun.
fn empty_the_failing(appliance: &Appliance, vault: &Vault) -> Answer<bool> {
    // The next round comes: meanwhile the disks have to be looked at.
    let Some(_one_at_a_time) = appliance.disks.changing() else { return Ok(false) };
    let health = vault.disks();
    let mut begun = false;
    for (name, disk) in members(appliance, &health)? {
        let outlook = {
            let seen = appliance.disks.seen();
            let known = seen.known.as_ref().and_then(|known| verdict::known(&appliance.config.places, known, &disk));
            known.and_then(|known| verdict::outlook(&known.health))
        };
        // That a disk is gone for a moment is no reason to do without it for ever.
        if !verdict::is_there(&disk) || !hear(&disk, outlook).1.contains(&Order::Drain) || disk.role != keepwell_storage::Role::Active {
            continue;
        }
        let spare = health.disks.iter().find(|spare| spare.slot.is_none() && spare.state == DiskState::Empty);
        let change = match spare {
            Some(spare) => Change::Replace { old: disk.name.clone(), new: spare.name.clone() },
            None => Change::Remove { disk: disk.name.clone() },
        };
        if let Err(refused) = vault.check_change(&change) {
            tracing::warn!(disk = name, %refused, "a disk that fails can't be emptied yet");
            continue;
        }
        let mut ids = adding::random_ids()?;
        changed(appliance, "vaultd", "disk-leaving", &name, None)?;
        vault.begin_change(&change, &mut || ids.next().unwrap_or_else(adding::no_id))?;
        begun = true;
    }
    Ok(begun)
}
