//! Makes a new vault on a fresh pool: its keys, and the three papers of the recovery kit.

use keepwell_crypt::KitFile;
use keepwell_format::keys::{Keyring, Slots};
use keepwell_keys::{NewKeys, NewVault};
use keepwell_storage::{Class, Pool, Spread};

use crate::VaultError;

/// Makes the keys and writes them to the pool, sealed. The kit papers come back and are kept nowhere else.
pub fn create(pool: &Pool, new: &NewVault<'_>, random: &mut dyn FnMut(&mut [u8])) -> Result<[KitFile; 3], VaultError> {
    let keys = NewKeys::make(new, random)?;
    create_with(pool, &keys.slots, &keys.keyring)?;
    Ok(keys.kit)
}

/// Writes keys that were made elsewhere.
pub fn create_with(pool: &Pool, slots: &Slots, keyring: &Keyring) -> Result<(), VaultError> {
    pool.put(Class::Keyring, Spread::Everywhere, &keyring.encode())?;
    pool.put(Class::Slots, Spread::Everywhere, &slots.encode())?;
    Ok(())
}
