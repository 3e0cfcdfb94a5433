//! What is done with a disk when somebody asks: leave is got from `guard` on facts of this moment, the disk is taken by one at a time, then it is done.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use keepwell_api::disks::{Job, Mounted, SelfTestKind, Serial, Standing, Typed};

use super::unmountable::Unmountable;
use super::{Table, Wake, Watch, unknown};
use crate::content::{Content, look};
use crate::error::DiskError;
use crate::guard::{self, Action, Unseen};
use crate::inventory::Found;
use crate::label::Label;
use crate::mount;
use crate::prepare;

/// The program that asks, as the kernel names its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// User id.
    pub uid: Option<u32>,
}

/// A disk as it is at this moment.
pub(super) struct Facts {
    pub(super) found: Found,
    content: Result<Content, Unseen>,
    standing: Standing,
}

impl Facts {
    fn label(&self) -> Result<&Label, DiskError> {
        match &self.content {
            Ok(Content::Labelled(label)) => Ok(label),
            _ => Err(DiskError::refused("no-label", "the disk has no label of Keepwell's")),
        }
    }

    fn mounted_at(&self) -> Option<&str> {
        match &self.standing {
            Standing::Prepared { mounted_at, .. } | Standing::OtherBox { mounted_at, .. } => mounted_at.as_deref(),
            _ => None,
        }
    }
}

/// A disk that one request has for itself. Its thread looks at it again afterwards.
pub(super) struct Taken {
    watch: Arc<Watch>,
    serial: Serial,
    /// Its own thread has it, which needs no waking.
    is_own_thread: bool,
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(entry) = self.watch.table().entries.get_mut(&self.serial) {
            entry.taken = false;
            // A disk that is gone has no thread.
            let _ = entry.wake.as_ref().filter(|_| !self.is_own_thread).map(|wake| wake.send(Wake::Look));
        }
        self.watch.released.notify_all();
        self.watch.rescan();
    }
}

impl Watch {
    /// Makes a disk this box's.
    pub fn prepare(self: &Arc<Self>, serial: &Serial, typed: &Typed, asker: Asker) -> Result<(), DiskError> {
        let (facts, _taken) = self.allowed(Action::Prepare, serial, typed)?;
        tracing::warn!(%serial, uid = asker.uid, by = typed.asked_by, standing = ?facts.standing, "a disk is prepared; what was on it is gone");
        let began_at = self.now();
        let total_bytes = facts.found.size_bytes;
        let job = Job { what: "prepare".into(), began_at, ended_at: None, done_bytes: 0, total_bytes, error: None };
        self.set_job(serial, job.clone());
        let made = prepare::prepare(&facts.found, &self.config.places, &self.config.tools, &*self.identity, began_at);
        let error = made.as_ref().err().map(ToString::to_string);
        self.set_job(serial, Job { ended_at: Some(self.now()), done_bytes: total_bytes, error, ..job });
        let content = Ok(Content::Labelled(Box::new(made?)));
        self.set_content(serial, content.clone());
        if self.config.automount {
            self.mount_noted(serial, &Facts { content, standing: Standing::Blank, found: facts.found })?;
            self.rescan();
        }
        Ok(())
    }

    /// Mounts a prepared disk.
    pub fn mount(self: &Arc<Self>, serial: &Serial, typed: &Typed) -> Result<Mounted, DiskError> {
        let (facts, _taken) = self.allowed(Action::Mount, serial, typed)?;
        self.mount_noted(serial, &facts)
    }

    /// Mounts a disk of this box when it appears, unless somebody has just unmounted it.
    pub(super) fn mount_own(self: &Arc<Self>, serial: &Serial) -> Result<(), DiskError> {
        let mut taken = self.take(serial)?;
        // To be woken by itself, it would never rest.
        taken.is_own_thread = true;
        self.rescan();
        let facts = self.facts(Action::Mount, serial, &Typed::default())?;
        let parked = self.table().entries.get(serial).is_none_or(|entry| entry.parked);
        if parked { Ok(()) } else { self.mount_noted(serial, &facts).map(drop) }
    }

    /// Mounts it, and remembers where that failed, before anybody else has the disk.
    fn mount_noted(&self, serial: &Serial, facts: &Facts) -> Result<Mounted, DiskError> {
        let done = self.mount_taken(serial, facts);
        if let Some(entry) = self.table().entries.get_mut(serial) {
            let failed = |error: &DiskError| Unmountable::after(entry.unmountable.as_ref(), error, Instant::now());
            entry.unmountable = done.as_ref().err().map(failed);
        }
        done
    }

    fn mount_taken(&self, serial: &Serial, facts: &Facts) -> Result<Mounted, DiskError> {
        let label = facts.label()?;
        let part = prepare::appeared(&facts.found, &self.config.places, &self.config.tools)?;
        let at = mount::mount(&part, label, &self.config.mount, facts.mounted_at())?;
        tracing::info!(%serial, at = %at.display(), "a disk is mounted");
        self.set_parked(serial, false);
        Ok(Mounted { disk: label.disk.to_string(), at: at.display().to_string() })
    }

