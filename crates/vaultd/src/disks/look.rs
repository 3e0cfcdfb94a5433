//! A look at what there is: disks that went are let go of, disks that came are taken in, and each member's health becomes a proof or an incident.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keepwell_api::disks::{Disk as Known, Disks, Serial, Standing};
use keepwell_api::error::chain;
use keepwell_duties::{Duty, DutyKind, Numbers};
use keepwell_format::DiskId;
use keepwell_storage::{DiskErrorKind, DiskHealth, DiskState, PoolError, PoolHealth};
use keepwell_vault::{Vault, VaultError};

use super::verdict::{self, Condition};
use super::{Answer, DOCUMENT, members};
use crate::appliance::Appliance;
use crate::bays::{self, Bay, Diskd};
use crate::error::VaultdError;

/// One that went may be back soon: what lay on it is made again elsewhere after this.
const GRACE: Duration = Duration::from_secs(900);
/// One that stalled is tried again.
const RETRY: Duration = Duration::from_secs(300);
/// So long diskd may be started again without anybody being told.
const SILENCE: Duration = Duration::from_secs(600);

/// Looks.
pub(super) fn look(appliance: &Appliance) -> Answer<()> {
    let diskd = appliance.config.places.diskd.as_ref();
    let known = diskd.and_then(|diskd| ask(appliance, diskd));
    let vault = match appliance.engine.vault() {
        Ok(vault) => vault,
        // Closed, to be opened with other disks: as soon as nobody works with it any more. The first time it is the steward's.
        Err(_) if appliance.engine.was_open() => return appliance.engine.open().map(drop).map_err(VaultdError::Unready),
        Err(_) => return Ok(()),
    };
    let there = match (diskd.filter(|diskd| diskd.has_pool), &known) {
        (Some(diskd), Some(known)) => Some(appeared(appliance, &vault, diskd, known)?),
        // What nobody says is no reason to let go of anything.
        (Some(_), None) => None,
        (None, _) => bays::folders(&appliance.config.places.pool).ok(),
    };
    if let Some(there) = there {
        let _hands = appliance.disks.hands();
        let there = there.into_iter().filter(|bay| !appliance.disks.seen().busy.contains(&bay.name)).collect::<Vec<_>>();
        // diskd was started again, or the disk has just come: it will say so in a moment.
        let is_unsaid = |disk: &&Known| matches!(disk.standing, Standing::Unread { failed: false, .. });
        let unsaid: Vec<&str> = known.iter().flat_map(|known| &known.disks).filter(is_unsaid).map(|disk| disk.serial.as_str()).collect();
        if !follow(appliance, &vault, &there, &unsaid)? {
            return Ok(());
        }
        house(appliance, &vault, &there);
    }
    let health = vault.disks();
    remember(appliance, &health, known.as_ref())?;
    judge(appliance, &health)
}

fn ask(appliance: &Appliance, diskd: &Diskd) -> Option<Disks> {
    let asked = diskd.ask();
    let duty = Duty::of_box(DutyKind::Disk);
    appliance.watch.owe(duty.clone(), appliance);
    let mut seen = appliance.disks.seen();
    match asked {
        Ok(known) => {
            (seen.known, seen.silent) = (Some(known.clone()), None);
            drop(seen);
            appliance.watch.seen(&duty, Ok(Numbers::new()), appliance);
            Some(known)
        }
        Err(error) => {
            tracing::debug!(error = chain(&error), "diskd could not be asked");
            seen.known = None;
            let since = seen.silent.get_or_insert_with(|| (Instant::now(), chain(&error))).0;
            drop(seen);
            if since.elapsed() >= SILENCE {
                appliance.watch.seen(&duty, Err(("silent", Numbers::new())), appliance);
            }
            None
        }
    }
}

/// What is mounted, and what has to be: this box's disks that have just been plugged in, and members that the pool lacks.
fn appeared(appliance: &Appliance, vault: &Vault, diskd: &Diskd, known: &Disks) -> Answer<Vec<Bay>> {
    let connected = known.disks.iter().filter(|disk| disk.standing != Standing::Absent).map(|disk| disk.serial.clone()).collect();
    let before = std::mem::replace(&mut appliance.disks.seen().connected, connected);
    let lacking: Vec<String> = {
        let members = members(appliance, &vault.disks())?;
        members.into_iter().filter(|(_, disk)| disk.state == DiskState::Missing).map(|(name, _)| name).collect()
    };
    let busy = |name: &str| appliance.disks.seen().busy.contains(name);
    let mut there = bays::mounted(known);
    for disk in bays::unmounted(known).filter(|disk| !busy(disk.serial.as_str())) {
        let is_new = !before.is_empty() && !before.contains(&disk.serial);
        if !is_new && !lacking.iter().any(|name| name == disk.serial.as_str()) {
            continue;
        }
        match diskd.mount(disk) {
            Ok(bay) => there.push(bay),
            Err(error) => tracing::warn!(disk = %disk.serial, error = chain(&error), "a disk that appeared could not be mounted"),
        }
    }
    Ok(there)
}

