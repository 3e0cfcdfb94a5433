//! New slots from old ones. A change has the next revision; the old object stays where it is until who stores them removes it.

use keepwell_crypt::{CryptError, KitFile, KitSeed, Sealer, Secret, kdf, kit_recipient, split};
use keepwell_format::keys::{KitPayload, KitPublic, Slot, SlotKind, Slots, TpmSlot};
use keepwell_format::{Epoch, VaultId};
use zeroize::Zeroizing;

use crate::KeysError;
use crate::make::Random;

pub(crate) const TPM_PURPOSE: &str = "tpm slot";

/// What a box wraps the vault key with: one half is sealed by its TPM, the other lies in its state, and neither alone is of use.
#[expect(missing_debug_implementations, reason = "holds a key")]
pub struct Wrapping {
    pub(crate) box_id: [u8; 16],
    pub(crate) key: Secret,
}

impl Wrapping {
    /// From the two halves.
    pub fn new(box_id: [u8; 16], tpm_secret: &Secret, state_secret: &Secret) -> Self {
        let mut both = Zeroizing::new([0; 64]);
        both[..32].copy_from_slice(tpm_secret.expose());
        both[32..].copy_from_slice(state_secret.expose());
        Self { box_id, key: kdf("keepwell v1 tpm slot", &both[..]) }
    }

    pub(crate) fn aad(&self, slots: &Slots) -> [u8; 36] {
        let mut aad = [0; 36];
        aad[..16].copy_from_slice(&slots.vault.0);
        aad[16..20].copy_from_slice(&slots.epoch.0.to_le_bytes());
        aad[20..].copy_from_slice(&self.box_id);
        aad
    }
}

/// The slots with one that this box opens, in the place of an earlier one of the same box.
pub fn with_tpm_slot(slots: &Slots, wrapping: &Wrapping, vault_key: &Secret) -> Slots {
    let mut changed = without_tpm_slot(slots, &wrapping.box_id);
    let sealed = Sealer::new(&wrapping.key, TPM_PURPOSE).seal(&wrapping.aad(slots), vault_key.expose());
    changed.slots.push(Slot { kind: SlotKind::Tpm, payload: TpmSlot { box_id: wrapping.box_id, sealed }.encode() });
    changed
}

/// The slots without those of a box.
pub fn without_tpm_slot(slots: &Slots, box_id: &[u8; 16]) -> Slots {
    let of_box = |slot: &Slot| slot.kind == SlotKind::Tpm && TpmSlot::decode(&slot.payload).is_ok_and(|slot| slot.box_id == *box_id);
    let mut changed = Slots { revision: slots.revision + 1, ..slots.clone() };
    changed.slots.retain(|slot| !of_box(slot));
    changed
}

/// The slots for a new kit, and its papers. Those of the old kit open nothing that is stored from then on.
pub fn reissue_kit(slots: &Slots, vault_key: &Secret, random: Random<'_>) -> Result<(Slots, [KitFile; 3]), KeysError> {
    let (kit, papers) = new_kit(slots.vault, slots.kit.set.wrapping_add(1), random);
    let slot = kit_slot(slots.vault, slots.epoch, &kit.recipient, vault_key);
    let mut changed = Slots { revision: slots.revision + 1, kit, ..slots.clone() };
    changed.slots.retain(|slot| slot.kind != SlotKind::Kit);
    changed.slots.insert(0, slot.map_err(KeysError::crypt("the new recovery kit could not be made; the old one stays valid"))?);
    Ok((changed, papers))
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
