//! Old key slots are removed where newer ones are on every disk: they would keep a revoked kit opening the vault.

use keepwell_format::keys::Slots;
use keepwell_storage::{Class, ObjectName, Pool};

use crate::VaultError;

/// Removes key slots that lose to newer ones, and answers how many objects of them are gone. What can't be read is left alone.
pub(crate) fn forget_old_slots(pool: &Pool) -> Result<usize, VaultError> {
    let mut known = Vec::new();
    for id in pool.objects(Class::Slots) {
        let name = ObjectName { class: Class::Slots, id };
        let Ok((bytes, _)) = pool.read_object(name) else { continue };
        if let Ok(slots) = Slots::decode(&bytes) {
            known.push(((slots.epoch, slots.revision), name));
        }
    }
    let Some((newest, by)) = known.iter().max_by_key(|(rank, _)| *rank).copied() else { return Ok(0) };
    let mut gone = 0;
    for (_, old) in known.into_iter().filter(|(rank, _)| *rank < newest) {
        gone += usize::from(pool.remove_superseded_slots(old, by)?);
    }
    Ok(gone)
}
