//! The sealed half: opened at start, made at first use, sealed again.
//!
//! Order: the new blob is tried, then stored, then used. A crash leaves the old blobs or the new ones.

use keepwell_api::keys::{Notice, SealAgain, Sealed};
use keepwell_crypt::{CryptError, Secret};
use keepwell_keys::Wrapping;

use super::{BTreeMap, Keeper, Lock, Opened, Sealing, missing, notice};
use crate::error::KeydError;
use crate::hex::{Digest, Hex};
use crate::policy::{Authority, SecurityEpoch};
use crate::state::{SEALED, STAND_IN, SealedState, StandIn, StateError};
use crate::tpm::{SealedBlob, Terms, Tpm, TpmError, TpmNames};

/// Fewest bytes of a passphrase that stands in for a TPM.
const PASSPHRASE_MIN: usize = 12;

impl Keeper {
    /// Seals what is open to the TPM as it is now.
    pub fn seal_again(&mut self, request: &SealAgain) -> Result<Sealed, KeydError> {
        let planned = request.pcr7.as_deref().map(str::parse::<Digest>).transpose();
        let planned = planned.map_err(|_| KeydError::Malformed("pcr7 has to be 64 hexadecimal digits"))?;
        let epoch = match (request.epoch, self.sealed_epoch()) {
            (Some(asked), Some(now)) if asked < now.0 => return Err(KeydError::Downgrade(now.0)),
            (Some(asked), _) => SecurityEpoch(asked),
            (None, now) => now.or_else(|| self.newest_epoch()).ok_or(KeydError::Tpm(TpmError::NoPolicies))?,
        };
        let secret = Secret::from_bytes(*self.opened()?.secret.expose());
        let known = match &self.sealing {
            Sealing::Tpm(state) => state.blobs.first().map(|blob| blob.tpm.clone()),
            _ => None,
        };
        let mut blobs = vec![self.seal_for_now(&secret, epoch, known)?];
        if let Some(pcr7) = planned.filter(|pcr7| *pcr7 != blobs[0].pcr7) {
            let (tpm, authority) = self.sealer()?;
            let terms = Terms { authority, epoch, pcr7: Some(pcr7), tpm: Some(blobs[0].tpm.clone()) };
            blobs.push(tpm.seal(&secret, terms).map_err(KeydError::Tpm)?);
        }
        self.keep_session()?;
        self.store_sealed(blobs)?;
        self.status().sealed.ok_or(KeydError::Nothing)
    }

    /// What was wrapped for this session only is good for longer, as its secret is about to be sealed. The pool does not have it, so the copy here
    /// counts; should the power fail before the secret is sealed, the pool's counts as before.
    fn keep_session(&mut self) -> Result<(), KeydError> {
        let Lock::Open(opened) = &mut self.lock else { return Ok(()) };
        for (vault, slots) in std::mem::take(&mut opened.session) {
            if let Some(record) = self.vaults.get_mut(&vault) {
                record.slots = Hex(slots.encode());
                record.store(&self.folder, vault).map_err(KeydError::State)?;
            }
        }
        Ok(())
    }

    /// The passphrase of the stand-in. On a box that has neither TPM nor keys it becomes the stand-in's.
    pub fn unlock(&mut self, passphrase: &[u8]) -> Result<(), KeydError> {
        if matches!(self.lock, Lock::Open(_)) {
            return Ok(());
        }
        match &self.sealing {
            Sealing::StandIn(stand_in) => {
                let own = self.own.as_ref().ok_or_else(|| self.locked())?;
                let secret = stand_in.open(passphrase, &own.box_id()).map_err(|error| match error {
                    CryptError::WrongKey => KeydError::WrongPassphrase,
                    other => KeydError::Crypt(other),
                })?;
                self.open_with(secret, None)?;
            }
            Sealing::Nothing if self.tpm.is_none() && matches!(self.lock, Lock::New) => {
                let secret = self.new_secret()?;
                self.seal_by_passphrase(&secret, passphrase)?;
                self.open_with(secret, None)?;
            }
            _ => return Err(KeydError::NotAPassphrase),
        }
        self.ensure_identity();
        Ok(())
    }

