//! The keys of vaults: made, opened for the engine, and brought to the pool.

use keepwell_api::keys::{InPool, NewVault, ToStore, VaultMade};
use keepwell_crypt::Secret;
use keepwell_format::VaultId;
use keepwell_format::keys::{Keyring, Slots};
use keepwell_keys::{NewKeys, open_keyring, open_tpm, with_tpm_slot};
use zeroize::Zeroizing;

use super::held::{Held, new_record, parse_slots};
use super::papers::Printing;
use super::sealing::PASSPHRASE_MIN;
use super::{Keeper, Lock, Waiting};
use crate::error::KeydError;
use crate::hex::Hex;

/// Longest name of an owner or keeper, bytes.
const NAME_MAX: usize = 200;

impl Keeper {
    /// As [`Self::new_vault`], for who may make the box's first vault, opened by its TPM and its kit, and no other.
    pub fn first_vault(&mut self, request: &NewVault) -> Result<VaultMade, KeydError> {
        if request.test || request.passphrase.is_some() {
            return Err(KeydError::FirstVaultOnly);
        }
        let vault = parse_vault(&request.vault)?;
        match self.vaults.keys().find(|known| **known != vault) {
            Some(other) => Err(KeydError::VaultExists(other.to_string())),
            None if self.unread_vaults => Err(KeydError::FirstVaultOnly),
            None => self.new_vault(request),
        }
    }

    /// Keys for a new vault. The first one seals the box. Asked again before a pool is known to have them, the same.
    pub fn new_vault(&mut self, request: &NewVault) -> Result<VaultMade, KeydError> {
        let vault = parse_vault(&request.vault)?;
        if let Some(held) = self.vaults.get(&vault) {
            return made_before(held, request).ok_or_else(|| KeydError::VaultExists(vault.to_string()));
        }
        check_names(&[&request.owner])?;
        let passphrase = request.passphrase.as_ref().map(AsRef::as_ref);
        if passphrase.is_some_and(|passphrase: &[u8]| passphrase.len() < PASSPHRASE_MIN) {
            return Err(KeydError::Short);
        }
        if matches!(self.lock, Lock::New) {
            self.seal_first()?;
            self.make_identity_if_none();
        }
        let mut entropy = self.entropy()?;
        let opened = self.opened_for_good()?;
        let new = keepwell_keys::NewVault { test_vault: request.test, passphrase, ..keepwell_keys::NewVault::new(vault) };
        let keys = NewKeys::make(&new, &mut |out| entropy.fill(out)).map_err(KeydError::Keys)?;
        let slots = with_tpm_slot(&keys.slots, &opened.wrapping.slot(&keys.slots, &keys.vault_key)).map_err(KeydError::Keys)?;
        // Who made it stores these, or there is no vault.
        let keyring = keys.keyring.encode();
        let mut record = new_record(&slots, request.owner.clone(), self.now())?;
        (record.keyring, record.first_kit) = (Some(Hex(keyring.clone())), true);
        record.store(&self.folder).map_err(KeydError::State)?;
        let mut held = Held::of(record);
        (held.printing, held.last_confirmed) = (Some(Printing::new(keys.kit, None, self.now())), None);
        self.vaults.insert(vault, held);
        Ok(VaultMade { set: slots.kit.set, slots: slots.encode().into(), keyring: keyring.into() })
    }