    /// Unmounts a disk, so that it can be taken out.
    pub fn unmount(self: &Arc<Self>, serial: &Serial, typed: &Typed) -> Result<(), DiskError> {
        let (facts, _taken) = self.allowed(Action::Unmount, serial, typed)?;
        if let Some(at) = facts.mounted_at() {
            mount::unmount(Path::new(at), serial.as_str(), &self.config.mount)?;
        }
        self.set_parked(serial, true);
        tracing::info!(%serial, "a disk is unmounted");
        Ok(())
    }

    /// Lets a mounted disk that became larger be used whole.
    pub fn grow(self: &Arc<Self>, serial: &Serial, typed: &Typed) -> Result<(), DiskError> {
        let (facts, _taken) = self.allowed(Action::Grow, serial, typed)?;
        let at = facts.mounted_at().unwrap_or_default();
        let label = prepare::grow(
            &facts.found,
            facts.label()?,
            Path::new(at),
            &self.config.mount,
            &self.config.places,
            &self.config.tools,
            &*self.identity,
        )?;
        self.set_content(serial, Ok(Content::Labelled(Box::new(label))));
        Ok(())
    }

    /// Lets a disk test itself, beside the calendar.
    pub fn self_test(&self, serial: &Serial, kind: SelfTestKind) -> Result<(), DiskError> {
        let found = self.connected(serial)?;
        self.begin_test(serial, &found, kind)?;
        self.wake(serial, Wake::Poll);
        Ok(())
    }

    /// Asks a disk for its health now rather than at its time.
    pub fn poll_now(&self, serial: &Serial) -> Result<(), DiskError> {
        self.connected(serial)?;
        self.wake(serial, Wake::Poll);
        Ok(())
    }

    /// A disk that is connected.
    pub(crate) fn connected(&self, serial: &Serial) -> Result<Found, DiskError> {
        let table = self.table();
        let entry = table.entries.get(serial).ok_or_else(|| unknown(serial))?;
        entry.found.clone().ok_or_else(|| DiskError::refused("absent", format!("disk {serial} is not connected")))
    }

    /// Leave for `action`, with the facts it was given on and the disk for this request alone.
    pub(super) fn allowed(self: &Arc<Self>, action: Action, serial: &Serial, typed: &Typed) -> Result<(Facts, Taken), DiskError> {
        if !self.table().entries.contains_key(serial) {
            self.rescan();
        }
        let taken = self.take(serial)?;
        // Not before it is taken: who had it until now may have mounted it, as a disk's own thread does when its key was just made known.
        self.rescan();
        let facts = self.facts(action, serial, typed)?;
        Ok((facts, taken))
    }

    fn facts(&self, action: Action, serial: &Serial, typed: &Typed) -> Result<Facts, DiskError> {
        let found = self.connected(serial)?;
        let content = look(&found, &self.config.tools.wipefs).map_err(|error| Unseen::Failed(error.to_string()));
        let standing = self.standing(&found, &content, &self.own_keys());
        guard::permit(action, &found, &standing, typed)?;
        Ok(Facts { found, content, standing })
    }

    /// The disk for one request. Waits a little for what is done in passing; what takes its time is told.
    pub(super) fn take(self: &Arc<Self>, serial: &Serial) -> Result<Taken, DiskError> {
        const A_LITTLE: Duration = Duration::from_secs(20);
        let passing = |table: &mut Table| {
            let entry = table.entries.get(serial);
            entry.is_some_and(|entry| entry.taken && entry.job.as_ref().is_none_or(|job| job.ended_at.is_some()))
        };
        let waited = self.released.wait_timeout_while(self.table(), A_LITTLE, passing);
        let (mut table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let entry = table.entries.get_mut(serial).ok_or_else(|| unknown(serial))?;
        if entry.taken {
            return Err(DiskError::refused("busy", format!("disk {serial} is being worked on. Nothing was changed")));
        }
        entry.taken = true;
        Ok(Taken { watch: Arc::clone(self), serial: serial.clone(), is_own_thread: false })
    }

    pub(super) fn set_job(&self, serial: &Serial, job: Job) {
        if let Some(entry) = self.table().entries.get_mut(serial) {
            entry.job = Some(job);
        }
    }

    pub(super) fn set_content(&self, serial: &Serial, content: Result<Content, Unseen>) {
        if let Some(entry) = self.table().entries.get_mut(serial) {
            entry.content = content;
        }
    }

    fn set_parked(&self, serial: &Serial, parked: bool) {
        if let Some(entry) = self.table().entries.get_mut(serial) {
            entry.parked = parked;
        }
    }

    fn wake(&self, serial: &Serial, wake: Wake) {
        if let Some(sender) = self.table().entries.get(serial).and_then(|entry| entry.wake.as_ref()) {
            // A disk that has just gone has no thread.
            let _ = sender.send(wake);
        }
    }
}
