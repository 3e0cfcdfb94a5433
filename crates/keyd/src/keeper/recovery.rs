//! Two papers open a vault when the box does not: its TPM refuses, its state is damaged, or it is another box.
//!
//! Order: what can be refused is refused first; then the box's slot in the record, the new secret sealed, that slot into the slots, the answer. A
//! crash at any step leaves what opened before, or what opens now. Until the answer is stored in the pool, the papers open as before.

use keepwell_api::keys::{UnlockByKit, UnlockedByKit};
use keepwell_crypt::Secret;
use keepwell_format::VaultId;
use keepwell_format::keys::{Keyring, Slots};
use keepwell_keys::{open_keyring, open_kit};

use super::held::{
    Held, acknowledge, follow, is_ours, kit_mut, make_valid, new_kit_record, new_record, newest, parse_slots, put_own, rank,
};
use super::papers::parse_paper;
use super::sealing::PASSPHRASE_MIN;
use super::{Keeper, Lock, notice};
use crate::error::KeydError;
use crate::hex::Hex;
use crate::state::{OWN, StateError, VaultRecord};

impl Keeper {
    /// Opens the vault, seals a new half to this box if it is not open, and wraps the vault key for it.
    pub fn unlock_by_kit(&mut self, request: &UnlockByKit) -> Result<UnlockedByKit, KeydError> {
        let [first, second] = &request.papers;
        let (first, second) = (parse_paper(first.as_ref())?, parse_paper(second.as_ref())?);
        let passphrase = self.passphrase_for_recovery(request)?;
        if let Some(newer) = &self.newer_state {
            return Err(KeydError::State(StateError::Newer(newer.clone())));
        }
        let vault = VaultId(first.vault);
        let given = request.slots.as_ref().map(|given| parse_slots(given.as_ref(), vault)).transpose()?;
        let waiting = self.waiting.as_ref().filter(|waiting| waiting.slots.vault == vault);
        let given = given.or_else(|| waiting.map(|waiting| waiting.slots.clone()));
        let keyring = request.keyring.as_ref().map(|keyring| Keyring::decode(keyring.as_ref())).transpose();
        let keyring = keyring.map_err(|source| KeydError::Format { what: "keyring", source })?;
        let keyring = keyring.or_else(|| waiting.map(|waiting| waiting.keyring.clone()));
        let slots = self.slots_for(vault, given, first.set)?;
        let vault_key = open_kit(&slots, &first, &second).map_err(KeydError::Keys)?;
        if let Some(keyring) = &keyring {
            open_keyring(&slots, keyring, &vault_key).map_err(KeydError::Keys)?;
        }
        let record = self.recovered(&slots, [first.share.index(), second.share.index()])?;
        self.wrap(record, &vault_key)?;
        (self.waiting, self.by_papers) = (None, true);
        if let Lock::Open(opened) = &self.lock
            && opened.not_sealed.is_some()
        {
            self.seal_opened(passphrase)?;
        }
        let not_sealed = self.opened()?.not_sealed.clone();
        if not_sealed.is_none() {
            self.settle()?;
            self.replace_lost_identity();
        }
        self.make_identity_if_none();
        let slots = self.vaults.get(&vault).map_or(slots, |held| held.newest().clone());
        Ok(UnlockedByKit { vault: vault.to_string(), slots: slots.encode().into(), not_sealed })
    }

