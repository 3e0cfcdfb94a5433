//! The first pool of a box: keys from keyd, disks from diskd, and a vault on them. Each step is done once, however often it is asked for: who is cut asks again.
//!
//! Order: the plan, which names the vault, is kept; keyd makes its keys; the disks are prepared; the pool gets its labels; the plan says that; the keys are stored; the vault is opened;
//! the plan is dropped. Never erases a disk with a label of a pool, but for one that got it from this very plan before the plan said that the pool is there.

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use keepwell_api::Client;
use keepwell_api::disks::{Disk as Known, DiskDetail, Serial, Standing, Typed};
use keepwell_api::error::chain;
use keepwell_api::grants::{Grant, Role};
use keepwell_api::keys::{NewVault, Phase, Status, VaultMade};
use keepwell_api::vault::{CreatePool, Done, PoolMaking, PoolPhase};
use keepwell_audit::{Event, Value};
use keepwell_format::VaultId;
use keepwell_format::keys::{Keyring, Slots};
use keepwell_storage::{Access, LABEL_FILE, Label, Layout, Pool, PoolIds};
use keepwell_vault::{VaultError, create_with, has_locks};
use serde::{Deserialize, Serialize};

use super::{Answer, DOCUMENT, changed, diskd_of_pool};
use crate::appliance::Appliance;
use crate::bays::{self, Bay, Diskd, mounted_at};
use crate::error::VaultdError;
use crate::place;
use crate::state::SETTLED;

/// Document: what is being made.
pub(super) const PLAN: &str = "first-pool";
const DISKS_MAX: usize = 24;
const OWNER_MAX: usize = 200;
/// keyd may have to ask the TPM, several times.
pub(super) const KEYD_PATIENCE: Duration = Duration::from_secs(120);
/// What authd knows without asking anybody.
pub(super) const MOMENT: Duration = Duration::from_secs(10);

/// What was begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) vault: String,
    pub(super) disks: Vec<Serial>,
    pub(super) data: u8,
    pub(super) parity: u8,
    /// Whose data it is.
    pub(super) owner: String,
    /// The pool has its labels. From here on nothing is erased.
    pub(super) pooled: bool,
    /// Disks that were empty when the pool was about to be made on them, until it is there: all that is on them came from this plan.
    #[serde(default)]
    pub(super) before: Vec<Serial>,
    /// The vault comes from another box, with its keys: none are made here.
    #[serde(default)]
    pub(super) recovering: bool,
}

/// A disk that is mounted, with the label of the pool if it has one.
pub(super) struct Ready {
    pub(super) bay: Bay,
    label: Option<Label>,
    /// There is something on it.
    used: bool,
}

/// `GET /v1/pool`.
pub(crate) fn told(appliance: &Appliance) -> Answer<PoolMaking> {
    let phase = phase(appliance)?;
    let plan = plan(appliance)?.filter(|_| phase != PoolPhase::There);
    let recovering = plan.as_ref().filter(|plan| plan.recovering).map(|plan| plan.vault.clone()).or_else(|| appliance.engine.coming());
    let disks = plan.map(|plan| plan.disks).unwrap_or_default();
    let seen = appliance.disks.seen();
    let is_ready = |serial: &&Serial| {
        let known = seen.known.as_ref().and_then(|known| known.disks.iter().find(|disk| disk.serial == **serial));
        known.is_some_and(|disk| matches!(disk.standing, Standing::Prepared { mounted_at: Some(_), .. }))
    };
    let ready = disks.iter().filter(is_ready).cloned().collect();
    let failed = appliance.disks.making_failed().filter(|_| phase == PoolPhase::Begun);
    Ok(PoolMaking { phase, disks, ready, failed, recovering })
}

