//! Reads objects: ranges fast and on trust, whole objects with every check. Never writes.

use super::listing::{ShardAt, ShardRef};
use super::recover::{Read, Recovered, load_header};
use super::{Entry, Pool};
use crate::coding::missing_data;
use crate::error::PoolError;
use crate::layout::Layout;
use crate::object::{ObjectId, ObjectName};
use crate::shard::HEADER_LEN;

/// Read at a time, and hashed while it is near.
const STEP: usize = 1 << 20;

/// How a whole read went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOutcome {
    /// Shards that were looked at and are damaged or can't be read; the others made up for them.
    pub damaged: Vec<ShardRef>,
}

impl Pool {
    /// Length of an object in bytes: from the first header that is whole.
    pub fn len(&self, name: ObjectName) -> Result<u64, PoolError> {
        let entry = self.entry(name)?;
        if let Some(len) = entry.len {
            return Ok(len);
        }
        for (_, places) in entry.layouts() {
            for at in places {
                let path = self.listing().path(name, at);
                if let Some(disk) = self.readable(at.slot)
                    && let Ok(header) = load_header(disk.as_ref(), &path, self.vault, name, at)
                {
                    self.listing_mut().set_len(name, header.object_len);
                    return Ok(header.object_len);
                }
            }
        }
        Err(self.lost(name, &Recovered { best: (0, self.layout().k.into()), ..Recovered::default() }))
    }

    /// Bytes of an object, not checked: for content that its reader authenticates. What a missing shard or a read error hides is
    /// computed from the other shards. When the reader finds the bytes wrong, [`Pool::read_object`] finds out why.
    pub fn read_range(&self, name: ObjectName, offset: u64, len: usize) -> Result<Vec<u8>, PoolError> {
        let object_len = self.len(name)?;
        if offset.checked_add(len as u64).is_none_or(|end| end > object_len) {
            return Err(PoolError::OutOfRange { name, len: object_len, offset, wanted: len });
        }
        let entry = self.entry(name)?;
        let mut out = vec![0; len];
        for (layout, places) in entry.layouts() {
            if self.fill(name, layout, &places, layout.shard_len(object_len), offset, &mut out) {
                return Ok(out);
            }
        }
        let found = self.recover(name, &entry, Read::Enough);
        match found.object {
            Some(object) => {
                let start = offset as usize;
                let bytes = object.get(start..start.saturating_add(len));
                bytes.map(<[u8]>::to_vec).ok_or(PoolError::OutOfRange { name, len: object.len() as u64, offset, wanted: len })
            }
            None => Err(self.lost(name, &found)),
        }
    }

    /// A whole object, checked against its id. Every shard is checked that is used where its data shards do not make it.
    pub fn read_object(&self, name: ObjectName) -> Result<(Vec<u8>, ReadOutcome), PoolError> {
        self.read_object_into(name, Vec::new())
    }

    /// The same in memory that is there already, whatever is in it.
    pub fn read_object_into(&self, name: ObjectName, mut memory: Vec<u8>) -> Result<(Vec<u8>, ReadOutcome), PoolError> {
        let entry = self.entry(name)?;
        if self.read_straight(name, &entry, &mut memory).is_some() {
            return Ok((memory, ReadOutcome::default()));
        }
        drop(memory);
        let mut found = self.recover(name, &entry, Read::Enough);
        match found.object.take() {
            Some(object) => {
                let damaged = found.faults.iter().map(|(at, _)| self.shard_ref(name, *at)).collect();
                Ok((object, ReadOutcome { damaged }))
            }
            None => Err(self.lost(name, &found)),
        }
    }

