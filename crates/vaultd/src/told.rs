//! What the box knows, as it is told to whoever asks: status, shares, the vault. Reads only.

use keepwell_api::vault::{Share, Tier, VaultState};
use keepwell_duties::status::{Facts, KeyFacts, PoolFacts, ShareFacts};
use keepwell_duties::{self as duties, At, Status, next_due};
use keepwell_storage::DiskState;

use crate::appliance::Appliance;
use crate::disks;
use crate::error::VaultdError;
use crate::state::ShareRow;
use crate::watch::Policies;

/// The one status that every page, mail and metric is made of.
pub(crate) fn status(appliance: &Appliance) -> Result<Status, VaultdError> {
    status_of(appliance, |share| share.name.clone())
}

/// The same with shares called otherwise.
pub(crate) fn status_of(appliance: &Appliance, label: impl Fn(&ShareRow) -> String) -> Result<Status, VaultdError> {
    let now = At(appliance.clock.believed());
    let (book, incidents) = appliance.watch.copy();
    let policies = Policies::load(&appliance.state)?;
    let shares = appliance
        .state
        .shares()?
        .into_iter()
        .filter(|share| !share.paused)
        .map(|share| ShareFacts { label: label(&share), id: share.id, policy: policies.of(share.tier), clock: share.clock })
        .collect();
    let vault = appliance.engine.vault();
    let seen = appliance.watch.glance().clone();
    let health = vault.as_ref().ok().map(|vault| vault.disks());
    let pool = health.as_ref().map(|health| {
        let (free_bytes, total_bytes) = (health.free_bytes(), health.total_bytes());
        PoolFacts { readable: true, redundant: health.is_whole(), room: seen.room, free_bytes, total_bytes }
    });
    let disks = health.as_ref().map(|health| disks::facts(appliance, health)).transpose()?.unwrap_or_default();
    let keys = seen.keys.map(|keys| KeyFacts { unlocked: vault.is_ok(), ..keys });
    let doubt = appliance.clock.doubt();
    let facts = Facts { gathered: now, shares, book, incidents, pool, disks, keys, people: seen.people, offsite: seen.offsite, doubt };
    Ok(duties::status(&facts, now))
}

/// All shares.
pub(crate) fn shares(appliance: &Appliance) -> Result<Vec<Share>, VaultdError> {
    let policies = Policies::load(&appliance.state)?;
    appliance.state.shares()?.into_iter().map(|row| share(appliance, &policies, row)).collect()
}

fn share(appliance: &Appliance, policies: &Policies, row: ShareRow) -> Result<Share, VaultdError> {
    let now = At(appliance.clock.believed());
    let running = appliance.works.run_of(&row.id);
    let last = appliance.state.runs(Some(&row.id), 2)?.into_iter().find(|run| run.finished_at.is_some());
    let due = next_due(&row.id, &policies.of(row.tier), &row.clock, now).at.0;
    Ok(Share {
        id: row.id.0,
        name: row.name,
        location: row.location,
        tier: tier(row.tier),
        paused: row.paused,
        added_at: row.added_at,
        running,
        last,
        newest_copy_at: row.clock.last_good.map(|at| at.0),
        next_due: (!row.paused).then_some(due),
        may_write: row.may_write,
    })
}

/// The vault.
pub(crate) fn vault(appliance: &Appliance) -> VaultState {
    let mut state = VaultState { boot: appliance.clock.boot().to_owned(), ..VaultState::default() };
    match appliance.engine.vault() {
        Err(unready) => state.unready = Some(unready),
        Ok(vault) => {
            state.vault = Some(vault.id().to_string());
            let health = vault.disks();
            state.degraded_objects = health.degraded_objects;
            state.free_bytes = health.free_bytes();
            let words =
                |disk: &keepwell_storage::DiskHealth| if disk.state == DiskState::Present { String::new() } else { disk.state.to_string() };
            state.disks = health.disks.iter().map(|disk| (disk.name.clone(), words(disk))).collect();
            if let Ok(stats) = vault.stats() {
                (state.snapshots, state.stored_bytes) = (stats.snapshots, stats.disk_bytes);
            }
        }
    }
    state
}

pub(crate) fn tier(tier: duties::Tier) -> Tier {
    match tier {
        duties::Tier::One => Tier::One,
        duties::Tier::Two => Tier::Two,
        duties::Tier::Three => Tier::Three,
    }
}

pub(crate) fn own_tier(tier: Tier) -> duties::Tier {
    match tier {
        Tier::One => duties::Tier::One,
        Tier::Two => duties::Tier::Two,
        Tier::Three => duties::Tier::Three,
    }
}