/// How far the box is. What can't be told is taken for a box that has a pool.
pub(crate) fn phase(appliance: &Appliance) -> Answer<PoolPhase> {
    let engine = &appliance.engine;
    if engine.vault().is_ok() || engine.was_open() {
        return Ok(PoolPhase::There);
    }
    if engine.is_being_made() {
        return Ok(PoolPhase::Making);
    }
    if plan(appliance)?.is_some() || engine.coming().is_some() {
        return Ok(PoolPhase::Begun);
    }
    let had_disks = appliance.state.document::<serde_json::Value>(DOCUMENT)?.is_some();
    let none = !had_disks && engine.vault().is_err_and(|unready| unready.code == "no-pool");
    Ok(if none { PoolPhase::None } else { PoolPhase::There })
}

/// Whether a vault comes back from another box.
pub(crate) fn is_coming(appliance: &Appliance) -> Answer<bool> {
    Ok(appliance.engine.coming().is_some() || plan(appliance)?.is_some_and(|plan| plan.recovering))
}

/// `POST /v1/pool`.
pub(crate) fn create(appliance: &Arc<Appliance>, grant: &Grant, order: CreatePool) -> Answer<Done> {
    if grant.role != Role::Owner {
        return Err(VaultdError::OwnersOnly);
    }
    let _one_at_a_time = appliance.disks.change()?;
    let made = make(appliance, grant, order);
    // Whoever asked may have gone by now.
    appliance.disks.note_making(made.as_ref().err().map(|error| chain(error)));
    made
}

fn make(appliance: &Arc<Appliance>, grant: &Grant, order: CreatePool) -> Answer<Done> {
    let diskd = diskd_of_pool(appliance)?;
    let layout = checked(&order)?;
    // Nobody opens a pool that is half made.
    let making = appliance.engine.begin_making().ok_or_else(pool_exists)?;
    let known = diskd.ask().map_err(VaultdError::of_diskd)?;
    let keyd = Client::new("keepwell-keyd", &appliance.config.places.keyd, KEYD_PATIENCE);
    let mut plan = decided(appliance, &keyd, &order, layout)?;
    strangers(&known, &plan)?;
    let found = |serial: &Serial| known.disks.iter().find(|disk| disk.serial == *serial).ok_or(VaultdError::NoSuch("disk"));
    let disks = plan.disks.clone();
    let disks = disks.iter().map(found).collect::<Answer<Vec<_>>>()?;
    // Before anything is kept: what is refused now is refused the next time as well.
    let looked = disks.iter().map(|disk| as_it_is(diskd, disk, &plan)).collect::<Answer<Vec<_>>>()?;
    appliance.state.note(PLAN, &Some(&plan))?;
    let fields = vec![
        ("what".to_owned(), Value::Text("pool-begun".into())),
        ("vault".to_owned(), Value::Text(plan.vault.clone())),
        ("disks".to_owned(), Value::Number(plan.disks.len() as i64)),
    ];
    appliance.record(&grant.user, Event::SettingChanged, fields)?;
    appliance.changed();
    // Before anything is erased: a box whose keys can't be made keeps its disks as they are.
    let made = if plan.pooled { None } else { Some(keys(&keyd, &plan)?) };
    let ready = all_ready(appliance, diskd, &grant.user, &disks, looked, &plan)?;
    let pool = pooled(appliance, &ready, &mut plan)?;
    if !has_locks(&pool)? {
        let made = made.map_or_else(|| keys(&keyd, &plan), Ok)?;
        store(&pool, &made)?;
    }
    // Whoever opens it has to be able to take it.
    drop(pool);
    appliance.engine.open_made(making).map_err(VaultdError::Unready)?;
    appliance.state.note(PLAN, &None::<Plan>)?;
    changed(appliance, &grant.user, "pool-made", &plan.vault, None)?;
    appliance.changed();
    Ok(Done {})
}

/// The layout, if the request makes sense.
fn checked(order: &CreatePool) -> Answer<Layout> {
    let invalid = |text: &str| Err(VaultdError::Invalid(text.to_owned()));
    for disk in &order.disks {
        if disk.typed_serial.trim() != disk.serial.as_str() {
            let text = format!("the serial number that was typed is not that of disk {}. Nothing was changed", disk.serial);
            return Err(VaultdError::Disk { code: "wrong-serial".into(), text });
        }
    }
    if order.owner.as_ref().is_some_and(|owner| owner.len() > OWNER_MAX || owner.contains(char::is_control)) {
        return invalid("whose data it is, is one line of at most 200 bytes");
    }
    let disks: Vec<Serial> = order.disks.iter().map(|disk| disk.serial.clone()).collect();
    layout_for(&disks, order.data, order.parity)
}