    /// Fills `object` from data shards alone, hashed as it comes: what hashes to the id needs no other check. None where it does not, and all has to be looked at.
    pub(super) fn read_straight(&self, name: ObjectName, entry: &Entry, object: &mut Vec<u8>) -> Option<()> {
        let (layout, places) = entry.layouts().into_iter().next()?;
        let (mut known_len, mut hasher) = (None, blake3::Hasher::new());
        for index in 0..layout.k {
            let at = places.iter().find(|at| layout.k == 1 || at.index == index)?;
            let (disk, path) = (self.readable(at.slot)?, self.listing().path(name, *at));
            let header = load_header(disk.as_ref(), &path, self.vault, name, *at).ok()?;
            if disk.len(&path).ok()? != header.shard_len().checked_add(HEADER_LEN as u64)? {
                return None;
            }
            let (len, shard_len) = (usize::try_from(header.object_len).ok()?, usize::try_from(header.shard_len()).ok()?);
            if *known_len.get_or_insert(len) != len {
                return None;
            }
            object.resize(len, 0);
            let (start, mut offset) = (len.min(shard_len * usize::from(index)), HEADER_LEN as u64);
            for part in object[start..len.min(start + shard_len)].chunks_mut(STEP) {
                disk.read_at(&path, offset, part).ok()?;
                hasher.update(part);
                offset += part.len() as u64;
            }
        }
        (ObjectId(hasher.finalize().into()) == name.id).then_some(())
    }

    pub(super) fn lost(&self, name: ObjectName, found: &Recovered) -> PoolError {
        self.note_lost(name, true);
        let describe = |(at, fault): &(ShardAt, _)| {
            let shard = self.shard_ref(name, *at);
            format!("{}: {} {fault}", shard.disk, shard.path)
        };
        let mut damage: Vec<String> = found.faults.iter().map(describe).collect();
        if damage.is_empty() {
            damage.push("the others are on disks that are missing, or gone".into());
        }
        PoolError::Lost { name, good: found.best.0, needed: found.best.1, damage: damage.join("; ") }
    }

    /// Fills `out` with the object's bytes from `offset`, shard by shard; false when the layout has too few shards.
    fn fill(&self, name: ObjectName, layout: Layout, places: &[ShardAt], shard_len: u64, offset: u64, out: &mut [u8]) -> bool {
        let mut done = 0;
        while done < out.len() {
            let at = offset + done as u64;
            let (index, within) = ((at / shard_len) as u8, at % shard_len);
            let count = usize::try_from(shard_len - within).unwrap_or(usize::MAX).min(out.len() - done);
            let part = &mut out[done..done + count];
            if !self.read_copy(name, layout, places, index, within, part) && !self.rebuild_part(name, layout, places, index, within, part) {
                return false;
            }
            done += count;
        }
        true
    }

    /// Reads from a shard that holds data shard `index`. Of several whole copies each object has its own favourite, so that reads
    /// are even over the disks.
    fn read_copy(&self, name: ObjectName, layout: Layout, places: &[ShardAt], index: u8, within: u64, out: &mut [u8]) -> bool {
        let holders: Vec<ShardAt> = places.iter().copied().filter(|at| layout.k == 1 || at.index == index).collect();
        let first = if holders.is_empty() { 0 } else { usize::from(name.id.0[0]) % holders.len() };
        let (before, after) = holders.split_at(first);
        after.iter().chain(before).any(|at| self.read_shard(name, *at, within, out))
    }

    /// Computes a part of a missing data shard from the same part of `k` others.
    fn rebuild_part(&self, name: ObjectName, layout: Layout, places: &[ShardAt], index: u8, within: u64, out: &mut [u8]) -> bool {
        let start = within / 64 * 64;
        let end = (within + out.len() as u64).div_ceil(64) * 64;
        let mut parts: Vec<(u8, Vec<u8>)> = Vec::new();
        for at in places.iter().filter(|at| at.index != index) {
            if parts.len() == usize::from(layout.k) || layout.k == 1 {
                break;
            }
            let mut part = vec![0; (end - start) as usize];
            if parts.iter().all(|(other, _)| *other != at.index) && self.read_shard(name, *at, start, &mut part) {
                parts.push((at.index, part));
            }
        }
        let slices: Vec<(u8, &[u8])> = parts.iter().map(|(index, part)| (*index, part.as_slice())).collect();
        let rebuilt = missing_data(layout, &slices).and_then(|mut rebuilt| rebuilt.remove(&index));
        let Some(rebuilt) = rebuilt else { return false };
        let skip = (within - start) as usize;
        out.copy_from_slice(&rebuilt[skip..skip + out.len()]);
        true
    }

    fn read_shard(&self, name: ObjectName, at: ShardAt, within: u64, out: &mut [u8]) -> bool {
        let path = self.listing().path(name, at);
        self.readable(at.slot).is_some_and(|disk| disk.read_at(&path, HEADER_LEN as u64 + within, out).is_ok())
    }
}
