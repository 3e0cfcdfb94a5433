//! A disk that is to be taken away with a restore on it: diskd erases it and makes a plain file system on it, when a person has shown that they may. Never a disk of the pool.

use std::collections::BTreeMap;
use std::sync::Arc;

use keepwell_api::disks::{Mounted, Serial, Typed};
use keepwell_api::grants::Grant;
use keepwell_api::vault::{Done, PrepareOutward};

use super::adding::{Busy, in_pool};
use super::{Answer, DOCUMENT, changed, find, first, members};
use crate::appliance::Appliance;
use crate::error::VaultdError;

/// `POST /v1/disks/outward`.
pub(crate) fn prepare(appliance: &Arc<Appliance>, grant: &Grant, order: PrepareOutward) -> Answer<Done> {
    let _one_at_a_time = appliance.disks.change()?;
    let diskd = appliance.config.places.diskd.as_ref().ok_or(VaultdError::NoDiskd)?;
    let serial = order.serial.as_str();
    if order.typed_serial.trim() != serial {
        let text = format!("the serial number that was typed is not that of disk {serial}. Nothing was changed");
        return Err(VaultdError::Disk { code: "wrong-serial".into(), text });
    }
    let disk = find(diskd, &order.serial)?;
    // diskd goes by what it reads on a disk; a member whose table can't be read now is one all the same.
    if is_of_pool(appliance, &order.serial)? {
        return Err(in_pool(&order.serial));
    }
    let _busy = Busy::new(appliance, &order.serial);
    changed(appliance, &grant.user, "disk-erased-to-leave", serial, None)?;
    let typed = Typed { typed_serial: Some(order.typed_serial), retired: false, asked_by: Some(grant.user.clone()) };
    let _: Mounted = diskd.have(&disk, "prepare-outward", &typed).map_err(VaultdError::of_diskd)?;
    Ok(Done {})
}

/// Also while the vault is closed, by what was kept of its disks: just then one of them may be missing.
fn is_of_pool(appliance: &Appliance, serial: &Serial) -> Answer<bool> {
    let kept: BTreeMap<String, Serial> = appliance.state.document(DOCUMENT)?.unwrap_or_default();
    if kept.values().any(|one| one == serial) || first::planned(appliance)?.contains(serial) {
        return Ok(true);
    }
    let Ok(vault) = appliance.engine.vault() else { return Ok(false) };
    Ok(members(appliance, &vault.disks())?.iter().any(|(name, _)| name == serial.as_str()))
}