/// What is asked for, or usual for so many disks.
pub(super) fn layout_for(disks: &[Serial], data: Option<u8>, parity: Option<u8>) -> Answer<Layout> {
    let invalid = |text: &str| Err(VaultdError::Invalid(text.to_owned()));
    let count = disks.len();
    if !(1..=DISKS_MAX).contains(&count) {
        return invalid("a pool is made of 1 to 24 disks");
    }
    if disks.iter().enumerate().any(|(n, disk)| disks[..n].contains(disk)) {
        return invalid("a disk was named twice");
    }
    let layout = match (data, parity, count) {
        (Some(k), Some(m), _) => Layout { k, m },
        (None, None, count) => Layout::usual(count),
        _ => return invalid("data and parity belong together"),
    };
    match Layout::OFFERED.contains(&layout) {
        true if usize::from(layout.width()) <= count => Ok(layout),
        true => invalid("this layout needs more disks than these"),
        false => invalid("a pool can be made with 1+0, 1+1, 2+1, 2+2, 3+2 or 4+2 shards of an object"),
    }
}

/// Disks of a pool that was begun.
pub(super) fn planned(appliance: &Appliance) -> Answer<Vec<Serial>> {
    Ok(plan(appliance)?.map(|plan| plan.disks).unwrap_or_default())
}

pub(super) fn plan(appliance: &Appliance) -> Answer<Option<Plan>> {
    Ok(appliance.state.document::<Option<Plan>>(PLAN)?.flatten())
}

/// What was begun, with the disks of now; or a new vault for a box that has none.
fn decided(appliance: &Appliance, keyd: &Client, order: &CreatePool, layout: Layout) -> Answer<Plan> {
    let disks: Vec<Serial> = order.disks.iter().map(|disk| disk.serial.clone()).collect();
    let begun = plan(appliance)?;
    if let Some(plan) = begun.as_ref().filter(|plan| plan.recovering) {
        let text =
            format!("the vault {} is being brought back on this box: its own screen says how far it is. Nothing was changed", plan.vault);
        return Err(VaultdError::Disk { code: "recovering".into(), text });
    }
    if let Some(plan) = begun.as_ref().filter(|plan| plan.pooled) {
        let same = plan.disks.len() == disks.len() && plan.disks.iter().all(|serial| disks.contains(serial));
        return if same { Ok(plan.clone()) } else { Err(other_disks(&plan.disks)) };
    }
    let status: Status = keyd.get("/v1/status").map_err(VaultdError::of_keyd)?;
    if let (Phase::Locked, Some(why)) = (status.phase, status.locked) {
        return Err(VaultdError::Disk {
            code: "locked".into(),
            text: format!("the box's keys are locked: {}. Nothing was changed", why.text),
        });
    }
    if let Some(vault) = status.vaults.iter().find(|vault| begun.as_ref().is_none_or(|plan| plan.vault != vault.vault)) {
        let text = format!("this box has the keys of vault {} already: plug in its disks. Nothing was changed", vault.vault);
        return Err(VaultdError::Disk { code: "keys-exist".into(), text });
    }
    let before = begun.as_ref().map(|plan| plan.before.clone()).unwrap_or_default();
    let vault = begun.map_or_else(|| random().map(|id| VaultId(id).to_string()), |plan| Ok(plan.vault))?;
    let owner = order.owner.clone().filter(|owner| !owner.trim().is_empty()).unwrap_or_else(|| appliance.config.name.clone());
    Ok(Plan { vault, disks, data: layout.k, parity: layout.m, owner, pooled: false, before, recovering: false })
}

