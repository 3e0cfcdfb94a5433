//! The keys of vaults: made, and opened for the engine.

use keepwell_api::keys::{NewVault, VaultMade};
use keepwell_crypt::Secret;
use keepwell_format::VaultId;
use keepwell_format::keys::{Keyring, Slots};
use keepwell_keys::{NewKeys, open_keyring, open_tpm, slot_digest, with_tpm_slot};
use zeroize::Zeroizing;

use super::papers::Pending;
use super::{Keeper, Lock};
use crate::error::KeydError;
use crate::hex::{Digest, Hex};
use crate::state::{KitRecord, PaperRecord, VaultRecord};

/// Longest name of an owner or keeper, bytes.
const NAME_MAX: usize = 200;

impl Keeper {
    /// Keys for a new vault. The first one seals the box.
    pub fn new_vault(&mut self, request: &NewVault) -> Result<VaultMade, KeydError> {
        let vault = parse_vault(&request.vault)?;
        if self.vaults.contains_key(&vault) {
            return Err(KeydError::VaultExists(vault.to_string()));
        }
        check_names(&[&request.owner])?;
        if matches!(self.lock, Lock::New) {
            self.seal_first()?;
            self.ensure_identity();
        }
        let mut entropy = self.entropy()?;
        let opened = self.opened()?;
        let passphrase = request.passphrase.as_ref().map(AsRef::as_ref);
        let new = keepwell_keys::NewVault { test_vault: request.test, passphrase, ..keepwell_keys::NewVault::new(vault) };
        let keys = NewKeys::make(&new, &mut |out| entropy.fill(out)).map_err(KeydError::Keys)?;
        let slots = with_tpm_slot(&keys.slots, &opened.wrapping, &keys.vault_key);
        let record = VaultRecord {
            vault: vault.to_string(),
            owner: request.owner.clone(),
            slots: Hex(slots.encode()),
            kit: new_kit_record(&slots, self.now())?,
            invalid_sets: Vec::new(),
        };
        record.store(&self.folder, vault).map_err(KeydError::State)?;
        self.vaults.insert(vault, record);
        self.pending.insert(vault, Pending::new(keys.kit, None, self.now()));
        Ok(VaultMade { set: slots.kit.set, slots: slots.encode().into(), keyring: keys.keyring.encode().into() })
    }

    /// The opened keyring's body.
    pub fn open(&self, vault: &str, slots: &[u8], keyring: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeydError> {
        let vault = parse_vault(vault)?;
        let slots = parse_slots(slots, vault)?;
        let keyring = Keyring::decode(keyring).map_err(|source| KeydError::Format { what: "keyring", source })?;
        let vault_key = self.vault_key(vault, &slots)?;
        Ok(open_keyring(&slots, &keyring, &vault_key).map_err(KeydError::Keys)?.encode())
    }

    /// The vault key, by the box's own slot: that of the object that was given; else, if a change of the slots never reached the pool, that of
    /// the copy here.
    pub(super) fn vault_key(&self, vault: VaultId, slots: &Slots) -> Result<Secret, KeydError> {
        let opened = self.opened()?;
        open_tpm(slots, &opened.wrapping).or_else(|error| {
            let session = opened.session.get(&vault).cloned();
            let copies = session.into_iter().chain(self.vaults.get(&vault).and_then(|record| Slots::decode(&record.slots.0).ok()));
            let mut same_key = copies.filter(|copy| copy.vault == slots.vault && copy.epoch == slots.epoch);
            same_key.find_map(|copy| open_tpm(&copy, &opened.wrapping).ok()).ok_or(KeydError::Keys(error))
        })
    }
}

/// What goes on a paper and into the status is one line.
pub(super) fn check_names(names: &[&str]) -> Result<(), KeydError> {
    let good = |name: &&&str| name.len() <= NAME_MAX && !name.contains(char::is_control);
    if names.iter().all(|name| good(&name)) { Ok(()) } else { Err(KeydError::Malformed("a name is too long, or has line breaks in it")) }
}

/// Facts of a kit that nobody has on paper yet.
pub(super) fn new_kit_record(slots: &Slots, made_at: i64) -> Result<KitRecord, KeydError> {
    let wrapped = slot_digest(slots).map(Digest).ok_or(KeydError::ForeignSlot)?;
    let papers = std::array::from_fn(|_| PaperRecord::default());
    Ok(KitRecord { set: slots.kit.set, made_at, wrapped, papers })
}

pub(super) fn parse_vault(text: &str) -> Result<VaultId, KeydError> {
    text.parse().map_err(|source| KeydError::Format { what: "vault id", source })
}

/// Slots of this vault.
pub(super) fn parse_slots(bytes: &[u8], vault: VaultId) -> Result<Slots, KeydError> {
    let slots = Slots::decode(bytes).map_err(|source| KeydError::Format { what: "slots object", source })?;
    match slots.vault == vault {
        true => Ok(slots),
        false => Err(KeydError::Malformed("the slots object is of another vault")),
    }
}
