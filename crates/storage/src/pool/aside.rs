//! Objects that are beyond repair are moved out of the way, not removed: a peer or a laboratory may still make use of their shards.

use super::recover::Read;
use super::{Entry, Pool};
use crate::disk::DiskErrorKind;
use crate::error::PoolError;
use crate::object::{ObjectName, ShardName};

/// Ends the names of shards whose object is lost.
const SET_ASIDE: &str = ".lost";

/// The shard of a lost object that a file is.
pub(super) fn set_aside_shard(name: &str) -> Option<ShardName> {
    ShardName::parse(name.strip_suffix(SET_ASIDE)?)
}

impl Pool {
    /// Whether the directories show enough shards to read the object.
    pub fn is_readable(&self, name: ObjectName) -> bool {
        self.listing().get(name).is_some_and(Entry::is_readable)
    }

    /// Bytes of all shards on the disks that are there, headers included.
    pub fn stored_bytes(&self) -> Result<u64, PoolError> {
        Ok(self.listing().used_bytes.values().sum())
    }

    /// Takes a lost object out of the pool: what is left of it gets names that end in `.lost`. Does nothing (false) when the object
    /// can be read. When a disk returns that has a shard of it, the next open takes it all back.
    pub fn set_aside(&self, name: ObjectName) -> Result<bool, PoolError> {
        self.check_write()?;
        let entry = self.entry(name)?;
        if self.recover(name, &entry, Read::All).object.is_some() {
            return Ok(false);
        }
        self.move_aside(name, &entry)?;
        Ok(true)
    }

    /// The same with an object that is whole by its hashes and of no use to whoever wrote it.
    pub fn set_aside_unusable(&self, name: ObjectName) -> Result<(), PoolError> {
        self.check_write()?;
        let entry = self.entry(name)?;
        self.move_aside(name, &entry)
    }

    fn move_aside(&self, name: ObjectName, entry: &Entry) -> Result<(), PoolError> {
        let failed = PoolError::disk("what is left of a lost object can't be set aside");
        for at in &entry.shards {
            let Some(disk) = self.readable(at.slot) else { continue };
            let path = at.path(name);
            match disk.rename(&path, &format!("{path}{SET_ASIDE}")) {
                // Somebody took the file away under us: nothing is left of it to be in the way.
                Err(error) if error.kind == DiskErrorKind::NotFound => {}
                done => done.map_err(&failed)?,
            }
            disk.sync_folder(name.class.folder()).map_err(&failed)?;
            self.listing_mut().remove(name, *at);
        }
        Ok(())
    }
}