/// Disks of this box that are not asked for and have a label: of a pool that is there, or of this one when it was begun with other disks.
pub(super) fn strangers(known: &keepwell_api::disks::Disks, plan: &Plan) -> Answer<()> {
    for bay in bays::mounted(known).iter().filter(|bay| plan.disks.iter().all(|serial| serial.as_str() != bay.name)) {
        match label_of(bay)? {
            Some(label) if VaultId(label.vault).to_string() == plan.vault => {
                let begun: Vec<Serial> = plan.disks.iter().cloned().chain(Serial::parse(&bay.name)).collect();
                return Err(other_disks(&begun));
            }
            Some(_) => return Err(pool_exists()),
            None => {}
        }
    }
    Ok(())
}

fn keys(keyd: &Client, plan: &Plan) -> Answer<VaultMade> {
    let request = NewVault { vault: plan.vault.clone(), test: false, owner: plan.owner.clone(), passphrase: None };
    keyd.post("/v1/vaults", &request).map_err(VaultdError::of_keyd)
}

/// All disks of the plan, prepared beside each other and mounted.
pub(super) fn all_ready(
    appliance: &Appliance,
    diskd: &Diskd,
    by: &str,
    disks: &[&Known],
    looked: Vec<Option<Ready>>,
    plan: &Plan,
) -> Answer<Vec<Ready>> {
    let members = disks.len();
    let labelled = looked.iter().flatten().filter(|ready| ready.label.as_ref().is_some_and(|label| label.members.len() == members)).count();
    // Labels on some only: the making was cut between two of them, and there is nothing else on the pool.
    let anew = !plan.pooled && labelled < members;
    if plan.pooled && labelled < members {
        return Err(other_disks(&plan.disks));
    }
    std::thread::scope(|scope| {
        let work = looked.into_iter().zip(disks).map(|(ready, disk)| {
            let work = move || match ready {
                Some(ready) if !ready.used || !anew => Ok(ready),
                ready => prepared(appliance, diskd, by, disk, ready.is_some(), plan.recovering),
            };
            scope.spawn(work)
        });
        let work: Vec<_> = work.collect();
        let broken = || VaultdError::Invalid("the disks could not be prepared".into());
        work.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(broken()))).collect()
    })
}

/// A disk that was prepared before, if it was; one with another pool's label is refused.
pub(super) fn as_it_is(diskd: &Diskd, disk: &Known, plan: &Plan) -> Answer<Option<Ready>> {
    if !matches!(disk.standing, Standing::Prepared { .. }) {
        return Ok(None);
    }
    let bay = match mounted_at(disk) {
        Some(at) => Bay { name: disk.serial.to_string(), at: at.into() },
        None => diskd.mount(disk).map_err(VaultdError::of_diskd)?,
    };
    let label = label_of(&bay)?;
    if label.as_ref().is_some_and(|label| VaultId(label.vault).to_string() != plan.vault) {
        return Err(pool_exists());
    }
    let used = fs::read_dir(&bay.at).map_err(VaultdError::Own)?.next().is_some();
    if used && label.is_none() && !plan.before.contains(&disk.serial) {
        return Err(in_a_pool(&bay));
    }
    Ok(Some(Ready { bay, label, used }))
}

fn prepared(appliance: &Appliance, diskd: &Diskd, by: &str, disk: &Known, again: bool, blank: bool) -> Answer<Ready> {
    if again {
        let _: DiskDetail = diskd.have(disk, "unmount", &Typed::default()).map_err(VaultdError::of_diskd)?;
    }
    changed(appliance, by, "disk-prepared", disk.serial.as_str(), None)?;
    // Where nobody typed it, diskd looks whether there is anything on the disk.
    let typed_serial = (again || !blank).then(|| disk.serial.to_string());
    let typed = Typed { typed_serial, retired: again, asked_by: Some(by.to_owned()) };
    let _: DiskDetail = diskd.have(disk, "prepare", &typed).map_err(VaultdError::of_diskd)?;
    let bay = diskd.mount(disk).map_err(VaultdError::of_diskd)?;
    match label_of(&bay)? {
        None => Ok(Ready { bay, label: None, used: false }),
        Some(_) => Err(VaultdError::Disk {
            code: "unfaithful".into(),
            text: format!("disk {} was prepared, and what was on it is there all the same: use another one", disk.serial),
        }),
    }
}

