//! What is held of one vault, in one place: the slots that its pool has and those it is to get, this box's slot in them, its kits, and a kit on
//! its way to paper.
//!
//! Each change is made on a copy of the record, stored, and held from then on. Whatever is put into the slots goes into the newest, with a
//! revision above all that were seen. A kit becomes invalid only when the pool is known to have another one.

use keepwell_format::keys::{Slot, SlotKind, Slots};
use keepwell_format::{Epoch, VaultId};
use keepwell_keys::{NewKit, Wrapping, slot_digest, tpm_slot, with_tpm_slot};

use super::papers::Printing;
use crate::error::KeydError;
use crate::hex::{Digest, Hex};
use crate::state::{Folder, KitRecord, Newer, PaperRecord, VaultRecord};

/// One vault.
pub(super) struct Held {
    record: VaultRecord,
    pub(super) printing: Option<Printing>,
    /// The last paper that was confirmed and the hash of what was typed: who asks again, as the answer got lost, gets it again.
    pub(super) last_confirmed: Option<(u8, Digest)>,
}

impl Held {
    pub(super) fn of(record: VaultRecord) -> Self {
        Self { record, printing: None, last_confirmed: None }
    }

    pub(super) fn record(&self) -> &VaultRecord {
        &self.record
    }

    pub(super) fn newest(&self) -> &Slots {
        newest(&self.record)
    }

    /// Makes a change durable, and then holds it.
    pub(super) fn change<T>(
        &mut self,
        folder: &Folder,
        change: impl FnOnce(&mut VaultRecord) -> Result<T, KeydError>,
    ) -> Result<T, KeydError> {
        let mut record = self.record.clone();
        let done = change(&mut record)?;
        self.replace(folder, record)?;
        Ok(done)
    }

    pub(super) fn replace(&mut self, folder: &Folder, record: VaultRecord) -> Result<(), KeydError> {
        if record != self.record {
            record.store(folder).map_err(KeydError::State)?;
            if record.slots.epoch != self.record.slots.epoch {
                // The kit on its way to paper would open a key from before.
                (self.printing, self.last_confirmed) = (None, None);
            }
            self.record = record;
        }
        Ok(())
    }

    /// All by which this box may open: the slots of the pool, those that it is to get, and what waits for its secret to be sealed.
    pub(super) fn open(&self, wrapping: &Wrapping) -> Option<keepwell_crypt::Secret> {
        let known = [self.newest(), &self.record.slots].into_iter().flat_map(|slots| &slots.slots).cloned();
        known.chain(unsealed(&self.record)).find_map(|slot| wrapping.open(self.newest(), &slot))
    }

    /// What was wrapped for a secret that is sealed by now goes into the slots.
    pub(super) fn settle(&mut self, folder: &Folder, wrapping: &Wrapping) -> Result<(), KeydError> {
        let Some(slot) = unsealed(&self.record).filter(|slot| wrapping.open(self.newest(), slot).is_some()) else { return Ok(()) };
        self.change(folder, |record| {
            put_own(record, &slot)?;
            record.unsealed = None;
            Ok(())
        })
    }

    /// The pool has these slots. Answers those it is to get in their place, if any.
    pub(super) fn in_pool(&mut self, folder: &Folder, given: &Slots, wrapping: Option<&Wrapping>) -> Result<Option<Slots>, KeydError> {
        self.change(folder, |record| {
            record.keyring = None;
            acknowledge(record, given);
            follow(record, given, wrapping)
        })?;
        Ok(Some(self.newest()).filter(|slots| rank(slots) > rank(given)).cloned())
    }
}

/// Where slots stand among those of their vault.
pub(super) fn rank(slots: &Slots) -> (Epoch, u32) {
    (slots.epoch, slots.revision)
}

pub(super) fn newest(record: &VaultRecord) -> &Slots {
    record.newer.as_ref().map_or(&record.slots, |newer| &newer.slots)
}

/// A record of a vault with these slots, which its pool has, and a kit that nobody has on paper yet.
pub(super) fn new_record(slots: &Slots, owner: String, now: i64) -> Result<VaultRecord, KeydError> {
    Ok(VaultRecord {
        vault: slots.vault.to_string(),
        owner,
        slots: slots.clone(),
        kit: new_kit_record(slots, now)?,
        newer: None,
        unsealed: None,
        last_set: Some(slots.kit.set),
        keyring: None,
        first_kit: false,
        invalid_sets: Vec::new(),
    })
}

pub(super) fn new_kit_record(slots: &Slots, made_at: i64) -> Result<KitRecord, KeydError> {
    let wrapped = digest(slots).ok_or(KeydError::ForeignSlot)?;
    let papers = std::array::from_fn(|_| PaperRecord::default());
    Ok(KitRecord { set: slots.kit.set, made_at, wrapped, papers })
}

