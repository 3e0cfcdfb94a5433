//! New slots from old ones. A change has the next revision; the old object stays where it is until who stores them removes it.
//!
//! What a change puts in ([`Wrapping::slot`], [`NewKit`]) is made apart from the object that it goes into: by then that may be a newer one.

use keepwell_crypt::{CryptError, KitFile, KitSeed, Sealer, Secret, kdf, kit_recipient, split};
use keepwell_format::keys::{KitPayload, KitPublic, Slot, SlotKind, Slots, TpmSlot};
use keepwell_format::{Epoch, VaultId};
use zeroize::Zeroizing;

use crate::KeysError;
use crate::make::Random;

const TPM_PURPOSE: &str = "tpm slot";

/// What a box wraps the vault key with: one half is sealed by its TPM, the other lies in its state, and neither alone is of use.
#[expect(missing_debug_implementations, reason = "holds a key")]
pub struct Wrapping {
    pub(crate) box_id: [u8; 16],
    key: Secret,
}

impl Wrapping {
    /// From the two halves.
    pub fn new(box_id: [u8; 16], tpm_secret: &Secret, state_secret: &Secret) -> Self {
        let mut both = Zeroizing::new([0; 64]);
        both[..32].copy_from_slice(tpm_secret.expose());
        both[32..].copy_from_slice(state_secret.expose());
        Self { box_id, key: kdf("keepwell v1 tpm slot", &both[..]) }
    }

    /// The box that wraps with it.
    pub fn box_id(&self) -> [u8; 16] {
        self.box_id
    }

    /// The slot by which this box opens every slots object of the same vault and epoch.
    pub fn slot(&self, slots: &Slots, vault_key: &Secret) -> Slot {
        let sealed = Sealer::new(&self.key, TPM_PURPOSE).seal(&self.aad(slots), vault_key.expose());
        Slot { kind: SlotKind::Tpm, payload: TpmSlot { box_id: self.box_id, sealed }.encode() }
    }

    /// The vault key out of such a slot; none if it is another box's, or was wrapped with other halves.
    pub fn open(&self, slots: &Slots, slot: &Slot) -> Option<Secret> {
        let slot = TpmSlot::decode(&slot.payload).ok().filter(|slot| slot.box_id == self.box_id)?;
        let plain = Zeroizing::new(Sealer::new(&self.key, TPM_PURPOSE).open(&self.aad(slots), &slot.sealed).ok()?);
        let mut key = Zeroizing::new([0; 32]);
        (plain.len() == key.len()).then(|| key.copy_from_slice(&plain))?;
        Some(Secret::from_bytes(*key))
    }

    fn aad(&self, slots: &Slots) -> [u8; 36] {
        let mut aad = [0; 36];
        aad[..16].copy_from_slice(&slots.vault.0);
        aad[16..20].copy_from_slice(&slots.epoch.0.to_le_bytes());
        aad[20..].copy_from_slice(&self.box_id);
        aad
    }
}

/// The slot of a box, if there is one.
pub fn tpm_slot<'a>(slots: &'a Slots, box_id: &[u8; 16]) -> Option<&'a Slot> {
    slots.slots.iter().find(|slot| is_of_box(slot, box_id))
}

/// The slots with a box's slot in the place of an earlier one of the same box.
pub fn with_tpm_slot(slots: &Slots, slot: &Slot) -> Result<Slots, KeysError> {
    let box_id = TpmSlot::decode(&slot.payload).map_err(KeysError::format("a box's key slot"))?.box_id;
    let mut changed = without_tpm_slot(slots, &box_id)?;
    changed.slots.push(slot.clone());
    Ok(changed)
}

/// The slots without those of a box.
pub fn without_tpm_slot(slots: &Slots, box_id: &[u8; 16]) -> Result<Slots, KeysError> {
    let mut changed = revised(slots)?;
    changed.slots.retain(|slot| !is_of_box(slot, box_id));
    Ok(changed)
}

/// What a re-issue puts into the slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKit {
    epoch: Epoch,
    public: KitPublic,
    slot: Slot,
}

impl NewKit {
    /// A kit with this set number, and its papers.
    pub fn make(slots: &Slots, set: u16, vault_key: &Secret, random: Random<'_>) -> Result<(Self, [KitFile; 3]), KeysError> {
        let (public, papers) = new_kit(slots.vault, set, random);
        let slot = kit_slot(slots.vault, slots.epoch, &public.recipient, vault_key);
        let slot = slot.map_err(KeysError::crypt("the new recovery kit could not be made; the old one stays valid"))?;
        Ok((Self { epoch: slots.epoch, public, slot }, papers))
    }

    /// The kit that slots have; none if they have none.
    pub fn of(slots: &Slots) -> Option<Self> {
        let slot = slots.slots.iter().find(|slot| slot.kind == SlotKind::Kit)?.clone();
        Some(Self { epoch: slots.epoch, public: slots.kit.clone(), slot })
    }

    /// The slots for this kit. The papers of the one before open nothing that is stored from then on.
    pub fn put_into(&self, slots: &Slots) -> Result<Slots, KeysError> {
        if slots.epoch != self.epoch {
            return Err(KeysError::WrongKey("the vault has a newer key than this recovery kit was made for: re-issue it".to_owned()));
        }
        let mut changed = Slots { kit: self.public.clone(), ..revised(slots)? };
        changed.slots.retain(|slot| slot.kind != SlotKind::Kit);
        changed.slots.insert(0, self.slot.clone());
        Ok(changed)
    }
}

fn is_of_box(slot: &Slot, box_id: &[u8; 16]) -> bool {
    slot.kind == SlotKind::Tpm && TpmSlot::decode(&slot.payload).is_ok_and(|slot| slot.box_id == *box_id)
}

fn revised(slots: &Slots) -> Result<Slots, KeysError> {
    let revision = slots.revision.checked_add(1).ok_or(KeysError::Worn)?;
    Ok(Slots { revision, ..slots.clone() })
}

/// A kit of the given set number.
pub(crate) fn new_kit(vault: VaultId, set: u16, random: Random<'_>) -> (KitPublic, [KitFile; 3]) {
    let seed = KitSeed::random(random);
    let shares = split(&seed, set, random);
    let commitments = [0, 1, 2].map(|i: usize| shares[i].commitment(&vault.0));
    let public = KitPublic { set, recipient: kit_recipient(&seed), commitments };
    (public, shares.map(|share| KitFile { vault: vault.0, set, share }))
}

pub(crate) fn kit_slot(vault: VaultId, epoch: Epoch, recipient: &str, vault_key: &Secret) -> Result<Slot, CryptError> {
    let payload = KitPayload { vault, epoch, vault_key: Zeroizing::new(*vault_key.expose()) };
    Ok(Slot { kind: SlotKind::Kit, payload: keepwell_crypt::wrap_for_recipient(recipient, &payload.encode())? })
}
