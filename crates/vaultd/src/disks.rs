//! The disks of the pool as the box looks after them: diskd says what there is and how it is, the pool what it holds, and here both come together. Touches no device: that is
//! diskd's; decides nothing that could lose data: that is the pool's.

mod adding;
mod first;
mod leaving;
mod look;
mod mending;
mod recovery;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use keepwell_api::disks::{Disk as Known, DiskDetail, Disks, Locate, SelfTest, Serial};
use keepwell_api::error::chain;
use keepwell_api::grants::Grant;
use keepwell_api::vault::{BoxDisk, BoxDisks, Done, LocateDisk, Membership, RemoveDisk, TestDisk};
use keepwell_audit::{Event, Value};
use keepwell_duties::status::DiskFacts;
use keepwell_format::DiskId;
use keepwell_storage::{Change, DiskHealth, PoolHealth, Role};

use crate::appliance::Appliance;
use crate::bays::Diskd;
use crate::error::VaultdError;
pub(crate) use adding::add;
pub(crate) use first::{create, is_coming, opened, phase, told as making};
pub(crate) use leaving::prepare as prepare_outward;
pub(crate) use recovery::recover;

/// Document: serial numbers by what the pool's labels call their disks, for when one is not there to be asked.
const DOCUMENT: &str = "disks";
/// What is there is looked at this often.
const LOOK: Duration = Duration::from_secs(5);
/// What the box begins by itself takes no longer.
const MOMENT: Duration = Duration::from_secs(5);

type Answer<T> = Result<T, VaultdError>;

/// What is known of the disks at this moment.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    seen: Mutex<Seen>,
    /// Held by whoever changes what the pool holds of disks.
    hands: Mutex<()>,
    /// Held by whoever changes which disks are the pool's.
    changing: Mutex<()>,
    /// Why the first pool was not made, the last time that it was tried.
    making_failed: Mutex<Option<String>>,
}

/// What was seen last.
#[derive(Debug, Default)]
struct Seen {
    /// diskd's answer.
    known: Option<Disks>,
    /// Since when diskd does not answer, and what it is that is heard instead.
    silent: Option<(Instant, String)>,
    /// Disks that were connected.
    connected: BTreeSet<Serial>,
    /// Disks that are being prepared: nobody else touches them.
    busy: BTreeSet<String>,
    /// Disks that stalled are tried again from then on.
    retry: Option<Instant>,
    /// Mending goes on from then on.
    mend_at: Option<Instant>,
    /// What is left of it.
    to_mend: u64,
    /// Disks that have a folder for what other boxes send.
    housed: BTreeSet<String>,
}

/// Looks after the disks until told to end. A thread of its own: a disk that was pulled has to be let go of while a share is backed up or the pool is read again.
pub(crate) fn run(appliance: &Arc<Appliance>, stop: &AtomicBool) {
    let (mut seen, mut next) = (0, Instant::now());
    let mut keeper = mending::Keeper::default();
    while !stop.load(Ordering::Acquire) {
        if Instant::now() >= next {
            next = Instant::now() + LOOK;
            if let Err(error) = look::look(appliance) {
                tracing::error!(error = chain(&error), "the box's disks could not be looked at; it is tried again");
            }
        }
        match keeper.slice(appliance, stop) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(error = chain(&error), "the pool could not be mended; it is tried again");
                appliance.disks.mend_from(Instant::now() + mending::IDLE);
            }
        }
        seen = appliance.wait(seen, Duration::from_secs(1));
    }
}