    pub(super) fn load_sealing(&mut self) -> Result<(), KeydError> {
        let broken = |keeper: &mut Self, error: StateError| match error {
            StateError::Damaged { .. } | StateError::Newer(_) => {
                keeper.lock = Lock::Locked(notice(error.code(), &error));
                keeper.sealing = Sealing::Broken;
                Ok(())
            }
            other => Err(KeydError::State(other)),
        };
        match self.folder.read::<SealedState>(SEALED) {
            Ok(Some(state)) if !state.blobs.is_empty() => self.sealing = Sealing::Tpm(state),
            Ok(Some(_)) => return broken(self, StateError::Damaged { path: self.folder.path().join(SEALED), source: None }),
            Ok(None) => match self.folder.read::<StandIn>(STAND_IN) {
                Ok(Some(stand_in)) => self.sealing = Sealing::StandIn(stand_in),
                Ok(None) if self.vaults.is_empty() => {}
                Ok(None) => {
                    self.lock = Lock::Locked(missing(&self.folder, SEALED));
                    self.sealing = Sealing::Broken;
                }
                Err(error) => return broken(self, error),
            },
            Err(error) => return broken(self, error),
        }
        Ok(())
    }

    /// What the start comes to, with nobody there to ask.
    pub(super) fn open_by_itself(&self) -> Lock {
        let state = match &self.sealing {
            Sealing::Nothing => return Lock::New,
            Sealing::Tpm(state) => state,
            Sealing::Broken => return Lock::Locked(missing(&self.folder, SEALED)),
            Sealing::StandIn(_) => return Lock::Locked(notice("passphrase", &"the box waits for the passphrase that stands in for a TPM")),
        };
        let Some(tpm) = &self.tpm else {
            return Lock::Locked(notice(
                "no-tpm",
                &"the keys are sealed by a TPM, and keyd was told to use none: two papers of the recovery kit open the vault",
            ));
        };
        match tpm.unseal(&state.blobs, &self.images.policies, self.images.authority) {
            Ok(secret) => self.opened_by(secret).map_or_else(|error| Lock::Locked(error.notice()), Lock::Open),
            Err(error) => Lock::Locked(self.why(error)),
        }
    }

    /// The sealed half of a box that has none yet.
    pub(super) fn seal_first(&mut self) -> Result<(), KeydError> {
        if self.tpm.is_none() {
            return Err(KeydError::NoStandIn);
        }
        let secret = self.new_secret()?;
        self.seal_to_tpm(&secret)?;
        self.open_with(secret, None)
    }

    /// Seals a secret to the TPM as it is now, and keeps no other blob.
    pub(super) fn seal_to_tpm(&mut self, secret: &Secret) -> Result<(), KeydError> {
        let epoch = self.newest_epoch().ok_or_else(|| self.no_policies())?;
        let blob = self.seal_for_now(secret, epoch, None)?;
        self.store_sealed(vec![blob])
    }

    pub(super) fn seal_by_passphrase(&mut self, secret: &Secret, passphrase: &[u8]) -> Result<(), KeydError> {
        if passphrase.len() < PASSPHRASE_MIN {
            return Err(KeydError::Short);
        }
        let own = self.own.as_ref().ok_or_else(|| self.locked())?;
        let mut entropy = self.entropy()?;
        let stand_in = StandIn::seal(secret, passphrase, &own.box_id(), &mut |out| entropy.fill(out)).map_err(KeydError::Crypt)?;
        self.folder.write(STAND_IN, &stand_in).map_err(KeydError::State)?;
        self.folder.remove(SEALED).map_err(KeydError::State)?;
        self.sealing = Sealing::StandIn(stand_in);
        Ok(())
    }

