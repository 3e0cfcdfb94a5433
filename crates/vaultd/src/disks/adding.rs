//! A disk joins the pool: diskd prepares and mounts it, the pool takes it in, in place of another one or beside the others. Nothing is erased before it is clear that the pool
//! does without what is on it.

use std::sync::Arc;

use keepwell_api::ClientError;
use keepwell_api::disks::{Disk as Known, DiskDetail, Serial, Standing, Typed};
use keepwell_api::error::chain;
use keepwell_api::grants::Grant;
use keepwell_api::vault::{AddDisk, Done};
use keepwell_format::DiskId;
use keepwell_storage::{Change, DiskState};
use keepwell_vault::Vault;

use super::{Answer, begun, changed, diskd_of_pool, find, member, members};
use crate::appliance::Appliance;
use crate::bays::{Bay, Diskd, mounted_at};
use crate::error::VaultdError;

/// `POST /v1/disks/add`.
pub(crate) fn add(appliance: &Arc<Appliance>, grant: &Grant, order: AddDisk) -> Answer<Done> {
    let _one_at_a_time = appliance.disks.change()?;
    let diskd = diskd_of_pool(appliance)?;
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let serial = order.serial.as_str();
    if order.typed_serial.trim() != serial {
        let text = format!("the serial number that was typed is not that of disk {serial}. Nothing was changed");
        return Err(VaultdError::Disk { code: "wrong-serial".into(), text });
    }
    let disk = find(diskd, &order.serial)?;
    let replaces = order.replaces.as_deref().map(|old| member(appliance, &vault.disks(), old)).transpose()?;
    not_a_member(appliance, &vault, &disk, &order)?;
    // What was done so far by a call that was cut short, or by a person, is not done again.
    let mut ids = random_ids()?;
    let _busy = Busy::new(appliance, &order.serial);
    ready(appliance, &vault, diskd, &disk, (&order, grant))?;
    let change = match replaces {
        Some(old) => Change::Replace { old, new: serial.to_owned() },
        None => Change::Add { disks: vec![serial.to_owned()], layout: None },
    };
    vault.check_change(&change)?;
    changed(appliance, &grant.user, "disk-added", serial, order.replaces.as_deref())?;
    vault.begin_change(&change, &mut || ids.next().unwrap_or(DiskId([0; 16])))?;
    begun(appliance, vault.to_mend());
    Ok(Done {})
}

/// A member that can't be told by what is on it now is not taken for a free disk: a table that can't be read may come back, and with it what the pool has there. Whoever knows better
/// names it as the one that it replaces.
fn not_a_member(appliance: &Appliance, vault: &Vault, disk: &Known, order: &AddDisk) -> Answer<()> {
    let serial = disk.serial.as_str();
    let told = matches!(disk.standing, Standing::Prepared { .. });
    if told || order.replaces.as_deref() == Some(serial) || !members(appliance, &vault.disks())?.iter().any(|(name, _)| name == serial) {
        return Ok(());
    }
    let text = format!(
        "disk {serial} is a disk of the pool, though what is on it can't be read now. Nothing was changed. Plug it in again; to erase it and have its data made again from the other disks, \
         add it in its own place"
    );
    Err(VaultdError::Disk { code: "member".into(), text })
}

/// For changes in which nothing joins.
pub(super) fn no_id() -> DiskId {
    DiskId([0; 16])
}

/// A few fresh ids: an error before anything is done, rather than after.
pub(super) fn random_ids() -> Answer<impl Iterator<Item = DiskId>> {
    let mut ids = [[0; 16]; 2];
    ids.iter_mut().try_for_each(|id| getrandom::fill(id)).map_err(|error| VaultdError::Own(error.into()))?;
    Ok(ids.into_iter().map(DiskId))
}

/// Nobody else touches the disk meanwhile.
pub(super) struct Busy<'a> {
    appliance: &'a Appliance,
    name: String,
}

impl<'a> Busy<'a> {
    pub(super) fn new(appliance: &'a Appliance, serial: &Serial) -> Self {
        let name = serial.to_string();
        appliance.disks.seen().busy.insert(name.clone());
        // Who saw it free before has done with it.
        drop(appliance.disks.hands());
        Self { appliance, name }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.appliance.disks.seen().busy.remove(&self.name);
    }
}

