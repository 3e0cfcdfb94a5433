//! From what opens a vault, through the key slots and the keyring of its pool, to its keys.

use std::fmt;

use keepwell_crypt::KitFile;
use keepwell_format::FormatError;
use keepwell_format::keys::{Keyring, KeyringBody, Slots};
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
    /// The keys themselves, from the program that has them unsealed.
    Keyring(Box<KeyringBody>),
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kit(..) => "Unlock::Kit(..)",
            Self::Passphrase(_) => "Unlock::Passphrase(..)",
            Self::Keyring(_) => "Unlock::Keyring(..)",
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

pub(crate) fn load_keyring(pool: &Pool) -> Result<Keyring, VaultError> {
    newest(pool, Class::Keyring, Keyring::decode, |ring| (ring.epoch, ring.revision))?.ok_or(VaultError::NoKeyring)
}

/// Opens the slots and the keyring.
pub(crate) fn unlock(pool: &Pool, slots: &Slots, unlock: &Unlock) -> Result<Keys, VaultError> {
    let vault_key = match unlock {
        Unlock::Kit(first, second) => keepwell_keys::open_kit(slots, first, second)?,
        Unlock::Passphrase(passphrase) => keepwell_keys::open_passphrase(slots, passphrase)?,
        Unlock::Keyring(body) => return Keys::new(slots.vault, body).ok_or(VaultError::NoKeyring),
    };
    let body = keepwell_keys::open_keyring(slots, &load_keyring(pool)?, &vault_key)?;
    Keys::new(slots.vault, &body).ok_or(VaultError::NoKeyring)
}