    /// Opens, from now on; with the reason if the secret could not be sealed.
    pub(super) fn open_with(&mut self, secret: Secret, not_sealed: Option<Notice>) -> Result<(), KeydError> {
        self.lock = Lock::Open(Opened { not_sealed, ..self.opened_by(secret)? });
        Ok(())
    }

    pub(super) fn new_secret(&self) -> Result<Secret, KeydError> {
        let mut entropy = self.entropy()?;
        Ok(Secret::random(&mut |out| entropy.fill(out)))
    }

    fn opened_by(&self, secret: Secret) -> Result<Opened, KeydError> {
        let own = self.own.as_ref().ok_or_else(|| self.locked())?;
        let wrapping = Wrapping::new(own.box_id(), &secret, &own.secret());
        Ok(Opened { secret, wrapping, not_sealed: None, session: BTreeMap::new() })
    }

    /// A blob for PCR 7 as it is, which was seen to open: one that does not would show at the next start only. When the start has gone on since keyd
    /// began, nothing opens any more before the next one; then it has to do that this image was approved as keyd began.
    fn seal_for_now(&self, secret: &Secret, epoch: SecurityEpoch, known: Option<TpmNames>) -> Result<SealedBlob, KeydError> {
        let (tpm, authority) = self.sealer()?;
        let blob = tpm.seal(secret, Terms { authority, epoch, pcr7: None, tpm: known }).map_err(KeydError::Tpm)?;
        match tpm.unseal(std::slice::from_ref(&blob), &self.images.policies, Some(authority)) {
            Ok(tried) if tried.expose() == secret.expose() => Ok(blob),
            Ok(_) => Err(KeydError::Tpm(TpmError::Lacks("memory for what it seals"))),
            Err(TpmError::WrongImage) if self.was_approved(epoch) => Ok(blob),
            Err(error) => Err(KeydError::Tpm(error)),
        }
    }

    fn was_approved(&self, epoch: SecurityEpoch) -> bool {
        let mut policies = self.images.policies.iter().filter(|policies| policies.epoch == epoch);
        self.image_at_start.is_some_and(|pcr11| policies.any(|policies| policies.approving(&pcr11).is_some()))
    }

    fn store_sealed(&mut self, blobs: Vec<SealedBlob>) -> Result<(), KeydError> {
        let state = SealedState { blobs };
        self.folder.write(SEALED, &state).map_err(KeydError::State)?;
        self.folder.remove(STAND_IN).map_err(KeydError::State)?;
        self.sealing = Sealing::Tpm(state);
        if let Lock::Open(opened) = &mut self.lock {
            opened.not_sealed = None;
        }
        Ok(())
    }

    fn sealer(&self) -> Result<(&Tpm, Authority), KeydError> {
        let tpm = self.tpm.as_ref().ok_or(KeydError::NoStandIn)?;
        Ok((tpm, self.images.authority.ok_or(KeydError::NoAuthority)?))
    }

    fn sealed_epoch(&self) -> Option<SecurityEpoch> {
        match &self.sealing {
            Sealing::Tpm(state) => state.blobs.iter().map(|blob| blob.epoch).max(),
            _ => None,
        }
    }

    fn newest_epoch(&self) -> Option<SecurityEpoch> {
        self.images.policies.iter().map(|policies| policies.epoch).max()
    }

    /// A refusal for want of policies is really about why those there are were not taken.
    fn why(&self, error: TpmError) -> Notice {
        match (error, self.images.complaints.first()) {
            (TpmError::NoPolicies, Some(complaint)) => notice(complaint.code(), complaint),
            (error, _) => notice(error.code(), &error),
        }
    }

    fn no_policies(&self) -> KeydError {
        KeydError::Image(self.why(TpmError::NoPolicies))
    }

    pub(super) fn locked(&self) -> KeydError {
        match &self.lock {
            Lock::Locked(why) => KeydError::Locked(why.clone()),
            _ => KeydError::Nothing,
        }
    }
}
