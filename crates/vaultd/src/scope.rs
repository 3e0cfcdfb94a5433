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
    let vault = appliance.engine.readable().map_err(VaultdError::Unready)?;
    snapshot(appliance, grant, &vault, &restore.snapshot).map(drop)
}

/// Who only restores gives files back to the server that they came from, with an account they have there: to others, somebody sends them who may do more.
pub(crate) fn goes_home(appliance: &Appliance, grant: &Grant, snapshot: &Snapshot, to: &str) -> Result<(), VaultdError> {
    if grant.role != Role::RestoreOnly {
        return Ok(());
    }
    let shares = appliance.state.shares()?;
    let home = shares.iter().find(|share| share.name == snapshot.body.name);
    if home.is_some_and(|share| is_home(&share.location, to)) { Ok(()) } else { refused(appliance, grant, VaultdError::NotHome) }
}

/// Over the same protocol to the same server. Over NFS nobody proves who they are: there it is the same export as the same user, and the same folder of it (`path`) or one below. An
/// address of a folder of the export as one of its own is not taken for that: what that is, its server decides.
fn is_home(share: &str, to: &str) -> bool {
    let (Some((protocol, home)), Some((other, there))) = (share.split_once("://"), to.split_once("://")) else { return false };
    if protocol != other || server(share) != server(to) {
        return false;
    }
    if protocol == "smb" {
        return true;
    }
    let ((home, folder, reads), (there, below, writes)) = (nfs(home), nfs(there));
    home == there && reads == writes && below.starts_with(&folder) && !below.iter().any(|name| matches!(*name, "" | "." | ".."))
}

/// Server and export, the folder in it by its names, and all else that an NFS address says.
fn nfs(rest: &str) -> (&str, Vec<&str>, Vec<&str>) {
    let (export, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (paths, others): (Vec<&str>, Vec<&str>) =
        options.split('&').filter(|option| !option.is_empty()).partition(|one| one.starts_with("path="));
    let folder = paths.iter().flat_map(|path| path["path=".len()..].trim_end_matches('/').split('/')).collect();
    (export.trim_end_matches('/'), folder, others)
}

fn refused(appliance: &Appliance, grant: &Grant, error: VaultdError) -> Result<(), VaultdError> {
    appliance.gate.note(appliance, grant.verb, &grant.user, &Refusal::from(&error));
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::is_home;

    #[test]
    fn home_is_where_it_came_from_as_who_reads_there() {
        let smb = "smb://reader@fs:445/practice";
        assert!(is_home(smb, "smb://writer@fs:445/practice/restored") && is_home(smb, "smb://writer@fs:445/other"));
        let nfs = "nfs://fs/export/praxis?uid=1000&gid=1000";
        assert!(is_home(nfs, nfs) && is_home(nfs, "nfs://fs/export/praxis/?path=restored/today&uid=1000&gid=1000"));
        let folder = "nfs://fs/export?path=praxis&uid=1000";
        for to in [folder, "nfs://fs/export?path=praxis/restored&uid=1000", "nfs://fs/export?uid=1000&path=praxis/restored/"] {
            assert!(is_home(folder, to), "{to}");
        }
        for (share, to) in [
            (smb, "nfs://fs:445/practice?uid=0"),
            (smb, "smb://writer@evil/practice"),
            (smb, "fs:445/practice"),
            (nfs, "nfs://fs/export/praxis?uid=0&gid=1000"),
            (nfs, "nfs://fs/export/praxis"),
            (nfs, "nfs://fs/export/praxis2?uid=1000&gid=1000"),
            (nfs, "nfs://fs/export?uid=1000&gid=1000"),
            (nfs, "nfs://fs/export/praxis/../x?uid=1000&gid=1000"),
            (nfs, "nfs://fs/export/praxis/hr?uid=1000&gid=1000"),
            // The folder comes behind the export: this is /export/hr/praxis.
            (folder, "nfs://fs/export/hr?path=praxis&uid=1000"),
            (folder, "nfs://fs/export?path=hr&uid=1000"),
            (folder, "nfs://fs/export?path=praxis2&uid=1000"),
            (folder, "nfs://fs/export?path=praxis/../hr&uid=1000"),
            (folder, "nfs://fs/export?path=praxis&path=../hr&uid=1000"),
            (folder, "nfs://fs/export?path=praxis&uid=0"),
            (folder, "nfs://fs/export?uid=1000"),
        ] {
            assert!(!is_home(share, to), "{share} {to}");
        }
    }
}