    /// The opened keyring's body.
    pub fn open(&mut self, vault: &str, slots: &[u8], keyring: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeydError> {
        let vault = parse_vault(vault)?;
        let slots = parse_slots(slots, vault)?;
        let keyring = Keyring::decode(keyring).map_err(|source| KeydError::Format { what: "keyring", source })?;
        let vault_key = match self.vault_key(vault, &slots) {
            Ok(vault_key) => vault_key,
            Err(error) => {
                // It was never here: its papers will need what only the engine can show.
                self.waiting = (!self.vaults.contains_key(&vault)).then_some(Waiting { slots, keyring });
                return Err(error);
            }
        };
        let body = open_keyring(&slots, &keyring, &vault_key).map_err(KeydError::Keys)?.encode();
        if let Some(Err(error)) = self.vaults.get_mut(&vault).map(|held| {
            held.change(&self.folder, |record| {
                record.keyring = None;
                super::held::acknowledge(record, &slots);
                Ok(())
            })
        }) {
            tracing::warn!(error = &error as &dyn std::error::Error, "what the pool has could not be noted");
        }
        Ok(body)
    }

    /// The vault key, by the box's own slot: that of the object that was given; else, if a change of the slots never reached the pool, that of
    /// the copies here.
    pub(super) fn vault_key(&self, vault: VaultId, slots: &Slots) -> Result<Secret, KeydError> {
        let wrapping = &self.opened()?.wrapping;
        open_tpm(slots, wrapping).or_else(|error| {
            let held = self.vaults.get(&vault).filter(|held| held.newest().epoch == slots.epoch);
            held.and_then(|held| held.open(wrapping)).ok_or(KeydError::Keys(error))
        })
    }

    /// What the pool should have.
    pub fn slots(&self, vault: &str) -> Result<ToStore, KeydError> {
        let slots = self.held(vault)?.newest().encode();
        Ok(ToStore { slots: Some(slots.into()) })
    }

    /// What the pool has. Answers what it should have in its place.
    pub fn in_pool(&mut self, vault: &str, request: &InPool) -> Result<ToStore, KeydError> {
        let vault = self.known(vault)?;
        let given = parse_slots(request.slots.as_ref(), vault)?;
        let wrapping = match &self.lock {
            Lock::Open(opened) => Some(&opened.wrapping),
            _ => None,
        };
        let held = self.vaults.get_mut(&vault).ok_or_else(|| KeydError::UnknownVault(vault.to_string()))?;
        let slots = held.in_pool(&self.folder, &given, wrapping)?;
        Ok(ToStore { slots: slots.map(|slots| slots.encode().into()) })
    }

    /// A vault that has a record.
    pub(super) fn known(&self, vault: &str) -> Result<VaultId, KeydError> {
        let vault = parse_vault(vault)?;
        self.vaults.contains_key(&vault).then_some(vault).ok_or_else(|| KeydError::UnknownVault(vault.to_string()))
    }

    pub(super) fn held(&self, vault: &str) -> Result<&Held, KeydError> {
        let vault = parse_vault(vault)?;
        self.vaults.get(&vault).ok_or_else(|| KeydError::UnknownVault(vault.to_string()))
    }

    pub(super) fn held_mut(&mut self, vault: &str) -> Result<(VaultId, &mut Held), KeydError> {
        let vault = parse_vault(vault)?;
        let held = self.vaults.get_mut(&vault).ok_or_else(|| KeydError::UnknownVault(vault.to_string()))?;
        Ok((vault, held))
    }
}

/// The same answer again.
fn made_before(held: &Held, request: &NewVault) -> Option<VaultMade> {
    let record = held.record();
    let keyring = record.keyring.as_ref().filter(|_| request.passphrase.is_none() && request.test == record.slots.test_vault)?;
    Some(VaultMade { set: record.slots.kit.set, slots: record.slots.encode().into(), keyring: keyring.0.clone().into() })
}

/// What goes on a paper and into the status is one line.
pub(super) fn check_names(names: &[&str]) -> Result<(), KeydError> {
    let good = |name: &&&str| name.len() <= NAME_MAX && !name.contains(char::is_control);
    if names.iter().all(|name| good(&name)) { Ok(()) } else { Err(KeydError::Malformed("a name is too long, or has line breaks in it")) }
}

fn parse_vault(text: &str) -> Result<VaultId, KeydError> {
    text.parse().map_err(|source| KeydError::Format { what: "vault id", source })
}
