//! Which of the key slots and keyrings that the other box has are the vault's: those that two papers open. Whoever took over the lost box could add others; they change nothing.

use keepwell_crypt::{KitFile, Secret};
use keepwell_format::VaultId;
use keepwell_format::keys::{Keyring, KeyringBody, Slots};
use keepwell_keys::{open_keyring, open_kit};

use crate::RecoverError;

/// The newest that the papers open.
pub(crate) struct Locks {
    pub(crate) slots: Slots,
    pub(crate) keyring: Keyring,
    pub(crate) body: KeyringBody,
}

/// Chooses. The newest slots come first, and the newest keyring that they open.
pub(crate) fn choose(vault: VaultId, papers: &[KitFile; 2], slots: &[Vec<u8>], keyrings: &[Vec<u8>]) -> Result<Locks, RecoverError> {
    let mut all: Vec<Slots> = slots.iter().filter_map(|bytes| Slots::decode(bytes).ok()).filter(|one| one.vault == vault).collect();
    all.sort_by_key(|one| std::cmp::Reverse((one.epoch, one.revision)));
    let mut rings: Vec<Keyring> =
        keyrings.iter().filter_map(|bytes| Keyring::decode(bytes).ok()).filter(|one| one.vault == vault).collect();
    rings.sort_by_key(|one| std::cmp::Reverse((one.epoch, one.revision)));
    let mut first = None;
    for slots in all {
        let key: Secret = match open_kit(&slots, &papers[0], &papers[1]) {
            Ok(key) => key,
            Err(error) => {
                first.get_or_insert(error.to_string());
                continue;
            }
        };
        let opened = rings.iter().find_map(|ring| Some((ring, open_keyring(&slots, ring, &key).ok()?)));
        match opened {
            Some((keyring, body)) => return Ok(Locks { slots, keyring: keyring.clone(), body }),
            None => drop(first.get_or_insert_with(|| "no keyring goes with the key slots".to_owned())),
        }
    }
    let first = first.unwrap_or_else(|| "there are none of this vault".to_owned());
    Err(RecoverError::NoLocks { slots: slots.len(), keyrings: keyrings.len(), first })
}