/// The kit with this number: the valid one, or the one whose slots have yet to reach the pool.
pub(super) fn kit_mut(record: &mut VaultRecord, set: u16) -> Option<&mut KitRecord> {
    let next = record.newer.as_mut().and_then(|newer| newer.kit.as_mut());
    next.into_iter().chain([&mut record.kit]).find(|kit| kit.set == set)
}

/// Whether the kit in these slots is one that was wrapped here, or was opened here; none if its number is not known.
pub(super) fn is_ours(record: &VaultRecord, slots: &Slots) -> Option<bool> {
    let next = record.newer.as_ref().and_then(|newer| newer.kit.as_ref());
    let kit = next.into_iter().chain([&record.kit]).find(|kit| kit.set == slots.kit.set)?;
    Some(digest(slots) == Some(kit.wrapped))
}

/// A kit that the pool is known to have. The one before opens nothing any more.
pub(super) fn make_valid(record: &mut VaultRecord, kit: KitRecord) {
    record.invalid_sets.push(record.kit.set);
    record.invalid_sets.retain(|set| *set != kit.set);
    record.invalid_sets.dedup();
    record.kit = kit;
}

/// This box's slot, into the newest slots.
pub(super) fn put_own(record: &mut VaultRecord, slot: &Slot) -> Result<(), KeydError> {
    if !newest(record).slots.contains(slot) {
        let slots = with_tpm_slot(newest(record), slot).map_err(KeydError::Keys)?;
        put(record, slots, None);
    }
    Ok(())
}

/// Slots that are to be stored, with their kit if it is a new one.
pub(super) fn put(record: &mut VaultRecord, slots: Slots, kit: Option<KitRecord>) {
    let kit = kit.or_else(|| record.newer.take().and_then(|newer| newer.kit));
    record.newer = Some(Newer { slots, kit });
}

/// Slots that were given out came back: those before them are history.
pub(super) fn acknowledge(record: &mut VaultRecord, given: &Slots) {
    let ours = rank(given) > rank(&record.slots) && rank(given) <= rank(newest(record)) && is_ours(record, given) == Some(true);
    if !ours {
        return;
    }
    if let Some(mut newer) = record.newer.take() {
        if let Some(kit) = newer.kit.take_if(|kit| kit.set == given.kit.set) {
            make_valid(record, kit);
        }
        record.newer = Some(newer).filter(|newer| newer.slots != *given);
    }
    record.slots = given.clone();
}

/// Slots of the pool that are not from here, and that the newest would lose to: another box has put its own slot in. What was to be stored goes on
/// top of them.
pub(super) fn follow(record: &mut VaultRecord, given: &Slots, wrapping: Option<&Wrapping>) -> Result<(), KeydError> {
    if rank(given) < rank(newest(record)) || given == newest(record) {
        return Ok(());
    }
    if given.verify_key != record.slots.verify_key || is_ours(record, given) != Some(true) {
        return Err(KeydError::ForeignSlot);
    }
    let ours = newest(record).clone();
    let mut kit = record.newer.take().and_then(|newer| newer.kit);
    if let Some(kit) = kit.take_if(|kit| kit.set == given.kit.set) {
        make_valid(record, kit);
    }
    let mut slots = given.clone();
    if let Some(new) = NewKit::of(&ours).filter(|_| kit.is_some()) {
        slots = new.put_into(&slots).map_err(KeydError::Keys)?;
    }
    let own = wrapping.and_then(|wrapping| tpm_slot(&ours, &wrapping.box_id()).filter(|slot| wrapping.open(&ours, slot).is_some()));
    if let Some(own) = own.filter(|own| !slots.slots.contains(own)) {
        slots = with_tpm_slot(&slots, own).map_err(KeydError::Keys)?;
    }
    record.newer = (slots != *given).then_some(Newer { slots, kit });
    record.slots = given.clone();
    Ok(())
}

fn unsealed(record: &VaultRecord) -> Option<Slot> {
    record.unsealed.as_ref().map(|Hex(payload)| Slot { kind: SlotKind::Tpm, payload: payload.clone() })
}

fn digest(slots: &Slots) -> Option<Digest> {
    slot_digest(slots).map(Digest)
}

/// Slots of this vault.
pub(super) fn parse_slots(bytes: &[u8], vault: VaultId) -> Result<Slots, KeydError> {
    let slots = Slots::decode(bytes).map_err(|source| KeydError::Format { what: "slots object", source })?;
    match slots.vault == vault {
        true => Ok(slots),
        false => Err(KeydError::OtherSlots { wanted: vault.to_string(), given: slots.vault.to_string() }),
    }
}
