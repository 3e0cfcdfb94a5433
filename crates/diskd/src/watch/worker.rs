//! The thread of one disk: looks at what is on it, asks for its health, lets it test itself. Only this thread waits when the disk hangs.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use keepwell_api::disks::{Health, Reason, SelfTestKind, Serial, Standing, Verdict};
use keepwell_api::error::chain;

use super::unmountable::Unmountable;
use super::{Entry, Wake, Watch, log};
use crate::calendar;
use crate::content::look;
use crate::error::DiskError;
use crate::guard::Unseen;
use crate::history::Kept;
use crate::inventory::Found;
use crate::program::{ProgramError, Stuck};
use crate::smart::{Dated, ReadingError, SmartError, assess};

/// Polls of this long, Unix seconds, are looked back on.
const LOOK_BACK: i64 = 60 * 86_400;
/// Between two looks at a disk that could not be mounted, at least.
const A_MOMENT: Duration = Duration::from_secs(1);

/// A disk and its thread's state.
struct Worker {
    serial: Serial,
    found: Found,
    /// A question that still waits inside the kernel.
    stuck: Option<Stuck>,
    /// Questions in a row without an answer.
    silent: u32,
}

pub(super) fn start(watch: &Arc<Watch>, serial: Serial, found: Found, woken: Receiver<Wake>) {
    let watch = Arc::downgrade(watch);
    thread::spawn(move || Worker { serial, found, stuck: None, silent: 0 }.run(&watch, &woken));
}

impl Worker {
    /// Until the disk is gone, which closes the channel.
    fn run(&mut self, watch: &Weak<Watch>, woken: &Receiver<Wake>) {
        let mut wake = Wake::Poll;
        let mut due = Instant::now();
        loop {
            let Some(strong) = watch.upgrade() else { return };
            self.look(&strong, wake == Wake::Poll);
            if wake == Wake::Poll {
                self.poll(&strong);
                due = Instant::now() + strong.config.poll_every;
            }
            let again = self.entry(&strong, |entry| entry.unmountable.as_ref().map(|tried| tried.again)).flatten();
            // One that somebody works on is looked at as soon as it is free.
            let again = again.filter(|_| strong.config.automount).map(|at| at.max(Instant::now() + A_MOMENT));
            drop(strong);
            let next = again.map_or(due, |again| again.min(due)).saturating_duration_since(Instant::now());
            wake = match woken.recv_timeout(next.max(Duration::from_millis(10))) {
                Ok(wake) => wake,
                Err(RecvTimeoutError::Timeout) if Instant::now() < due => Wake::Look,
                Err(RecvTimeoutError::Timeout) => Wake::Poll,
                Err(RecvTimeoutError::Disconnected) => return,
            };
        }
    }

    /// What is on the disk; and mounts it when it is ours, where that failed not before its time or when somebody wants all to be looked at.
    fn look(&self, watch: &Arc<Watch>, anyhow: bool) {
        if self.entry(watch, |entry| entry.taken) != Some(false) {
            return;
        }
        let content = look(&self.found, &watch.config.tools.wipefs).map_err(|error| Unseen::Failed(chain(&error)));
        let own = watch.own_keys();
        let ours = self.entry(watch, |entry| {
            entry.content = content;
            let standing = entry.found.as_ref().map(|found| watch.standing(found, &entry.content, &own));
            if entry.parked || !matches!(standing, Some(Standing::Prepared { mounted_at: None, .. })) {
                entry.unmountable = None;
                return false;
            }
            anyhow || entry.unmountable.as_ref().is_none_or(|tried| tried.again <= Instant::now())
        });
        if watch.config.automount
            && ours == Some(true)
            && let Err(error) = watch.mount_own(&self.serial)
        {
            log(&error, &self.serial);
            let now = Instant::now();
            // Where it did not come to a mount.
            self.entry(watch, |entry| match &entry.unmountable {
                Some(tried) if tried.again > now => {}
                before => entry.unmountable = Some(Unmountable::after(before.as_ref(), &error, now)),
            });
        }
    }

    fn poll(&mut self, watch: &Arc<Watch>) {
        if self.stuck.as_ref().is_some_and(|stuck| !stuck.is_gone()) {
            return self.no_answer(watch);
        }
        self.stuck = None;
        match watch.config.smartctl.read(&self.found.device(), self.found.bus) {
            Ok(reading) => {
                self.silent = 0;
                self.judge(watch, Dated { at: watch.now(), reading });
            }
            Err(SmartError::Program(ProgramError::Deadline { stuck, .. })) => {
                self.stuck = stuck;
                self.no_answer(watch);
            }
            // Of a disk that answered before this is no missing ability: it fails at the first question.
            Err(SmartError::Answer(ReadingError::None | ReadingError::Refused(_))) if self.last_known(watch).is_some() => {
                self.no_answer(watch)
            }
            Err(SmartError::Answer(ReadingError::None | ReadingError::Refused(_))) => {
                let text =
                    "The disk, or the case it is in, gives no health data. It is used all the same, but nobody can warn before it fails.";
                self.entry(watch, |entry| entry.health = Health::unknown("no-health-data", text));
            }
            Err(source) => {
                let error = DiskError::Smart { disk: self.serial.to_string(), source };
                log(&error, &self.serial);
                let text = format!("The disk's health could not be found out: {}", chain(&error));
                self.entry(watch, |entry| entry.health = Health::unknown("not-asked", text));
            }
        }
    }

