//! Removes what may go: key slots that newer ones replace, since an old object would keep a revoked kit opening the vault; and at a receiver what it kept for as long as it promised.

use super::Pool;
use super::recover::{self, Read};
use crate::error::PoolError;
use crate::object::{Class, ObjectName};

impl Pool {
    /// Removes an object of class [`Class::Slots`], when another one is durable and whole on every disk that can be read. Answers whether it did: a
    /// disk that is missing brings the old object back with it, so call this again at every open and repair.
    pub fn remove_superseded_slots(&self, old: ObjectName, new: ObjectName) -> Result<bool, PoolError> {
        self.check_write()?;
        if old == new || old.class != Class::Slots || new.class != Class::Slots {
            return Err(PoolError::Invalid("only key slots are superseded, and by others".into()));
        }
        let entry = self.entry(new)?;
        if self.recover(new, &entry, Read::Enough).object.is_none() {
            return Ok(false);
        }
        let takers: Vec<u8> = self.writable().iter().map(|disk| disk.slot).collect();
        let good = |slot: &u8| {
            entry.shards.iter().filter(|at| at.slot == *slot && at.layout.k == 1).any(|at| {
                self.readable(*slot).is_some_and(|disk| recover::load(disk.as_ref(), &at.path(new), self.vault, new, *at).is_ok())
            })
        };
        if takers.is_empty() || !takers.iter().all(good) {
            return Ok(false);
        }
        let shards = self.entry(old)?.shards;
        Ok(self.remove_shards(old, &shards) == shards.len())
    }

    /// Removes an object that its keeper has no promise to keep any more. Answers whether all of it is gone: a disk that is missing brings its part back, so who decides
    /// this has to come to the same decision again.
    pub fn remove_expired(&self, name: ObjectName) -> Result<bool, PoolError> {
        self.check_write()?;
        let Ok(entry) = self.entry(name) else { return Ok(true) };
        Ok(self.remove_shards(name, &entry.shards) == entry.shards.len())
    }
}
