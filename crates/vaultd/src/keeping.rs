//! The box's own state, kept in its vault: after each change, so that a new box with the same vault has the same shares, policies, users and history.

use std::fs;
use std::time::Duration;

use keepwell_api::Client;
use keepwell_api::offsite::{KeptShare, KeptShares, PLACE_NAME, SHARES_FILE};
use keepwell_audit::{Event, Value};
use keepwell_duties::{Duty, DutyKind, Numbers};
use keepwell_format::Key;
use keepwell_format::manifest::Outcome;
use keepwell_vault::{BackupOptions, GivenFiles, NoProgress, Reread, RestoreOptions, Vault};
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::scratch::Scratch;
use crate::state::{SETTLED, State};
use crate::steward::FULL;
use crate::{place, succession};
use keepwell_api::error::chain;

/// What its snapshots are called; no share can be called so.
pub(crate) const NAME: &str = keepwell_api::offsite::STATE_NAME;
/// Whether these snapshots are the box's own, and no share's.
pub(crate) fn is_own(name: &str) -> bool {
    [NAME, PLACE_NAME].contains(&name)
}

const STATE: &str = "state.sqlite";
const USERS: &str = "users";
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes the state into the vault, as it is now.
pub(crate) fn keep(appliance: &Appliance, vault: &Vault) -> Result<(), VaultdError> {
    let copy = appliance.config.state.join("state.copy");
    let _ = fs::remove_file(&copy);
    appliance.state.copy_to(&copy)?;
    let state = fs::read(&copy).map_err(VaultdError::Own)?;
    fs::remove_file(&copy).map_err(VaultdError::Own)?;
    let shares = appliance.state.shares()?.into_iter().map(|share| KeptShare { name: share.name, tier: share.tier.number() }).collect();
    let shares = serde_json::to_vec(&KeptShares { shares }).map_err(|error| VaultdError::Own(error.into()))?;
    let mut files = GivenFiles::new(NAME).with_bytes(SHARES_FILE, Zeroizing::new(shares)).with_bytes(STATE, Zeroizing::new(state));
    files = succession::with_ledger(appliance, files)?;
    let authd = Client::new("keepwell-authd", &appliance.config.authd, PATIENCE);
    let users = authd.get_bytes("/v1/export");
    let (whole, full) = (users.is_ok(), appliance.reserve.is_full());
    match users {
        Ok(users) => files = files.with_bytes(USERS, users),
        Err(error) => tracing::warn!(error = chain(&error), "the users could not be kept with the state of the box; the shares were"),
    }
    let options = BackupOptions { name: NAME.to_owned(), level: 3, reread: Reread::NONE, intended: true };
    vault.backup(&files, &options, &NoProgress)?;
    let looked = match (whole, full) {
        (_, true) => Err((FULL, Numbers::new())),
        (false, _) => Err(("users", Numbers::new())),
        (true, false) => Ok(Numbers::new()),
    };
    appliance.watch.seen(&Duty::of_box(DutyKind::State), looked, appliance);
    Ok(())
}

/// Takes the newest state of the vault over, where this box has none of its own. Whether there was one.
pub(crate) fn adopt(appliance: &Appliance, vault: &Vault) -> Result<bool, VaultdError> {
    if !appliance.state.is_blank()? {
        return Ok(false);
    }
    let adopted = take_over(appliance, vault)?;
    place::found(appliance, vault)?;
    // From now on what is not here was taken away by a person.
    appliance.state.note(SETTLED, &true)?;
    Ok(adopted)
}

/// The same while the vault is still being fetched: as soon as its newest state is here, so that people can sign in and restore. The place is found when all is.
pub(crate) fn adopt_early(appliance: &Appliance, vault: &Vault) -> Result<(), VaultdError> {
    if appliance.state.is_blank()? && take_over(appliance, vault)? {
        appliance.state.note(SETTLED, &true)?;
        appliance.changed();
    }
    Ok(())
}

fn take_over(appliance: &Appliance, vault: &Vault) -> Result<bool, VaultdError> {
    let snapshots = vault.snapshots()?;
    let Some(newest) = snapshots.iter().rfind(|s| s.body.name == NAME && s.body.outcome != Outcome::Held) else {
        return Ok(false);
    };
    let scratch = Scratch::new(&appliance.config.state.join("adopting")).map_err(VaultdError::Own)?;
    let report = vault.restore(newest, &RestoreOptions { read_back: true, ..RestoreOptions::default() }, &scratch, &NoProgress)?;
    let key = |name: &str| Key::from_path(name.as_bytes()).expect("a plain name");
    let Some(copy) = scratch.path(&key(STATE)).filter(|_| report.is_whole()) else {
        return Err(VaultdError::Invalid("the state of the box in the vault is not whole".into()));
    };
    // Opening it brings an older release's tables to this one's.
    drop(State::open(&copy)?);
    // First: what is cut after it is begun again, and finds the log as it is to be.
    let ledger = (1..).map_while(|number| scratch.path(&key(&keepwell_audit::file_name(number)))).collect::<Vec<_>>();
    succession::continue_ledger(appliance, &ledger)?;
    appliance.state.adopt(&copy)?;
    appliance.watch.reload(&appliance.state)?;
    if let Some(users) = scratch.path(&key(USERS)) {
        let users = Zeroizing::new(fs::read(users).map_err(VaultdError::Own)?);
        let authd = Client::new("keepwell-authd", &appliance.config.authd, PATIENCE);
        if let Err(error) = authd.post_bytes::<serde_json::Value>("/v1/import", &users) {
            tracing::error!(error = chain(&error), "the users of the box before could not be taken over: claim the box anew");
        }
    }
    appliance.record("vaultd", Event::StateRestored, vec![("snapshot".into(), Value::Text(newest.id.to_string()))])?;
    Ok(true)
}