/// The disk stands ready for the pool: empty, mounted, and known to it.
fn ready(appliance: &Appliance, vault: &Vault, diskd: &Diskd, disk: &Known, (order, grant): (&AddDisk, &Grant)) -> Answer<()> {
    let mut typed = Typed { typed_serial: Some(order.typed_serial.trim().to_owned()), retired: false, asked_by: Some(grant.user.clone()) };
    if let Standing::Prepared { .. } = disk.standing {
        let bay = match mounted_at(disk) {
            Some(at) => Bay { name: disk.serial.to_string(), at: at.into() },
            None => diskd.mount(disk).map_err(VaultdError::of_diskd)?,
        };
        match stands(vault, &bay)? {
            DiskState::Empty => return Ok(()),
            DiskState::Retired | DiskState::Replaced => typed.retired = true,
            DiskState::Present | DiskState::DamagedLabel => return Err(in_pool(&disk.serial)),
            state => {
                let text = format!(
                    "disk {} can't be added: it {state}. Nothing was changed. Erase it first, if nobody needs what is on it",
                    bay.name
                );
                return Err(VaultdError::Disk { code: "in-pool".into(), text });
            }
        }
        vault.let_go(&bay.name);
        let _: DiskDetail = diskd.have(disk, "unmount", &Typed::default()).map_err(VaultdError::of_diskd)?;
    }
    changed(appliance, &grant.user, "disk-prepared", disk.serial.as_str(), None)?;
    let cut = |error| was_cut(diskd, &disk.serial, error);
    let _: DiskDetail = diskd.have(disk, "prepare", &typed).map_err(cut)?;
    let bay = diskd.mount(disk).map_err(cut)?;
    match stands(vault, &bay)? {
        DiskState::Empty => Ok(()),
        state => Err(VaultdError::Disk {
            code: "unfaithful".into(),
            text: format!("disk {} was prepared, and is {state} all the same: use another one", bay.name),
        }),
    }
}

/// Nobody waits for a disk that goes while it is prepared: it is none of the pool's yet, and the person who wanted it stands before it.
fn was_cut(diskd: &Diskd, serial: &Serial, error: ClientError) -> VaultdError {
    if find(diskd, serial).is_ok_and(|now| now.standing != Standing::Absent) {
        return VaultdError::of_diskd(error);
    }
    let text = format!(
        "disk {serial} went away while it was prepared ({}). It is no disk of the pool, and what was on it may be gone; nothing else was changed. Plug it in again, and add it again",
        chain(&error)
    );
    VaultdError::Disk { code: "pulled".into(), text }
}

/// What the disk is to the pool, which has it under its hands from now on.
fn stands(vault: &Vault, bay: &Bay) -> Answer<DiskState> {
    let held =
        vault.disks().disks.into_iter().find(|disk| disk.name == bay.name && (disk.slot.is_none() || disk.state != DiskState::Missing));
    match held {
        Some(disk) => Ok(disk.state),
        None => Ok(vault.take_in(bay.disk())?),
    }
}

pub(super) fn in_pool(serial: &Serial) -> VaultdError {
    let text = format!("disk {serial} is a disk of the pool already. Nothing was changed");
    VaultdError::Disk { code: "member".into(), text }
}

/// Has a disk that has left made ready to be taken out.
pub(super) fn see_off(appliance: &Appliance, vault: &Vault, name: &str) {
    let Ok(diskd) = diskd_of_pool(appliance) else { return };
    let Some(serial) = Serial::parse(name) else { return };
    let _busy = Busy::new(appliance, &serial);
    vault.let_go(name);
    let unmounted = find(diskd, &serial).and_then(|disk| match mounted_at(&disk) {
        Some(_) => diskd.have::<DiskDetail>(&disk, "unmount", &Typed::default()).map(drop).map_err(VaultdError::of_diskd),
        None => Ok(()),
    });
    match unmounted {
        Ok(()) => tracing::info!(disk = name, "a disk has left the pool and can be taken out"),
        // It stays where it is: it is tried again.
        Err(error) => tracing::warn!(disk = name, error = chain(&error), "a disk that has left is still mounted"),
    }
}
