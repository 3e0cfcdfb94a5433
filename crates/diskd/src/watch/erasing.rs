//! An erasure from leave to certificate, in a thread of its own: it takes hours. Never begins when nobody could sign for it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use keepwell_api::disks::{Job, Serial, Typed};

use super::actions::{Facts, Taken};
use super::{Asker, Watch, log};
use crate::certificate::{Circumstances, certify};
use crate::content::Content;
use crate::erase::{Outcome, erase};
use crate::error::DiskError;
use crate::guard::Action;
use crate::inventory::Found;
use crate::medium::Device;
use crate::prepare;

impl Watch {
    /// Begins to erase a disk. The disk's job says how far it is, its certificate what came of it.
    pub fn erase(self: &Arc<Self>, serial: &Serial, typed: &Typed, asker: Asker) -> Result<(), DiskError> {
        let (facts, taken) = self.allowed(Action::Erase, serial, typed)?;
        self.identity.public_key()?;
        let file = prepare::claim(&facts.found, &self.config.places, true)?;
        tracing::warn!(%serial, uid = asker.uid, by = typed.asked_by, "a disk is erased");
        let began_at = self.now();
        let about = Circumstances { asked_by: typed.asked_by.clone(), asked_by_uid: asker.uid, began_at, ended_at: began_at };
        let size = facts.found.size_bytes;
        // What is overwritten is read back as well, or a part of it.
        self.set_job(serial, Job { what: "erase".into(), began_at, ended_at: None, done_bytes: 0, total_bytes: 2 * size, error: None });
        let (watch, serial) = (Arc::clone(self), serial.clone());
        thread::spawn(move || watch.erase_now(&serial, facts, &Device::new(file, size), about, taken));
        Ok(())
    }

    fn erase_now(&self, serial: &Serial, facts: Facts, device: &Device, about: Circumstances, taken: Taken) {
        let found = &facts.found;
        let mut progress = |done| {
            self.change_job(serial, |job| job.done_bytes = done);
            ControlFlow::Continue(())
        };
        let erased = erase(device, !found.rotational, &mut random, &mut progress);
        let done = match erased {
            Ok(outcome) => self.certify(serial, found, &outcome, Circumstances { ended_at: self.now(), ..about }),
            Err(error) => Err(DiskError::io("erase", found.device())(error)),
        };
        if let Err(error) = &done {
            log(error, serial);
        }
        self.forget_partitions(found);
        self.set_content(serial, Ok(Content::Blank));
        self.change_job(serial, |job| {
            job.ended_at = Some(self.now());
            job.error = done.err().map(|error| {
                let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
                format!("{error}{cause}")
            });
            if job.error.is_none() {
                job.done_bytes = job.total_bytes;
            }
        });
        drop(taken);
    }

    fn certify(&self, serial: &Serial, found: &Found, outcome: &Outcome, about: Circumstances) -> Result<(), DiskError> {
        let certificate = certify(found, outcome, &about, &*self.identity)?;
        self.history().certify(serial, &certificate, about.ended_at)?;
        if outcome.is_complete() {
            return Ok(());
        }
        let left = outcome.failed_bytes.saturating_add(outcome.wrong_bytes);
        Err(DiskError::refused("not-complete", format!("{left} bytes of disk {serial} could not be erased. Destroy it by force")))
    }

    /// The kernel still shows the partitions that were on it.
    fn forget_partitions(&self, found: &Found) {
        let device = found.device();
        if !found.partitions.is_empty()
            && let Err(error) = prepare::forget_partitions(&self.config.tools, &device)
        {
            tracing::info!(%error, "the partitions of an erased disk stay in the kernel's list until it is plugged in again");
        }
    }

    fn change_job(&self, serial: &Serial, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.table().entries.get_mut(serial).and_then(|entry| entry.job.as_mut()) {
            change(job);
        }
    }
}

/// Where to read back. A generator that failed would only make the places the same ones.
fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}
