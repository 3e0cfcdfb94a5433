//! What a tenant learns of the objects that it keeps: when it is opened, and with each that comes.

use keepwell_format::keys::Slots;
use keepwell_format::{PackHeader, PackId, PackSeq, SeqRanges, Tombstone};
use keepwell_storage::{Class as Kept, ObjectId, ObjectName, PoolError};
use keepwell_wire::snapshots::PackRef;

use super::{Moment, Set, Tenant, room};
use crate::refused::Refused;
use crate::set::SetRecord;

impl Tenant {
    /// Learns of an object that lies in the pool.
    pub(super) fn take_in(&mut self, name: ObjectName, now: Moment) -> Result<(), Refused> {
        let length = match self.pool.len(name) {
            Ok(length) => length,
            Err(PoolError::Lost { .. }) => {
                self.lost.insert(name);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.know_length(name, length);
        if matches!(name.class, Kept::Slots | Kept::Tombstone) {
            match self.pool.read_object(name) {
                Ok((bytes, _)) if name.class == Kept::Slots => self.know_kit(&bytes)?,
                Ok((bytes, _)) => self.know_tombstone(&bytes)?,
                Err(PoolError::Lost { .. }) => drop(self.lost.insert(name)),
                Err(error) => return Err(error.into()),
            }
        }
        if name.class == Kept::Pack {
            // A part is read without its hash: what is no header, or that of another pack, is read again with it.
            let first = match self.pool.read_range(name, 0, PackHeader::LEN) {
                Ok(header) => self.free_number(&header, name.id)?,
                Err(PoolError::Lost { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            let header = match first {
                Some(header) => Some(header),
                None => match self.whole(name) {
                    Ok(bytes) => self.free_number(bytes.get(..PackHeader::LEN).unwrap_or(&bytes), name.id)?,
                    Err(Refused::NotHere) => None,
                    Err(error) => return Err(error),
                },
            };
            match header {
                Some(header) => self.know_pack(header, name.id, length, now),
                // Damage of this one and no more.
                None => drop(self.lost.insert(name)),
            }
        }
        Ok(())
    }

    /// A pack's header, if it is one with a number that no other pack has.
    fn free_number(&mut self, header: &[u8], id: ObjectId) -> Result<Option<PackHeader>, Refused> {
        match PackHeader::decode(header) {
            Ok(header) if !self.is_taken(header.seq, id)? => Ok(Some(header)),
            _ => Ok(None),
        }
    }

    /// Whether another pack has this number: one that is whole, and not one whose first bytes were replaced by those of this pack.
    pub(super) fn is_taken(&mut self, seq: PackSeq, id: ObjectId) -> Result<bool, Refused> {
        let Some(known) = self.packs.get(&seq.0).copied().filter(|known| known.id.0 != id.0) else { return Ok(false) };
        let name = ObjectName { class: Kept::Pack, id: ObjectId(known.id.0) };
        match self.whole(name) {
            Ok(bytes) => Ok(PackHeader::decode(bytes.get(..PackHeader::LEN).unwrap_or(&bytes)).is_ok_and(|header| header.seq == seq)),
            Err(Refused::NotHere) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn know_tombstone(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.numbers.tombstone = self.numbers.tombstone.max(Tombstone::decode(bytes)?.sequence);
        Ok(())
    }

    pub(super) fn know_pack(&mut self, header: PackHeader, id: ObjectId, length: u64, now: Moment) {
        self.numbers.pack = self.numbers.pack.max(header.seq.0);
        self.packs.insert(header.seq.0, PackRef { seq: header.seq, id: PackId(id.0), length });
        self.waiting.insert(header.seq.0, now.elapsed);
    }

    pub(super) fn know_kit(&mut self, slots: &[u8]) -> Result<(), Refused> {
        self.kits.insert(Slots::decode(slots)?.kit.recipient);
        Ok(())
    }

    pub(super) fn know_length(&mut self, name: ObjectName, length: u64) {
        let before = self.lengths.insert(name, length).map_or(0, room);
        self.used = self.used + room(length) - before;
    }

    pub(super) fn know_set(&mut self, record: SetRecord, needs: Option<SeqRanges>) {
        if let Some(needs) = &needs {
            let here: Vec<u64> = needs.ranges().iter().flat_map(|range| self.packs.range(range.clone())).map(|(seq, _)| *seq).collect();
            here.iter().for_each(|seq| {
                self.waiting.remove(seq);
            });
        }
        self.numbers.snapshot = self.numbers.snapshot.max(record.receipt.sequence);
        self.signed_for.insert(record.receipt.manifest, record.receipt.number);
        self.sets.insert(record.receipt.number, Set { record, needs });
    }
}