/// The label of a pool, in its file. One that can't be read is no reason to take the disk for an empty one.
pub(super) fn label_of(bay: &Bay) -> Answer<Option<Label>> {
    match fs::read(bay.at.join(LABEL_FILE)) {
        Ok(bytes) => Label::parse(&bytes).map(Some).map_err(|_| in_a_pool(bay)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(VaultdError::Own(error)),
    }
}

fn in_a_pool(bay: &Bay) -> VaultdError {
    let text =
        format!("disk {} has data of a pool on it, which can't be told. Nothing was changed. Erase it first, if nobody needs it", bay.name);
    VaultdError::Disk { code: "in-pool".into(), text }
}

/// The pool on these disks: made, or taken up. The plan says before which disks it writes to, and after that it is there.
pub(super) fn pooled(appliance: &Appliance, ready: &[Ready], plan: &mut Plan) -> Answer<Pool> {
    if !plan.pooled {
        let empty = ready.iter().filter(|ready| !ready.used).filter_map(|ready| Serial::parse(&ready.bay.name));
        let more: Vec<_> = empty.filter(|serial| !plan.before.contains(serial)).collect();
        plan.before.extend(more);
        appliance.state.note(PLAN, &Some(&*plan))?;
    }
    let pool = on_disks(ready, plan)?;
    if !plan.pooled {
        (plan.pooled, plan.before) = (true, Vec::new());
        appliance.state.note(PLAN, &Some(&*plan))?;
    }
    Ok(pool)
}

fn on_disks(ready: &[Ready], plan: &Plan) -> Answer<Pool> {
    let disks: Vec<_> = ready.iter().map(|ready| ready.bay.disk()).collect();
    if ready.iter().all(|ready| ready.label.is_some()) {
        return Pool::open(disks, Access::Write).map_err(|error| VaultError::from(error).into());
    }
    let vault: VaultId = plan.vault.parse().map_err(|_| VaultdError::Invalid("the vault that was begun has no id".into()))?;
    let ids = PoolIds { vault: vault.0, disks: disks.iter().map(|_| random()).collect::<Answer<_>>()? };
    let layout = Layout { k: plan.data, m: plan.parity };
    Pool::create(disks, ids, layout).map_err(|error| VaultError::from(error).into())
}

fn store(pool: &Pool, made: &VaultMade) -> Answer<()> {
    let format = |source| VaultError::Format { what: "keyd's answer", source };
    let slots = Slots::decode(made.slots.as_ref()).map_err(format)?;
    let keyring = Keyring::decode(made.keyring.as_ref()).map_err(format)?;
    Ok(create_with(pool, &slots, &keyring)?)
}

fn random() -> Answer<[u8; 16]> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| VaultdError::Own(error.into()))?;
    Ok(id)
}

pub(super) fn pool_exists() -> VaultdError {
    let text = "this box has a pool already: disks are added to it one at a time. Nothing was changed";
    VaultdError::Disk { code: "pool-exists".into(), text: text.into() }
}

pub(super) fn other_disks(begun: &[Serial]) -> VaultdError {
    let names: Vec<&str> = begun.iter().map(Serial::as_str).collect();
    let text = format!("this pool was begun with other disks: plug in and choose {}. Nothing was changed", names.join(", "));
    VaultdError::Disk { code: "other-disks".into(), text }
}

/// What is left of a making that was cut after its pool was opened.
pub(crate) fn opened(appliance: &Appliance) {
    let dropped = plan(appliance).and_then(|plan| match plan {
        Some(plan) => {
            // All of it is here: also the place that was taken with the papers.
            if plan.recovering {
                let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
                place::found(appliance, &vault)?;
                appliance.state.note(SETTLED, &true)?;
            }
            Ok(appliance.state.note(PLAN, &None::<Plan>)?)
        }
        None => Ok(()),
    });
    if let Err(error) = dropped {
        tracing::error!(error = chain(&error), "the plan of the pool could not be dropped; it is of no use any more");
    }
}
