//! Brings the table in line with what is connected: new disks get a thread, absent ones lose theirs and their mounts. Reads sysfs only; opens no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};

use keepwell_api::disks::{Health, Serial};

use super::{Entry, Table, Wake, Watch, log, worker};
use crate::calendar::Tests;
use crate::guard::Unseen;
use crate::inventory::{self, Found, Number};
use crate::mount;

impl Watch {
    /// Looks which disks there are now.
    pub fn rescan(self: &Arc<Self>) {
        // One at a time, so that an older view never replaces a newer one.
        let _one = self.scanning.lock();
        let found = inventory::scan(&self.config.places);
        let now = self.now();
        let mut saw = Vec::new();
        {
            let mut table = self.table();
            let (named, unnamed) = named(found, &table.entries);
            table.unnamed = unnamed;
            for (serial, entry) in &mut table.entries {
                if entry.found.is_some() && !named.contains_key(serial) {
                    tracing::warn!(%serial, model = entry.model, "a disk is gone");
                    leave(entry);
                }
            }
            for (serial, found) in named {
                if self.arrive(&mut table, &serial, &found, now) {
                    saw.push((serial, found));
                }
            }
        }
        for (serial, found) in saw {
            let noted = self.history().saw(&found, now);
            if let Err(error) = noted {
                log(&error, &serial);
            }
        }
        self.let_go_of_lost_mounts();
    }

    /// True when the history should hear of it: at its coming, then once an hour.
    fn arrive(self: &Arc<Self>, table: &mut Table, serial: &Serial, found: &Found, now: i64) -> bool {
        const HOUR: i64 = 3600;
        let entry = table.entries.entry(serial.clone()).or_insert_with(|| fresh(found, now));
        let new = !entry.found.as_ref().is_some_and(|before| before.is_same(found));
        let due = new || now.saturating_sub(entry.last_seen) >= HOUR;
        if due {
            entry.last_seen = now;
        }
        if new {
            tracing::info!(%serial, device = found.name, model = found.model, "a disk is there");
            leave(entry);
            entry.health = Health::unknown("not-asked", "The disk was not asked yet.");
            (entry.model, entry.wwn, entry.bus) = (found.model.clone(), found.wwn.clone(), found.bus);
            (entry.size_bytes, entry.rotational) = (found.size_bytes, found.rotational);
            let (wake, woken) = mpsc::channel::<Wake>();
            entry.wake = Some(wake);
            worker::start(self, serial.clone(), found.clone(), woken);
        }
        entry.found = Some(found.clone());
        due
    }

    /// A disk that is gone leaves its mount behind, in whose place it could not be mounted when it comes back.
    fn let_go_of_lost_mounts(&self) {
        // In a view of files of its own, diskd sees a mount twice: in the folder below, and in the one that it may write to.
        let mut gone = BTreeSet::new();
        for mounted in inventory::mounts(&self.config.places) {
            let ours = [&self.config.mount.base, &self.outward_base()].into_iter().any(|base| mounted.at.parent() == Some(base));
            if ours && !is_there(self, mounted.number) && gone.insert(mounted.at.clone()) {
                tracing::warn!(at = %mounted.at.display(), "the disk that was mounted here is gone");
                if let Err(error) = mount::let_go(&mounted.at, &self.config.mount) {
                    tracing::warn!(%error, at = %mounted.at.display(), "its mount stays");
                }
            }
        }
    }
}

fn is_there(watch: &Watch, number: Number) -> bool {
    watch.config.places.sys.join(format!("dev/block/{}:{}", number.major, number.minor)).exists()
}

/// The disk of an entry is away.
fn leave(entry: &mut Entry) {
    entry.found = None;
    entry.wake = None;
    (entry.parked, entry.unmountable) = (false, None);
    entry.content = Err(Unseen::NotYet);
    entry.health = Health::unknown("absent", "The disk is not connected.");
}

fn fresh(found: &Found, now: i64) -> Entry {
    Entry {
        found: None,
        content: Err(Unseen::NotYet),
        health: Health::unknown("not-asked", "The disk was not asked yet."),
        job: None,
        taken: false,
        parked: false,
        unmountable: None,
        last_seen: now,
        tests: Tests { first_seen: now, ..Tests::default() },
        model: found.model.clone(),
        wwn: found.wwn.clone(),
        bus: found.bus,
        size_bytes: found.size_bytes,
        rotational: found.rotational,
        wake: None,
    }
}

/// Disks by serial number. Those without one, and those that share one, can't be told apart by what a person types, so nothing is done with them; but one that was
/// known before another said the same stays what it was.
fn named(disks: Vec<Found>, known: &BTreeMap<Serial, Entry>) -> (BTreeMap<Serial, Found>, Vec<String>) {
    let (mut named, mut unnamed) = (BTreeMap::<Serial, Found>::new(), Vec::new());
    let mut by_serial = BTreeMap::<Serial, Vec<Found>>::new();
    for found in disks {
        match &found.serial {
            Some(serial) => by_serial.entry(serial.clone()).or_default().push(found),
            None => unnamed.push(format!("{} ({}) has no serial number and can't be used", found.device().display(), found.model)),
        }
    }
    for (serial, mut disks) in by_serial {
        let before = known.get(&serial).and_then(|entry| entry.found.as_ref());
        if let Some(at) = disks.iter().position(|found| before.is_some_and(|before| before.is_same(found))).filter(|_| disks.len() > 1) {
            let kept = disks.swap_remove(at);
            let names: Vec<_> = disks.iter().map(|found| found.name.as_str()).collect();
            unnamed.push(format!(
                "{} says that its serial number is {serial}, which is that of {}, so it can't be used",
                names.join(" and "),
                kept.name
            ));
            named.insert(serial, kept);
        } else if disks.len() == 1 {
            named.extend(disks.pop().map(|found| (serial, found)));
        } else {
            let names: Vec<_> = disks.iter().map(|found| found.name.as_str()).collect();
            unnamed
                .push(format!("{} all say that their serial number is {serial}, so they can't be told apart or used", names.join(" and ")));
        }
    }
    (named, unnamed)
}
