//! From what a person or a box has to the vault key, and from it to the keyring.

use keepwell_crypt::{Argon2Cost, KitFile, Sealer, Secret, combine};
use keepwell_format::keys::{Keyring, KeyringBody, KitPayload, PassphraseSlot, SlotKind, Slots};
use zeroize::Zeroizing;

use crate::KeysError;
use crate::change::{Wrapping, tpm_slot};
use crate::rehearse::rehearse;

/// The vault key, by two papers of the kit.
pub fn open_kit(slots: &Slots, first: &KitFile, second: &KitFile) -> Result<Secret, KeysError> {
    let wrong = KeysError::crypt("the two kit papers do not open this vault");
    rehearse(slots, first)?;
    rehearse(slots, second)?;
    let seed = combine(&first.share, &second.share).map_err(&wrong)?;
    for slot in slots.slots.iter().filter(|slot| slot.kind == SlotKind::Kit) {
        let plain = keepwell_crypt::unwrap_with_seed(&seed, &slot.payload).map_err(&wrong)?;
        let payload = KitPayload::decode(&plain).map_err(KeysError::format("the kit's key slot"))?;
        if payload.vault == slots.vault && payload.epoch == slots.epoch {
            return Ok(Secret::from_bytes(*payload.vault_key));
        }
    }
    Err(KeysError::WrongKey("this vault has no key slot for a recovery kit; open it another way".to_owned()))
}

/// The vault key, by a passphrase.
pub fn open_passphrase(slots: &Slots, passphrase: &[u8]) -> Result<Secret, KeysError> {
    let mut tried = false;
    for slot in slots.slots.iter().filter(|slot| slot.kind == SlotKind::Passphrase) {
        // One that can't be read is no reason against another one that can.
        let Ok(slot) = PassphraseSlot::decode(&slot.payload) else { continue };
        let cost = Argon2Cost { m_kib: slot.m_kib, t: slot.t, p: slot.p };
        let opened = keepwell_crypt::unwrap_with_passphrase(passphrase, &slot.salt, cost, &slots.vault.0, slots.epoch.0, &slot.sealed);
        if let Ok(key) = opened {
            return Ok(key);
        }
        tried = true;
    }
    Err(KeysError::WrongKey(if tried {
        "the passphrase does not open this vault; nothing was changed".to_owned()
    } else {
        "this vault was made without a passphrase; use two papers of its recovery kit (kit:FILE,FILE)".to_owned()
    }))
}

/// The vault key, by what this box has sealed. A slot that can't be read is no reason against another one that can.
pub fn open_tpm(slots: &Slots, wrapping: &Wrapping) -> Result<Secret, KeysError> {
    if let Some(key) = slots.slots.iter().filter(|slot| slot.kind == SlotKind::Tpm).find_map(|slot| wrapping.open(slots, slot)) {
        return Ok(key);
    }
    Err(KeysError::WrongKey(if tpm_slot(slots, &wrapping.box_id).is_some() {
        "this box's key does not open the vault: its sealed state is not the one that the vault knows. Open it with the recovery kit"
            .to_owned()
    } else {
        "this vault does not know this box; open it with the recovery kit".to_owned()
    }))
}

/// The keyring's keys, by the vault key.
pub fn open_keyring(slots: &Slots, keyring: &Keyring, vault_key: &Secret) -> Result<KeyringBody, KeysError> {
    if keyring.vault != slots.vault {
        return Err(KeysError::OtherKeyring);
    }
    let opened = Sealer::new(vault_key, "keyring").open(&keyring.head(), &keyring.sealed);
    let plain = Zeroizing::new(opened.map_err(KeysError::crypt("the keyring can't be opened with this vault's key"))?);
    KeyringBody::decode(&plain).map_err(KeysError::format("the keyring"))
}
