//! Objects that the pool lost and that are whole elsewhere. Remembers which ones were found lost, by whoever read or checked them, and takes their bytes back.

use std::sync::PoisonError;

use super::repair::{Narrowing, RepairOutcome};
use super::{Entry, Pool};
use crate::error::PoolError;
use crate::object::{ObjectId, ObjectName};

impl Pool {
    /// Objects of which something is here, and that could not be put together when they were last read or checked since this pool was opened, ascending.
    pub fn lost_objects(&self) -> Vec<ObjectName> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lost.into_iter().filter(|name| self.contains(*name)).collect()
    }

    /// What a read or a check has found out about an object.
    pub(super) fn note_lost(&self, name: ObjectName, is_lost: bool) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if is_lost {
            lost.insert(name);
        } else {
            lost.remove(&name);
        }
    }

    /// Gives an object back that can't be put together any more, or of which nothing is left: its bytes come from elsewhere, and are taken when they hash to its id. It is
    /// written as a repair would write it: what is left of the damaged one is in its place until the new shards are durable, and a crash leaves one or the other. An object that
    /// can be put together is repaired from what is here.
    ///
    /// # Errors
    /// The bytes are others; the disks take no writes or have no room, and then nothing was changed.
    pub fn put_back(&self, name: ObjectName, bytes: &[u8]) -> Result<RepairOutcome, PoolError> {
        self.check_write()?;
        if ObjectId::of(bytes) != name.id {
            return Err(PoolError::OtherBytes(name));
        }
        let outcome = match self.entry(name) {
            Ok(entry) => self.replace(name, &entry, bytes)?,
            Err(_) => {
                self.put(name.class, name.class.spread(), bytes)?;
                // It may have been written on fewer disks than it should be.
                match self.repair_with(name, Narrowing::ToSave)?.outcome {
                    RepairOutcome::Whole => RepairOutcome::Healed,
                    other => other,
                }
            }
        };
        self.note_lost(name, false);
        Ok(outcome)
    }

    fn replace(&self, name: ObjectName, entry: &Entry, bytes: &[u8]) -> Result<RepairOutcome, PoolError> {
        loop {
            let repaired = self.repair_with(name, Narrowing::ToSave)?;
            if repaired.outcome != RepairOutcome::Lost {
                return Ok(repaired.outcome);
            }
            let before = self.writable().len();
            match self.write_anew(name, entry, bytes.to_vec()) {
                Err(PoolError::Disk { .. }) if self.writable().len() < before => {}
                written => return written,
            }
        }
    }
}
