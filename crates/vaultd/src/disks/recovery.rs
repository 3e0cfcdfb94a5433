//! The pool for a vault that comes back from another box (`docs/decisions/0022`): blank disks are made ready as for the first pool, get the labels of the vault that two papers open, and a mark that it is
//! not there yet. recoverd writes into it then; until the marks are gone this program reads what is whole, and writes nothing.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use keepwell_api::Client;
use keepwell_api::auth::Status as People;
use keepwell_api::disks::{Disks, Serial, Standing};
use keepwell_api::error::chain;
use keepwell_api::keys::Status as Keys;
use keepwell_api::recovery::{COMING, PoolPlaces, RecoverPool};
use keepwell_audit::{Event, Value};
use keepwell_format::VaultId;
use keepwell_storage::Layout;

use super::first::{self, PLAN, Plan, Ready};
use super::{Answer, diskd_of_pool};
use crate::appliance::Appliance;
use crate::bays::{self, Bay};
use crate::error::VaultdError;

/// Who is named in the log: nobody has signed in to a blank box.
const BY: &str = "screen";

/// `POST /v1/pool/recovery`.
pub(crate) fn recover(appliance: &Arc<Appliance>, order: &RecoverPool) -> Answer<PoolPlaces> {
    let _one_at_a_time = appliance.disks.change()?;
    let made = make(appliance, order);
    appliance.disks.note_making(made.as_ref().err().map(|error| chain(error)));
    made
}

fn make(appliance: &Arc<Appliance>, order: &RecoverPool) -> Answer<PoolPlaces> {
    let diskd = diskd_of_pool(appliance)?;
    let vault: VaultId = order.vault.parse().map_err(|_| VaultdError::Invalid("this is no id of a vault".into()))?;
    let known = diskd.ask().map_err(VaultdError::of_diskd)?;
    let begun = begun(appliance, &known, vault)?;
    if begun.is_none() {
        nobodys(appliance)?;
    }
    if appliance.engine.vault().is_ok() || appliance.engine.was_open() {
        return Err(first::pool_exists());
    }
    let mut plan = planned(begun, vault, order)?;
    first::strangers(&known, &plan)?;
    let found = |serial: &Serial| known.disks.iter().find(|disk| disk.serial == *serial).ok_or(VaultdError::NoSuch("disk"));
    let disks = plan.disks.clone();
    let disks = disks.iter().map(found).collect::<Answer<Vec<_>>>()?;
    if let Some(other) = disks.iter().find(|disk| !matches!(disk.standing, Standing::Blank | Standing::Prepared { .. })) {
        let text = format!("disk {} is not blank: nothing on it was changed. Use another one", other.serial);
        return Err(VaultdError::Disk { code: "not-blank".into(), text });
    }
    let looked = disks.iter().map(|disk| first::as_it_is(diskd, disk, &plan)).collect::<Answer<Vec<_>>>()?;
    // Whatever was refused until here left the box as it was.
    let making = appliance.engine.begin_making().ok_or_else(first::pool_exists)?;
    appliance.state.note(PLAN, &Some(&plan))?;
    let fields = vec![
        ("what".to_owned(), Value::Text("vault-comes-back".into())),
        ("vault".to_owned(), Value::Text(plan.vault.clone())),
        ("disks".to_owned(), Value::Number(plan.disks.len() as i64)),
    ];
    appliance.record(BY, Event::SettingChanged, fields)?;
    appliance.changed();
    let ready = first::all_ready(appliance, diskd, BY, &disks, looked, &plan)?;
    drop(first::pooled(appliance, &ready, &mut plan)?);
    // Before recoverd writes anything: whoever finds these disks later knows that not all is there.
    ready.iter().try_for_each(|ready| mark(&ready.bay))?;
    drop(making);
    let place = |ready: &Ready| (ready.bay.name.clone(), ready.bay.at.display().to_string());
    Ok(PoolPlaces { disks: ready.iter().map(place).collect() })
}

/// What was begun here, by this box's state or, as that is the lost box's from some moment on, by the marks on the disks.
fn begun(appliance: &Appliance, known: &Disks, vault: VaultId) -> Answer<Option<Plan>> {
    if let Some(plan) = first::plan(appliance)? {
        return if plan.recovering { Ok(Some(plan)) } else { Err(first::pool_exists()) };
    }
    let bays: Vec<Bay> = bays::mounted(known).into_iter().filter(Bay::is_coming).collect();
    let mut disks = Vec::new();
    let mut layout = None;
    for bay in &bays {
        if let Some(label) = first::label_of(bay)?.filter(|label| label.vault == vault.0) {
            disks.extend(Serial::parse(&bay.name));
            layout = Some(label.layout);
        }
    }
    let of = |layout: Layout| Plan {
        vault: vault.to_string(),
        disks,
        data: layout.k,
        parity: layout.m,
        owner: String::new(),
        pooled: true,
        before: Vec::new(),
        recovering: true,
    };
    Ok(layout.map(of))
}

/// Whether the box is out of its carton: no owner, no keys, no vault.
fn nobodys(appliance: &Appliance) -> Answer<()> {
    let refused = |code: &str, text: &str| Err(VaultdError::Disk { code: code.into(), text: format!("{text}. Nothing was changed") });
    let authd = Client::new("keepwell-authd", &appliance.config.authd, first::MOMENT);
    let people: People = authd.get("/v1/status").map_err(|error| VaultdError::Disk { code: "authd-silent".into(), text: chain(&error) })?;
    if people.claimed {
        return refused("claimed", "somebody has set this box up already: people come back with the vault, and can't stand beside others");
    }
    let keyd = Client::new("keepwell-keyd", &appliance.config.places.keyd, first::KEYD_PATIENCE);
    let keys: Keys = keyd.get("/v1/status").map_err(VaultdError::of_keyd)?;
    // Its screen has given them the keys of the vault that comes, and no other's.
    if keys.vaults.len() > 1 {
        return refused("keys-exist", "this box has the keys of a vault already: plug in its disks");
    }
    Ok(())
}

fn planned(begun: Option<Plan>, vault: VaultId, order: &RecoverPool) -> Answer<Plan> {
    if let Some(plan) = &begun {
        if plan.vault != vault.to_string() {
            let text = format!("the vault {} is being brought back on these disks. Nothing was changed", plan.vault);
            return Err(VaultdError::Disk { code: "other-vault".into(), text });
        }
        let same = order.disks.len() == plan.disks.len() && order.disks.iter().all(|serial| plan.disks.contains(serial));
        if order.disks.is_empty() || same {
            return Ok(plan.clone());
        }
        if plan.pooled {
            return Err(first::other_disks(&plan.disks));
        }
    }
    let layout = first::layout_for(&order.disks, None, None)?;
    Ok(Plan {
        vault: vault.to_string(),
        disks: order.disks.clone(),
        data: layout.k,
        parity: layout.m,
        owner: String::new(),
        pooled: false,
        before: begun.map(|plan| plan.before).unwrap_or_default(),
        recovering: true,
    })
}

fn mark(bay: &Bay) -> Answer<()> {
    let path = bay.at.join(COMING);
    if path.exists() {
        return Ok(());
    }
    let write = || {
        let mut file = File::create(&path)?;
        writeln!(file, "0")?;
        file.sync_all()?;
        File::open(&bay.at)?.sync_all()
    };
    write().map_err(VaultdError::Own)
}
