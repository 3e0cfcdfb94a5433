//! Disks to take away: a plain file system that any Linux machine reads, on which a restore is written and which then leaves the box. Such a disk has no label of Keepwell's, is never a disk
//! of a pool, and is mounted from when it was prepared until it is unmounted, once.

use std::path::PathBuf;
use std::sync::Arc;

use keepwell_api::disks::{Job, Mounted, Serial, Typed};

use super::actions::Asker;
use super::{Watch, unknown};
use crate::error::DiskError;
use crate::guard::Action;
use crate::inventory::{Found, Hold};
use crate::{mount, prepare};

impl Watch {
    /// Makes a disk ready to be taken away, and mounts it. All that was on it is gone; a disk of a pool is refused whatever is said.
    pub fn prepare_outward(self: &Arc<Self>, serial: &Serial, typed: &Typed, asker: Asker) -> Result<Mounted, DiskError> {
        if typed.typed_serial.is_none() {
            let text = format!(
                "disk {serial} was not prepared: all that is on it would be lost. Type its serial number if it is meant. Nothing was changed"
            );
            return Err(DiskError::refused("type-serial", text));
        }
        let typed = Typed { retired: false, ..typed.clone() };
        let (facts, _taken) = self.allowed(Action::Prepare, serial, &typed)?;
        tracing::warn!(%serial, uid = asker.uid, by = typed.asked_by, "a disk to take away is prepared; what was on it is gone");
        let (began_at, total_bytes) = (self.now(), facts.found.size_bytes);
        let job = Job { what: "prepare".into(), began_at, ended_at: None, done_bytes: 0, total_bytes, error: None };
        self.set_job(serial, job.clone());
        let made = prepare::prepare_outward(&facts.found, &self.config.places, &self.config.tools)
            .and_then(|(part, id)| Ok((mount::mount_outward(&part, &id, &self.config.mount)?, id)));
        let error = made.as_ref().err().map(ToString::to_string);
        self.set_job(serial, Job { ended_at: Some(self.now()), done_bytes: total_bytes, error, ..job });
        let (at, disk) = made?;
        Ok(Mounted { disk, at: at.display().to_string() })
    }

    /// Where a disk to take away is mounted.
    pub fn outward(self: &Arc<Self>, serial: &Serial) -> Result<Mounted, DiskError> {
        self.rescan();
        let found = self.connected(serial)?;
        let at = self.outward_mount(&found).ok_or_else(|| not_outward(serial))?;
        let disk = at.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Mounted { disk, at: at.display().to_string() })
    }

    /// Writes what is left and unmounts it: it can be taken out.
    pub fn unmount_outward(self: &Arc<Self>, serial: &Serial) -> Result<(), DiskError> {
        self.rescan();
        let _taken = self.take(serial)?;
        if !self.table().entries.contains_key(serial) {
            return Err(unknown(serial));
        }
        let at = self.outward_mount(&self.connected(serial)?).ok_or_else(|| not_outward(serial))?;
        mount::unmount(&at, serial.as_str(), &self.config.mount)?;
        tracing::info!(%serial, "a disk to take away is unmounted");
        Ok(())
    }

    fn outward_mount(&self, found: &Found) -> Option<PathBuf> {
        let base = self.outward_base();
        found.holds.iter().find_map(|hold| match hold {
            Hold::Mounted(at) if at.parent() == Some(&base) => Some(at.clone()),
            _ => None,
        })
    }

    /// Beside the folder of the pool's disks.
    pub(super) fn outward_base(&self) -> PathBuf {
        self.config.mount.outward()
    }
}

fn not_outward(serial: &Serial) -> DiskError {
    let text = format!("disk {serial} is not ready to be written to and taken away: prepare it for that first. Nothing was changed");
    DiskError::refused("not-outward", text)
}
