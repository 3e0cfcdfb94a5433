//! Gives back what is kept: never other bytes than were sent, as long as redundancy has them, and what a read finds damaged is whole afterwards.

use keepwell_storage::{Narrowing, ObjectId, ObjectName};
use keepwell_wire::Class;

use super::{Tenant, kept};
use crate::refused::Refused;

/// Objects of which the next part is given without looking at all of it again: as many as are asked for in parts at a time, and some.
const CHECKED: usize = 64;

impl Tenant {
    /// Part of an object. All of it is checked when the beginning is asked for, and again if that was some time ago.
    pub fn read(&mut self, class: Class, id: [u8; 32], offset: u64, length: usize) -> Result<Vec<u8>, Refused> {
        let name = ObjectName { class: kept(class), id: ObjectId(id) };
        if !self.has(name) {
            return Err(Refused::NotHere);
        }
        if offset > 0 && self.checked.contains(&name) {
            return self.pool.read_range(name, offset, length).map_err(|error| self.not_read(name, error));
        }
        let whole = self.whole(name)?;
        self.checked.retain(|other| *other != name);
        self.checked.push_back(name);
        if self.checked.len() > CHECKED {
            self.checked.pop_front();
        }
        let part = usize::try_from(offset).ok().and_then(|from| whole.get(from..from.checked_add(length)?));
        part.map(<[u8]>::to_vec).ok_or(Refused::NotHere)
    }

    /// An object with every check. What is damaged of it is written again.
    pub(super) fn whole(&mut self, name: ObjectName) -> Result<Vec<u8>, Refused> {
        if !self.has(name) {
            return Err(Refused::NotHere);
        }
        let (bytes, found) = self.pool.read_object(name).map_err(|error| self.not_read(name, error))?;
        if !found.damaged.is_empty() {
            // What can't be written now is found damaged by the next one who reads: it is readable all the same.
            let _ = self.pool.repair_with(name, Narrowing::ToSave);
        }
        Ok(bytes)
    }
}
