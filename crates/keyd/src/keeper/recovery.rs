//! Two papers open a vault when the box does not: its TPM refuses, its state is damaged, or it is another box.

use keepwell_api::keys::{UnlockByKit, UnlockedByKit};
use keepwell_format::VaultId;
use keepwell_format::keys::Slots;
use keepwell_keys::{open_kit, with_tpm_slot};

use super::papers::parse_paper;
use super::vaults::{new_kit_record, parse_slots};
use super::{Keeper, Lock, Sealing};
use crate::error::KeydError;
use crate::hex::Hex;
use crate::state::{OWN, SEALED, STAND_IN, VaultRecord};

impl Keeper {
    /// Opens the vault, seals a new half to this box, and wraps the vault key for it. Order: the box's halves, the record, the answer; until the
    /// answer is stored in the pool, the papers open as before.
    pub fn unlock_by_kit(&mut self, request: &UnlockByKit) -> Result<UnlockedByKit, KeydError> {
        let [first, second] = &request.papers;
        let (first, second) = (parse_paper(first.as_ref())?, parse_paper(second.as_ref())?);
        let vault = VaultId(first.vault);
        let slots = match (&request.slots, self.vaults.get(&vault)) {
            (Some(bytes), _) => parse_slots(bytes.as_ref(), vault)?,
            (None, Some(record)) => parse_slots(&record.slots.0, vault)?,
            (None, None) => return Err(KeydError::NeedSlots(vault.to_string())),
        };
        let vault_key = open_kit(&slots, &first, &second).map_err(KeydError::Keys)?;
        if self.opened().map_or(true, |opened| opened.not_sealed.is_some()) {
            self.seal_anew(request.passphrase.as_ref().map(AsRef::as_ref))?;
        }
        let opened = self.opened()?;
        let not_sealed = opened.not_sealed.clone();
        let wrapped = with_tpm_slot(&slots, &opened.wrapping, &vault_key);
        let slots = match &not_sealed {
            // What nobody will be able to open after the next start has no place in the pool; the slot there may open again.
            Some(_) => self.for_this_session(vault, slots, wrapped),
            None => wrapped,
        };
        self.record_recovered(vault, &slots, [first.share.index(), second.share.index()])?;
        self.ensure_identity();
        Ok(UnlockedByKit { vault: vault.to_string(), slots: slots.encode().into(), not_sealed })
    }

    /// New halves, open from now on, sealed if that can be.
    fn seal_anew(&mut self, passphrase: Option<&[u8]>) -> Result<(), KeydError> {
        if self.own.is_none() {
            self.put_aside(OWN)?;
            self.make_own()?;
        }
        let secret = self.new_secret()?;
        let sealed = match (&self.tpm, passphrase) {
            (Some(_), _) => self.put_broken_aside().and_then(|()| self.seal_to_tpm(&secret)),
            (None, Some(passphrase)) => self.put_broken_aside().and_then(|()| self.seal_by_passphrase(&secret, passphrase)),
            (None, None) => Err(KeydError::NoStandIn),
        };
        let not_sealed = match sealed {
            Ok(()) => None,
            Err(error @ KeydError::Short) => return Err(error),
            Err(error) => Some(error.notice()),
        };
        self.open_with(secret, not_sealed)
    }

    fn put_broken_aside(&mut self) -> Result<(), KeydError> {
        if matches!(self.sealing, Sealing::Broken) {
            self.put_aside(SEALED)?;
            self.put_aside(STAND_IN)?;
        }
        Ok(())
    }

    fn put_aside(&self, name: &str) -> Result<(), KeydError> {
        self.folder.set_aside(name).map_err(KeydError::State)
    }

    fn for_this_session(&mut self, vault: VaultId, slots: Slots, wrapped: Slots) -> Slots {
        if let Lock::Open(opened) = &mut self.lock {
            opened.session.insert(vault, wrapped);
        }
        slots
    }

    /// The two papers were seen; of a vault that is new here, no more is known.
    fn record_recovered(&mut self, vault: VaultId, slots: &Slots, seen: [u8; 2]) -> Result<(), KeydError> {
        let now = self.now();
        let new = || {
            Ok(VaultRecord {
                vault: vault.to_string(),
                owner: String::new(),
                slots: Hex(Vec::new()),
                kit: new_kit_record(slots, now)?,
                invalid_sets: Vec::new(),
            })
        };
        let mut record = self.vaults.get(&vault).cloned().map_or_else(new, Ok)?;
        // The kit opened this slot just now, whoever wrapped it.
        let kit = new_kit_record(slots, record.kit.made_at)?;
        if record.kit.set != kit.set {
            record.invalid_sets.push(record.kit.set);
            record.kit.papers = kit.papers;
        }
        (record.kit.set, record.kit.wrapped) = (kit.set, kit.wrapped);
        for paper in seen {
            let paper = &mut record.kit.papers[usize::from(paper - 1)];
            (paper.confirmed_at, paper.rehearsed_at) = (paper.confirmed_at.or(Some(now)), Some(now));
        }
        record.slots = Hex(slots.encode());
        record.store(&self.folder, vault).map_err(KeydError::State)?;
        self.vaults.insert(vault, record);
        Ok(())
    }
}