/// The pool follows what is there; of what is `unsaid` it keeps what it has. False: it has to be opened again.
fn follow(appliance: &Appliance, vault: &Vault, there: &[Bay], unsaid: &[&str]) -> Answer<bool> {
    let before = vault.disks();
    let held: Vec<&DiskHealth> = before.disks.iter().filter(|disk| disk.slot.is_none() || disk.state != DiskState::Missing).collect();
    let busy = |name: &str| appliance.disks.seen().busy.contains(name);
    let retry = retry(appliance, &held);
    for disk in &held {
        let gone = there.iter().all(|bay| bay.name != disk.name) && !busy(&disk.name) && !unsaid.contains(&disk.name.as_str());
        if (gone || retry.contains(&disk.name.as_str())) && vault.let_go(&disk.name) && disk.slot.is_some() {
            tracing::warn!(disk = disk.name, "a disk of the pool is not there any more");
            appliance.disks.mend_by(Instant::now() + GRACE);
            appliance.disks.seen().to_mend = vault.to_mend();
        }
    }
    let blind = missing(&before) > usize::from(before.layout.m);
    for bay in there.iter().filter(|bay| retry.contains(&bay.name.as_str()) || held.iter().all(|disk| disk.name != bay.name)) {
        match vault.take_in(bay.disk()) {
            Ok(DiskState::Present) if blind => {
                // What only missing disks held is in no index.
                appliance.engine.close("a disk is back, and what was on it alone is looked at");
                return Ok(false);
            }
            Ok(DiskState::Present) => {
                tracing::info!(disk = bay.name, "a disk of the pool is back");
                appliance.disks.mend_by(Instant::now());
                appliance.disks.seen().to_mend = vault.to_mend();
            }
            Ok(state) => tracing::debug!(disk = bay.name, %state, "a disk is there that is not in use"),
            Err(VaultError::Pool(error)) if matches!(*error, PoolError::Refused(_)) => {
                tracing::warn!(disk = bay.name, error = chain(&error), "the vault is opened again");
                appliance.engine.close("a disk is back that knows of a later change of the vault's disks");
                return Ok(false);
            }
            Err(error) => tracing::warn!(disk = bay.name, error = chain(&error), "a disk that is there can't be used"),
        }
    }
    Ok(true)
}

/// Each member that is there has a folder for what other boxes send.
fn house(appliance: &Appliance, vault: &Vault, there: &[Bay]) {
    let health = vault.disks();
    let present =
        |bay: &&Bay| health.disks.iter().any(|disk| disk.name == bay.name && disk.slot.is_some() && disk.state == DiskState::Present);
    let mut housed = std::mem::take(&mut appliance.disks.seen().housed);
    // One that went may come back without it.
    housed.retain(|name| there.iter().filter(present).any(|bay| bay.name == *name));
    for bay in there.iter().filter(present) {
        if housed.contains(&bay.name) {
            continue;
        }
        match bay.make_tenants() {
            Ok(()) => drop(housed.insert(bay.name.clone())),
            Err(error) => {
                tracing::warn!(disk = bay.name, %error, "a disk has no folder for what other boxes send: nothing new is taken in from them")
            }
        }
    }
    appliance.disks.seen().housed = housed;
}

/// Disks that did not answer once, and may by now.
fn retry<'a>(appliance: &Appliance, held: &[&'a DiskHealth]) -> Vec<&'a str> {
    let stalled =
        |disk: &&&DiskHealth| matches!(disk.failure, Some(DiskErrorKind::Stalled | DiskErrorKind::Gone | DiskErrorKind::NotFound));
    let stalled: Vec<&str> = held.iter().filter(stalled).map(|disk| disk.name.as_str()).collect();
    let mut seen = appliance.disks.seen();
    if stalled.is_empty() || seen.retry.is_some_and(|at| Instant::now() < at) {
        return Vec::new();
    }
    seen.retry = Some(Instant::now() + RETRY);
    stalled
}

fn missing(health: &PoolHealth) -> usize {
    health.disks.iter().filter(|disk| disk.slot.is_some() && disk.state == DiskState::Missing).count()
}

/// The serial numbers of members outlive their presence.
fn remember(appliance: &Appliance, health: &PoolHealth, known: Option<&Disks>) -> Answer<()> {
    let Some(known) = known else { return Ok(()) };
    let before: BTreeMap<String, Serial> = appliance.state.document(DOCUMENT)?.unwrap_or_default();
    let mut now = BTreeMap::new();
    for disk in health.disks.iter().filter(|disk| disk.slot.is_some()) {
        let Some(id) = disk.id.map(|id| DiskId(id).to_string()) else { continue };
        let one: Option<&Known> = verdict::known(&appliance.config.places, known, disk).filter(|_| verdict::is_there(disk));
        let serial = one.map(|one| one.serial.clone()).or_else(|| before.get(&id).cloned());
        now.extend(serial.map(|serial| (id, serial)));
    }
    if now != before {
        appliance.state.set_document(DOCUMENT, &now)?;
    }
    Ok(())
}

/// What each member's condition proves or breaks; one that is no member any more is owed nothing.
fn judge(appliance: &Appliance, health: &PoolHealth) -> Answer<()> {
    let members = members(appliance, health)?;
    appliance.watch.only_disks(&members.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    for (name, disk) in &members {
        let condition = verdict::of(&appliance.config.places, appliance.disks.seen().known.as_ref(), name, disk);
        let duty = Duty::disk(name);
        appliance.watch.owe(duty.clone(), appliance);
        match condition {
            Condition::Healthy => appliance.watch.seen(&duty, Ok(Numbers::new()), appliance),
            // It is back, which is no proof that it is well.
            Condition::Unknown if matches!(appliance.watch.failure(&duty).as_deref(), Some("missing" | "unreadable" | "unusable")) => {
                appliance.watch.seen(&duty, Err(("unknown", Numbers::new())), appliance);
            }
            // No proof and no failure: that it is not known for a day is told by itself.
            Condition::Unknown => {}
            Condition::Bad(code) => {
                // One that fails may have to be emptied; one that is missing, or can't be read, is waited for.
                if !matches!(&*code, "missing" | "unreadable") && appliance.watch.failure(&duty).as_deref() != Some(&code) {
                    appliance.disks.mend_by(Instant::now());
                }
                appliance.watch.seen(&duty, Err((&code, Numbers::new())), appliance);
            }
        }
    }
    Ok(())
}
