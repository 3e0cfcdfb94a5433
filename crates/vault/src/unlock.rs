//! Ways to the vault key: kit papers and passphrases, through the key slots, to the keyring.

use std::fmt;

use keepwell_crypt::{Argon2Cost, CryptError, KitFile, Sealer, Secret, combine};
use keepwell_format::keys::{Keyring, KeyringBody, KitPayload, PassphraseSlot, SlotKind, Slots};
use keepwell_format::{FormatError, VaultId};
use keepwell_storage::{Class, ObjectName, Pool};
use zeroize::Zeroizing;

use crate::VaultError;
use crate::keys::Keys;

/// Something that opens a vault.
pub enum Unlock {
    /// Two different papers of the recovery kit.
    Kit(KitFile, KitFile),
    /// A passphrase.
    Passphrase(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kit(..) => "Unlock::Kit(..)",
            Self::Passphrase(_) => "Unlock::Passphrase(..)",
        })
    }
}

/// The newest valid object of a class, by what `rank` makes of it.
fn newest<T, R: Ord>(
    pool: &Pool,
    class: Class,
    decode: impl Fn(&[u8]) -> Result<T, FormatError>,
    rank: impl Fn(&T) -> R,
) -> Result<Option<T>, VaultError> {
    let mut best: Option<T> = None;
    for id in pool.objects(class) {
        // A damaged one is no obstacle while another is whole.
        let Ok((bytes, _)) = pool.read_object(ObjectName { class, id }) else { continue };
        match decode(&bytes) {
            Ok(found) if best.as_ref().is_none_or(|best| rank(best) < rank(&found)) => best = Some(found),
            Ok(_) => {}
            Err(source @ FormatError::Newer { .. }) => return Err(VaultError::Format { what: "the vault", source }),
            Err(_) => {}
        }
    }
    Ok(best)
}

pub(crate) fn load_slots(pool: &Pool) -> Result<Slots, VaultError> {
    newest(pool, Class::Slots, Slots::decode, |slots| (slots.epoch, slots.revision))?.ok_or(VaultError::NoSlots)
}

/// Opens the slots and the keyring.
pub(crate) fn unlock(pool: &Pool, slots: &Slots, unlock: &Unlock) -> Result<Keys, VaultError> {
    let vault_key = match unlock {
        Unlock::Kit(first, second) => by_kit(slots, first, second)?,
        Unlock::Passphrase(passphrase) => by_passphrase(slots, passphrase)?,
    };
    let keyring = newest(pool, Class::Keyring, Keyring::decode, |ring| (ring.epoch, ring.revision))?.ok_or(VaultError::NoKeyring)?;
    let body = open_keyring(slots.vault, &keyring, &vault_key)?;
    Keys::new(slots.vault, &body).ok_or(VaultError::NoKeyring)
}

fn open_keyring(vault: VaultId, keyring: &Keyring, vault_key: &Secret) -> Result<KeyringBody, VaultError> {
    let crypt = |source| VaultError::Crypt { what: "the keyring can't be opened with this vault's key", source };
    if keyring.vault != vault {
        return Err(VaultError::NoKeyring);
    }
    let plain = Zeroizing::new(Sealer::new(vault_key, "keyring").open(&keyring.head(), &keyring.sealed).map_err(crypt)?);
    KeyringBody::decode(&plain).map_err(|source| VaultError::Format { what: "the keyring", source })
}

fn by_kit(slots: &Slots, first: &KitFile, second: &KitFile) -> Result<Secret, VaultError> {
    let vault = slots.vault;
    for paper in [first, second] {
        if paper.vault != vault.0 {
            return Err(VaultError::OtherVault { kit: VaultId(paper.vault).to_string(), vault: vault.to_string() });
        }
        let known = slots.kit.commitments.contains(&paper.share.commitment(&vault.0));
        if paper.set != slots.kit.set || !known {
            let (index, set, now) = (paper.share.index(), paper.set, slots.kit.set);
            return Err(VaultError::WrongKey(format!(
                "kit paper {index} of set {set} is not valid for this vault: its papers now are set {now}; nothing was changed"
            )));
        }
    }
    let wrong = |source: CryptError| VaultError::Crypt { what: "the two kit papers do not open this vault", source };
    let seed = combine(&first.share, &second.share).map_err(wrong)?;
    for slot in slots.slots.iter().filter(|slot| slot.kind == SlotKind::Kit) {
        let plain = keepwell_crypt::unwrap_with_seed(&seed, &slot.payload).map_err(wrong)?;
        let payload = KitPayload::decode(&plain).map_err(|source| VaultError::Format { what: "the kit's key slot", source })?;
        if payload.vault == vault && payload.epoch == slots.epoch {
            return Ok(Secret::from_bytes(*payload.vault_key));
        }
    }
    Err(VaultError::WrongKey("this vault has no key slot for a recovery kit; open it another way".to_owned()))
}

fn by_passphrase(slots: &Slots, passphrase: &[u8]) -> Result<Secret, VaultError> {
    let mut tried = false;
    for slot in slots.slots.iter().filter(|slot| slot.kind == SlotKind::Passphrase) {
        let slot = PassphraseSlot::decode(&slot.payload).map_err(|source| VaultError::Format { what: "a passphrase slot", source })?;
        let cost = Argon2Cost { m_kib: slot.m_kib, t: slot.t, p: slot.p };
        let opened = keepwell_crypt::unwrap_with_passphrase(passphrase, &slot.salt, cost, &slots.vault.0, slots.epoch.0, &slot.sealed);
        if let Ok(key) = opened {
            return Ok(key);
        }
        tried = true;
    }
    Err(VaultError::WrongKey(if tried {
        "the passphrase does not open this vault; nothing was changed".to_owned()
    } else {
        "this vault was made without a passphrase; use two papers of its recovery kit (kit:FILE,FILE)".to_owned()
    }))
}
