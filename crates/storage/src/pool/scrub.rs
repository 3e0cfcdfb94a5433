//! Checks every shard of an object, without any key. Never writes.

use super::listing::ShardRef;
use super::recover::{Read, Recovered};
use super::{Entry, Pool};
use crate::error::PoolError;
use crate::object::ObjectName;
use crate::shard::ShardFault;

/// What is wrong with one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardCheck {
    /// The shard.
    pub shard: ShardRef,
    /// What is wrong.
    pub fault: ShardFault,
}

/// An object's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrubVerdict {
    /// Nothing is damaged, nothing is missing.
    Whole,
    /// It can be read, and not all is as it should be.
    Degraded,
    /// It can't be put together.
    Lost {
        /// Good shards of the layout that came nearest.
        good: usize,
        /// Shards that it needs.
        needed: usize,
    },
}

/// What a scrub of one object found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubReport {
    /// The object.
    pub name: ObjectName,
    /// Its condition.
    pub verdict: ScrubVerdict,
    /// Shards that are damaged. Shards on missing disks are not among them.
    pub damaged: Vec<ShardCheck>,
    /// Good shards.
    pub good: usize,
    /// Bytes read and hashed.
    pub read_bytes: u64,
}

impl Pool {
    /// Checks header and content of every shard of an object, and its id.
    pub fn scrub(&self, name: ObjectName) -> Result<ScrubReport, PoolError> {
        let entry = self.entry(name)?;
        let found = self.recover(name, &entry, Read::All);
        Ok(self.scrub_report(name, &entry, &found))
    }

    pub(super) fn scrub_report(&self, name: ObjectName, entry: &Entry, found: &Recovered) -> ScrubReport {
        let damaged: Vec<ShardCheck> =
            found.faults.iter().map(|(at, fault)| ShardCheck { shard: self.shard_ref(name, *at), fault: *fault }).collect();
        self.note_lost(name, found.object.is_none());
        let verdict = match &found.object {
            None => ScrubVerdict::Lost { good: found.best.0, needed: found.best.1 },
            Some(object) => {
                let full = self.full_layout(name.class.spread(), object.len() as u64);
                let whole = damaged.is_empty() && entry.has_all(full, &self.active());
                if whole { ScrubVerdict::Whole } else { ScrubVerdict::Degraded }
            }
        };
        ScrubReport { name, verdict, damaged, good: found.good.len(), read_bytes: found.read_bytes }
    }
}