    /// What was known stands; silence is added to it, and the second time in a row it is held against the disk.
    fn no_answer(&mut self, watch: &Watch) {
        self.silent += 1;
        let weight = if self.silent >= 2 { Verdict::Suspect } else { Verdict::Unknown };
        tracing::warn!(serial = %self.serial, times = self.silent, "a disk does not answer");
        let known = self.last_known(watch);
        self.entry(watch, |entry| {
            if let Some(known) = known.filter(|_| entry.health.polled_at.is_none()) {
                entry.health = known;
            }
            entry.health.reasons.retain(|reason| !["no-answer", "not-asked"].contains(&reason.code.as_str()));
            let text = "The disk does not answer when it is asked for its health.".into();
            entry.health.reasons.push(Reason { weight, code: "no-answer".into(), text, damage: false });
            entry.health.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.weight));
            entry.health.verdict = entry.health.reasons.iter().map(|reason| reason.weight).max().unwrap_or(weight);
        });
    }

    /// What was thought of the disk by its last answer, also before a restart.
    fn last_known(&self, watch: &Watch) -> Option<Health> {
        let polls = watch.history().polls(&self.serial, watch.now() - LOOK_BACK);
        let polls: Vec<_> = polls.unwrap_or_default().into_iter().map(|kept| kept.dated).collect();
        polls.split_last().map(|(last, before)| assess(last, before))
    }

    fn judge(&self, watch: &Watch, now: Dated) {
        let history = watch.history();
        let before: Vec<_> = match history.polls(&self.serial, now.at - LOOK_BACK) {
            Ok(kept) => kept.into_iter().map(|kept| kept.dated).collect(),
            Err(error) => {
                log(&error, &self.serial);
                Vec::new()
            }
        };
        let health = assess(&now, &before);
        if let Err(error) = history.keep(&self.serial, &Kept { dated: now, verdict: health.verdict }) {
            log(&error, &self.serial);
        }
        drop(history);
        let testing = health.self_test_remaining_percent.is_some();
        self.entry(watch, |entry| {
            if health.verdict > entry.health.verdict.max(Verdict::Unknown) {
                let why: Vec<_> =
                    health.reasons.iter().filter(|reason| reason.weight == health.verdict).map(|reason| &reason.text).collect();
                tracing::warn!(serial = %self.serial, verdict = %health.verdict, ?why, "a disk became worse");
            }
            entry.health = health;
        });
        if watch.config.self_tests {
            self.test(watch, testing);
        }
    }

    /// Lets the disk test itself when the calendar says so.
    fn test(&self, watch: &Watch, testing: bool) {
        let due = {
            let now = watch.now();
            let mut table = watch.table();
            let runs_long = |entry: &Entry| entry.found.is_some() && calendar::runs_long(entry.tests, &entry.health, now);
            let long_elsewhere = table.entries.iter().any(|(serial, entry)| *serial != self.serial && runs_long(entry));
            let Some(entry) = table.entries.get_mut(&self.serial) else { return };
            let due = calendar::due(&self.serial, entry.tests, now, !testing && !entry.taken && !long_elsewhere);
            if due == Some(SelfTestKind::Long) {
                // Before another disk's thread looks.
                entry.tests.long_at = Some(now);
            }
            due
        };
        let Some(kind) = due else { return };
        // A disk that can't is asked again when its next test is due.
        if let Err(error) = watch.begin_test(&self.serial, &self.found, kind) {
            tracing::info!(serial = %self.serial, "a self-test did not begin: {}", chain(&error));
            watch.note_test(&self.serial, kind);
        }
    }

    /// Something with the entry, if it is still this disk's.
    fn entry<T>(&self, watch: &Watch, f: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut table = watch.table();
        let entry = table.entries.get_mut(&self.serial)?;
        entry.found.as_ref().is_some_and(|found| found.is_same(&self.found)).then(|| f(entry))
    }
}

impl Watch {
    /// Begins a self-test and notes it.
    pub(super) fn begin_test(&self, serial: &Serial, found: &Found, kind: SelfTestKind) -> Result<(), DiskError> {
        let failed = |source| DiskError::Smart { disk: serial.to_string(), source };
        self.config.smartctl.start(&found.device(), found.bus, kind).map_err(failed)?;
        self.note_test(serial, kind);
        Ok(())
    }

    fn note_test(&self, serial: &Serial, kind: SelfTestKind) {
        let now = self.now();
        if let Some(entry) = self.table().entries.get_mut(serial) {
            match kind {
                SelfTestKind::Short => entry.tests.short_at = Some(now),
                SelfTestKind::Long => entry.tests.long_at = Some(now),
            }
        }
        let noted = self.history().test_began(serial, kind, now);
        if let Err(error) = noted {
            log(&error, serial);
        }
    }
}