    /// Given where it would be of use, and long enough; before anything is changed.
    fn passphrase_for_recovery<'a>(&self, request: &'a UnlockByKit) -> Result<Option<&'a [u8]>, KeydError> {
        let Some(passphrase) = request.passphrase.as_ref().map(AsRef::<[u8]>::as_ref) else { return Ok(None) };
        if self.tpm.is_some() || self.opened().is_ok_and(|opened| opened.not_sealed.is_none()) {
            return Err(KeydError::NoUseForPassphrase);
        }
        if passphrase.len() < PASSPHRASE_MIN { Err(KeydError::Short) } else { Ok(Some(passphrase)) }
    }

    /// The newest slots that the papers belong to: those of the pool, unless they are from before what it is known to have, or those here.
    fn slots_for(&self, vault: VaultId, given: Option<Slots>, set: u16) -> Result<Slots, KeydError> {
        let record = self.vaults.get(&vault).map(Held::record);
        let given = given.filter(|given| record.is_none_or(|record| rank(given) >= rank(&record.slots)));
        if let (Some(record), Some(given)) = (record, &given)
            && given.kit.set == set
            && (given.verify_key != record.slots.verify_key || given.epoch == record.slots.epoch && is_ours(record, given) == Some(false))
        {
            return Err(KeydError::ForeignSlot);
        }
        let ours = record.into_iter().flat_map(|record| [newest(record).clone(), record.slots.clone()]);
        let mut known: Vec<Slots> = given.into_iter().chain(ours).collect();
        known.sort_by_key(|slots| std::cmp::Reverse(rank(slots)));
        let fitting = known.iter().position(|slots| slots.kit.set == set).unwrap_or(0);
        if known.is_empty() { Err(KeydError::NeedSlots(vault.to_string())) } else { Ok(known.swap_remove(fitting)) }
    }

    /// The record after two papers opened these slots. Of a vault that is new here, no more is known.
    fn recovered(&self, slots: &Slots, seen: [u8; 2]) -> Result<VaultRecord, KeydError> {
        let now = self.now();
        let mut record = match self.vaults.get(&slots.vault) {
            Some(held) => held.record().clone(),
            None => new_record(slots, String::new(), now)?,
        };
        if slots.epoch == record.slots.epoch && is_ours(&record, slots).is_some() {
            acknowledge(&mut record, slots);
            follow(&mut record, slots, None)?;
        } else {
            // The vault was changed elsewhere. A kit that was on its way to this pool never gets there.
            if let Some(kit) = record.newer.take().and_then(|newer| newer.kit) {
                record.invalid_sets.push(kit.set);
            }
            let mut kit = new_kit_record(slots, now)?;
            if kit.set == record.kit.set {
                (kit.made_at, kit.papers) = (record.kit.made_at, record.kit.papers.clone());
            }
            make_valid(&mut record, kit);
            record.slots = slots.clone();
        }
        // Who was somewhere else with its papers and its pool is not at their beginning.
        (record.keyring, record.first_kit) = (None, false);
        record.last_set = record.last_set.max(Some(slots.kit.set));
        if let Some(kit) = kit_mut(&mut record, slots.kit.set) {
            for paper in seen {
                let paper = &mut kit.papers[usize::from(paper - 1)];
                (paper.confirmed_at, paper.rehearsed_at, paper.failed_at) = (paper.confirmed_at.or(Some(now)), Some(now), None);
            }
        }
        Ok(record)
    }

    /// The vault key wrapped for this box, in the record; open from now on, with new halves where there were none in memory.
    fn wrap(&mut self, mut record: VaultRecord, vault_key: &Secret) -> Result<(), KeydError> {
        let fresh = match &self.lock {
            Lock::Open(_) => None,
            _ => Some(self.new_halves()?),
        };
        let wrapping = fresh.as_ref().map_or_else(|| self.opened().map(|opened| &opened.wrapping), |fresh| Ok(&fresh.wrapping))?;
        let slot = wrapping.slot(newest(&record), vault_key);
        // Before anything is sealed: that it will go into the slots.
        put_own(&mut record.clone(), &slot)?;
        record.unsealed = Some(Hex(slot.payload));
        let vault = record.slots.vault;
        match self.vaults.get_mut(&vault) {
            Some(held) => held.replace(&self.folder, record)?,
            None => {
                record.store(&self.folder).map_err(KeydError::State)?;
                self.vaults.insert(vault, Held::of(record));
            }
        }
        if let Some(fresh) = fresh {
            self.lock = Lock::Open(fresh);
        }
        Ok(())
    }

    fn new_halves(&mut self) -> Result<super::Opened, KeydError> {
        if self.own.is_none() {
            self.folder.set_aside(OWN).map_err(KeydError::State)?;
            self.make_own()?;
        }
        if let Some(tpm) = &self.tpm {
            // Who has two papers takes the TPM that is there.
            tpm.expect(None);
        }
        let unsealed = notice("not-sealed", &"they were not sealed yet");
        Ok(super::Opened { not_sealed: Some(unsealed), ..self.opened_by(self.new_secret()?)? })
    }
}
