//! Grants that are limited to some shares: whoever reads, restores or downloads asks here which snapshot it may be. A refusal is in the ledger. Knows no other limits.

use keepwell_api::Refusal;
use keepwell_api::grants::{Grant, Role};
use keepwell_vault::{Snapshot, Vault};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::steward::server;

/// The snapshot that is meant, if the grant reaches it. Go on with its id: what `latest` means may change.
pub(crate) fn snapshot(appliance: &Appliance, grant: &Grant, vault: &Vault, wanted: &str) -> Result<Snapshot, VaultdError> {
    let snapshot = vault.resolve(wanted)?;
    share(appliance, grant, &snapshot.body.name)?;
    Ok(snapshot)
}

/// Whether the grant reaches the share of this name.
pub(crate) fn share(appliance: &Appliance, grant: &Grant, name: &str) -> Result<(), VaultdError> {
    if grant.shares.covers(name) { Ok(()) } else { refused(appliance, grant, VaultdError::Scope) }
}

/// Whether somebody may end this restore: who only restores ends their own, of the shares that the grant reaches.
pub(crate) fn restore(appliance: &Appliance, grant: &Grant, id: u64) -> Result<(), VaultdError> {
    let only_restores = grant.role == Role::RestoreOnly;
    if !only_restores && grant.shares.is_all() {
        return Ok(());
    }
    let restore = appliance.state.restore(id)?.ok_or(VaultdError::NoSuch("restore"))?;
    if only_restores && restore.by != grant.user {
        return refused(appliance, grant, VaultdError::NotYours);
    }
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    snapshot(appliance, grant, &vault, &restore.snapshot).map(drop)
}

/// Who only restores gives files back to the server that they came from, with an account they have there: to others, somebody sends them who may do more.
pub(crate) fn goes_home(appliance: &Appliance, grant: &Grant, snapshot: &Snapshot, to: &str) -> Result<(), VaultdError> {
    if grant.role != Role::RestoreOnly {
        return Ok(());
    }
    let shares = appliance.state.shares()?;
    let home = shares.iter().find(|share| share.name == snapshot.body.name);
    if home.is_some_and(|share| server(&share.location) == server(to)) { Ok(()) } else { refused(appliance, grant, VaultdError::NotHome) }
}

fn refused(appliance: &Appliance, grant: &Grant, error: VaultdError) -> Result<(), VaultdError> {
    appliance.gate.note(appliance, grant.verb, &grant.user, &Refusal::from(&error));
    Err(error)
}
