//! Makes a new vault on a fresh pool: its keys, and the three papers of the recovery kit.

use keepwell_crypt::KitFile;
use keepwell_format::keys::{Keyring, Slots};
use keepwell_keys::{NewKeys, NewVault};
use keepwell_storage::{Class, Pool, Spread};

use crate::VaultError;
use crate::unlock::{load_keyring, load_slots};

/// Makes the keys and writes them to the pool, sealed. The kit papers come back and are kept nowhere else.
pub fn create(pool: &Pool, new: &NewVault<'_>, random: &mut dyn FnMut(&mut [u8])) -> Result<[KitFile; 3], VaultError> {
    let keys = NewKeys::make(new, random)?;
    create_with(pool, &keys.slots, &keys.keyring)?;
    Ok(keys.kit)
}

/// Whether keys were written to a pool: one that was made and cut before has none.
pub fn has_locks(pool: &Pool) -> Result<bool, VaultError> {
    match load_slots(pool).and_then(|_| load_keyring(pool)) {
        Ok(_) => Ok(true),
        Err(VaultError::NoSlots | VaultError::NoKeyring) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Writes keys that were made elsewhere. What is there already stays as it is.
pub fn create_with(pool: &Pool, slots: &Slots, keyring: &Keyring) -> Result<(), VaultError> {
    pool.put(Class::Keyring, Spread::Everywhere, &keyring.encode())?;
    pool.put(Class::Slots, Spread::Everywhere, &slots.encode())?;
    Ok(())
}