impl Shelf {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_making(&self, failed: Option<String>) {
        *self.making_failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    fn making_failed(&self) -> Option<String> {
        self.making_failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hands(&self) -> MutexGuard<'_, ()> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One change at a time: each is decided on what the one before left. None while another goes on, which may wait for a disk to be prepared, and nobody behind it.
    fn changing(&self) -> Option<MutexGuard<'_, ()>> {
        match self.changing.try_lock() {
            Ok(held) => Some(held),
            Err(TryLockError::Poisoned(held)) => Some(held.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The same for a person, who waits for a moment.
    fn change(&self) -> Answer<MutexGuard<'_, ()>> {
        let until = Instant::now() + MOMENT;
        loop {
            match self.changing() {
                Some(held) => return Ok(held),
                None if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
                None => {
                    let text = "another change of the disks goes on. Nothing was changed; try again when that one is done";
                    return Err(VaultdError::Disk { code: "busy".into(), text: text.into() });
                }
            }
        }
    }

    /// There is something to mend from then on; an earlier time stands.
    fn mend_by(&self, at: Instant) {
        let mut seen = self.seen();
        seen.mend_at = Some(seen.mend_at.map_or(at, |before| before.min(at)));
    }

    fn mend_from(&self, at: Instant) {
        self.seen().mend_at = Some(at);
    }
}

/// The members of the pool, with what people call each: its serial number, where that was ever known.
fn members(appliance: &Appliance, health: &PoolHealth) -> Answer<Vec<(String, DiskHealth)>> {
    let serials: BTreeMap<String, Serial> = appliance.state.document(DOCUMENT)?.unwrap_or_default();
    let label = |disk: &DiskHealth| {
        let known = disk.id.and_then(|id| serials.get(&DiskId(id).to_string()));
        known.map_or_else(|| disk.name.clone(), ToString::to_string)
    };
    Ok(health.disks.iter().filter(|disk| disk.slot.is_some()).map(|disk| (label(disk), disk.clone())).collect())
}

/// The disks for the status: never better than what was said of them.
pub(crate) fn facts(appliance: &Appliance, health: &PoolHealth) -> Answer<Vec<DiskFacts>> {
    let members = members(appliance, health)?;
    let seen = appliance.disks.seen();
    let fact = |(name, disk): &(String, DiskHealth)| {
        let state = verdict::of(&appliance.config.places, seen.known.as_ref(), name, disk).state().to_owned();
        DiskFacts { name: name.clone(), state }
    };
    Ok(members.iter().map(fact).collect())
}

/// `GET /v1/disks`.
pub(crate) fn told(appliance: &Appliance) -> Answer<BoxDisks> {
    let places = &appliance.config.places;
    let asked = places.diskd.as_ref().map(Diskd::ask).transpose();
    let diskd_silent = asked.as_ref().err().map(|error| chain(error));
    let known = asked.ok().flatten();
    let mut others: Vec<Known> = known.as_ref().map(|known| known.disks.clone()).unwrap_or_default();
    let mut disks = Vec::new();
    if let Ok(vault) = appliance.engine.vault() {
        for (name, disk) in members(appliance, &vault.disks())? {
            let one = known.as_ref().and_then(|known| verdict::known(places, known, &disk).or_else(|| verdict::away(known, &name)));
            others.retain(|other| one.is_none_or(|one| one.serial != other.serial));
            let membership = match (disk.role, verdict::is_there(&disk)) {
                (Role::Draining, _) => Membership::Leaving,
                (_, false) => Membership::Missing,
                _ => Membership::Member,
            };
            disks.push(BoxDisk { pool_name: Some(name), membership, disk: one.cloned() });
        }
    }
    disks.extend(others.into_iter().map(|disk| BoxDisk { pool_name: None, membership: Membership::None, disk: Some(disk) }));
    Ok(BoxDisks { disks, diskd_silent, to_mend: appliance.disks.seen().to_mend })
}

/// `POST /v1/disks/remove`: what is on a disk goes to the others, and then it may be taken out.
pub(crate) fn remove(appliance: &Arc<Appliance>, grant: &Grant, order: RemoveDisk) -> Answer<Done> {
    let _one_at_a_time = appliance.disks.change()?;
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    diskd_of_pool(appliance)?;
    let id = member(appliance, &vault.disks(), &order.pool_name)?;
    let change = Change::Remove { disk: id };
    if !vault.check_change(&change)?.is_done {
        changed(appliance, &grant.user, "disk-leaving", &order.pool_name, None)?;
        vault.begin_change(&change, &mut adding::no_id)?;
    }
    begun(appliance, vault.to_mend());
    Ok(Done {})
}

/// `POST /v1/disks/locate`.
pub(crate) fn locate(appliance: &Arc<Appliance>, grant: &Grant, order: LocateDisk) -> Answer<Done> {
    test(appliance, grant, &order.serial, "locate", &Locate { seconds: u64::from(order.seconds) })
}

/// `POST /v1/disks/self-test`.
pub(crate) fn self_test(appliance: &Arc<Appliance>, grant: &Grant, order: TestDisk) -> Answer<Done> {
    test(appliance, grant, &order.serial, "self-test", &SelfTest { kind: order.kind })
}

/// What only diskd has to do with. Recorded by its grant.
fn test(appliance: &Appliance, grant: &Grant, serial: &Serial, verb: &str, body: &impl serde::Serialize) -> Answer<Done> {
    let diskd = appliance.config.places.diskd.as_ref().ok_or(VaultdError::NoDiskd)?;
    let disk = find(diskd, serial)?;
    let _: DiskDetail = diskd.have(&disk, verb, body).map_err(VaultdError::of_diskd)?;
    let what = if verb == "locate" { "disk-located" } else { "disk-self-test" };
    changed(appliance, &grant.user, what, serial.as_str(), None)?;
    Ok(Done {})
}

fn diskd_of_pool(appliance: &Appliance) -> Answer<&Diskd> {
    appliance.config.places.diskd.as_ref().filter(|diskd| diskd.has_pool).ok_or(VaultdError::NoDiskd)
}

fn find(diskd: &Diskd, serial: &Serial) -> Answer<Known> {
    let all = diskd.ask().map_err(VaultdError::of_diskd)?;
    all.disks.into_iter().find(|disk| disk.serial == *serial).ok_or(VaultdError::NoSuch("disk"))
}

/// The pool's own name of a member, which no two have, by what people call it.
fn member(appliance: &Appliance, health: &PoolHealth, name: &str) -> Answer<String> {
    let of = |disk: &DiskHealth| disk.id.map(|id| DiskId(id).to_string());
    let members = members(appliance, health)?;
    members.iter().find(|(label, _)| label == name).and_then(|(_, disk)| of(disk)).ok_or(VaultdError::NoSuch("disk of the pool"))
}

/// A change has begun: what it leaves to be done is done from now on.
fn begun(appliance: &Appliance, to_mend: u64) {
    appliance.disks.seen().to_mend = to_mend;
    appliance.disks.mend_by(Instant::now());
    appliance.changed();
}

fn changed(appliance: &Appliance, actor: &str, what: &str, serial: &str, replaces: Option<&str>) -> Answer<()> {
    let text = |name: &str, value: &str| (name.to_owned(), Value::Text(value.to_owned()));
    let mut fields = vec![text("what", what), text("serial", serial)];
    fields.extend(replaces.map(|old| text("replaces", old)));
    appliance.record(actor, Event::SettingChanged, fields)
}
