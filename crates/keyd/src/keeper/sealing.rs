//! The sealed half: opened at start, made at first use, sealed again.
//!
//! Order: the new blob is tried, then stored, then used. A crash leaves the old blobs or the new ones. A secret that another vault of the box still
//! hangs on stays sealed beside the new one.

use keepwell_api::keys::{Notice, SealAgain, Sealed};
use keepwell_crypt::{CryptError, Secret};
use keepwell_keys::Wrapping;

use super::{Keeper, Lock, Opened, Sealing, missing, notice};
use crate::error::KeydError;
use crate::hex::Digest;
use crate::policy::{Authority, SecurityEpoch};
use crate::state::{SEALED, STAND_IN, SealedState, StandIn, StateError};
use crate::tpm::{SealedBlob, Terms, Tpm, TpmError, TpmNames};

/// Fewest bytes of a passphrase that stands in for a TPM.
pub(super) const PASSPHRASE_MIN: usize = 12;
/// Earlier secrets that are kept sealed.
const FORMER_MAX: usize = 8;

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
        // Another epoch changes nothing about what was planned of PCR 7.
        let planned = match (planned, &self.sealing) {
            (None, Sealing::Tpm(state)) if request.epoch.is_some() => state.blobs.iter().map(|blob| blob.pcr7).collect(),
            (planned, _) => Vec::from_iter(planned),
        };
        for pcr7 in planned.into_iter().filter(|pcr7| *pcr7 != blobs[0].pcr7).collect::<Vec<_>>() {
            let (tpm, authority) = self.sealer()?;
            let terms = Terms { authority, epoch, pcr7: Some(pcr7), tpm: Some(blobs[0].tpm.clone()) };
            blobs.push(tpm.seal(&secret, terms).map_err(KeydError::Tpm)?);
        }
        let first_time = self.opened()?.not_sealed.is_some();
        self.store_sealed(blobs)?;
        self.settle()?;
        if first_time {
            self.replace_lost_identity();
        }
        self.status().sealed.ok_or(KeydError::Nothing)
    }

    /// What was wrapped for the secret that is sealed by now goes into the slots of each vault, whatever becomes of the others; and what no vault hangs
    /// on any more is forgotten. What fails is done again at the next start.
    pub(super) fn settle(&mut self) -> Result<(), KeydError> {
        let Lock::Open(opened) = &self.lock else { return Ok(()) };
        let settled: Vec<_> = self.vaults.values_mut().map(|held| held.settle(&self.folder, &opened.wrapping)).collect();
        settled.into_iter().collect::<Result<(), _>>()?;
        let needed = self.others_need_another();
        match &mut self.sealing {
            Sealing::Tpm(state) if !needed && !state.former.is_empty() => {
                let state = SealedState { blobs: state.blobs.clone(), former: Vec::new() };
                self.folder.write(SEALED, &state).map_err(KeydError::State)?;
                self.sealing = Sealing::Tpm(state);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether there is a vault that the secret in memory does not open.
    fn others_need_another(&self) -> bool {
        let closed = |opened: &Opened| self.vaults.values().any(|held| held.open(&opened.wrapping).is_none());
        self.unread_vaults || self.opened().is_ok_and(closed)
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
                self.open_with(secret)?;
            }
            Sealing::Nothing if self.tpm.is_none() && matches!(self.lock, Lock::New) => {
                let secret = self.new_secret()?;
                self.seal_by_passphrase(&secret, passphrase)?;
                self.open_with(secret)?;
            }
            _ => return Err(KeydError::NotAPassphrase),
        }
        self.settle()?;
        self.make_identity_if_none();
        Ok(())
    }

    pub(super) fn load_sealing(&mut self) {
        let found = self.folder.read::<SealedState>(SEALED).and_then(|state| match state {
            Some(state) if state.blobs.is_empty() => Err(StateError::Damaged { path: self.folder.path().join(SEALED), source: None }),
            Some(state) => Ok(Sealing::Tpm(state)),
            None => Ok(self.folder.read::<StandIn>(STAND_IN)?.map_or(Sealing::Nothing, Sealing::StandIn)),
        });
        match found {
            Ok(Sealing::Nothing) if !self.vaults.is_empty() || self.unread_vaults => {
                self.lock = Lock::Locked(missing(&self.folder, SEALED));
                self.sealing = Sealing::Broken;
            }
            Ok(sealing) => {
                self.sealing = sealing;
                self.expect_tpm();
            }
            Err(error) => {
                self.lock = Lock::Locked(self.told(error));
                self.sealing = Sealing::Broken;
            }
        }
    }

    /// What the start comes to, with nobody there to ask.
    pub(super) fn open_by_itself(&mut self) -> Lock {
        let state = match &self.sealing {
            Sealing::Nothing => return Lock::New,
            Sealing::Tpm(state) => state.clone(),
            Sealing::Broken => return Lock::Locked(missing(&self.folder, SEALED)),
            Sealing::StandIn(_) => return Lock::Locked(notice("passphrase", &"the box waits for the passphrase that stands in for a TPM")),
        };
        let Some(tpm) = &self.tpm else {
            return Lock::Locked(notice(
                "no-tpm",
                &"the keys are sealed by a TPM, and keyd was told to use none: two papers of the recovery kit open the vault",
            ));
        };
        let unseal = |blobs: &Vec<SealedBlob>| tpm.unseal(blobs, &self.images.policies, self.images.authority);
        let first = unseal(&state.blobs);
        // Sealed before papers opened the box, and good again, as when Secure Boot was put back.
        let earlier = || state.former.iter().enumerate().find_map(|(at, blobs)| Some((at, unseal(blobs).ok()?)));
        match first.map(|secret| (None, secret)).or_else(|error| earlier().map(|(at, secret)| (Some(at), secret)).ok_or(error)) {
            Ok((at, secret)) => {
                if let (Some(at), Sealing::Tpm(state)) = (at, &mut self.sealing) {
                    std::mem::swap(&mut state.blobs, &mut state.former[at]);
                    self.expect_tpm();
                }
                self.opened_by(secret).map_or_else(|error| Lock::Locked(error.notice()), Lock::Open)
            }
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
        self.open_with(secret)
    }

    /// Seals what papers have opened, if that can be; if not, it stays open, and says why. A state that can't be written is a failure all the same.
    pub(super) fn seal_opened(&mut self, passphrase: Option<&[u8]>) -> Result<(), KeydError> {
        let Lock::Open(opened) = &self.lock else { return Ok(()) };
        let secret = Secret::from_bytes(*opened.secret.expose());
        let sealed = match (&self.tpm, passphrase) {
            (Some(_), _) => self.seal_to_tpm(&secret),
            (None, Some(passphrase)) => self.seal_by_passphrase(&secret, passphrase),
            (None, None) => Err(KeydError::NoStandIn),
        };
        if let Lock::Open(opened) = &mut self.lock {
            opened.not_sealed = sealed.as_ref().err().map(KeydError::notice);
        }
        match sealed {
            Err(error @ KeydError::State(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Seals a secret to the TPM as it is now.
    fn seal_to_tpm(&mut self, secret: &Secret) -> Result<(), KeydError> {
        let epoch = self.newest_epoch().ok_or_else(|| self.no_policies())?;
        let blob = self.seal_for_now(secret, epoch, None)?;
        self.store_sealed(vec![blob])
    }

    fn seal_by_passphrase(&mut self, secret: &Secret, passphrase: &[u8]) -> Result<(), KeydError> {
        self.has_state()?;
        if passphrase.len() < PASSPHRASE_MIN {
            return Err(KeydError::Short);
        }
        let own = self.own.as_ref().ok_or_else(|| self.locked())?;
        let mut entropy = self.entropy()?;
        let stand_in = StandIn::seal(secret, passphrase, &own.box_id(), &mut |out| entropy.fill(out)).map_err(KeydError::Crypt)?;
        self.make_room(true)?;
        self.folder.write(STAND_IN, &stand_in).map_err(KeydError::State)?;
        self.folder.remove(SEALED).map_err(KeydError::State)?;
        self.sealing = Sealing::StandIn(stand_in);
        Ok(())
    }

    /// What can't be read, or is still needed, is not overwritten. The blobs of a TPM stay in the new file, unless that is no TPM's.
    fn make_room(&self, for_stand_in: bool) -> Result<(), KeydError> {
        if matches!(self.sealing, Sealing::Broken) {
            [SEALED, STAND_IN].into_iter().try_for_each(|name| self.folder.set_aside(name)).map_err(KeydError::State)?;
        } else if self.replaces_needed() {
            let kept: &[&str] = if for_stand_in { &[SEALED, STAND_IN] } else { &[STAND_IN] };
            kept.iter().try_for_each(|name| self.folder.keep(name)).map_err(KeydError::State)?;
        }
        Ok(())
    }

    /// Whether what is about to be sealed is another secret than before, and there is a vault that hangs on that one.
    fn replaces_needed(&self) -> bool {
        self.opened().is_ok_and(|opened| opened.not_sealed.is_some()) && self.others_need_another()
    }

    /// Opens, from now on.
    fn open_with(&mut self, secret: Secret) -> Result<(), KeydError> {
        self.lock = Lock::Open(self.opened_by(secret)?);
        Ok(())
    }

    pub(super) fn new_secret(&self) -> Result<Secret, KeydError> {
        let mut entropy = self.entropy()?;
        Ok(Secret::random(&mut |out| entropy.fill(out)))
    }

    pub(super) fn opened_by(&self, secret: Secret) -> Result<Opened, KeydError> {
        let own = self.own.as_ref().ok_or_else(|| self.locked())?;
        let wrapping = Wrapping::new(own.box_id(), &secret, &own.secret());
        Ok(Opened { secret, wrapping, not_sealed: None })
    }

    /// A blob for PCR 7 as it is, which was seen to open: one that does not would show at the next start only. When the start has gone on since keyd
    /// began, nothing opens any more before the next one; then it has to do that this image was approved as keyd began.
    fn seal_for_now(&self, secret: &Secret, epoch: SecurityEpoch, known: Option<TpmNames>) -> Result<SealedBlob, KeydError> {
        self.has_state()?;
        let (tpm, authority) = self.sealer()?;
        let blob = tpm.seal(secret, Terms { authority, epoch, pcr7: None, tpm: known }).map_err(KeydError::Tpm)?;
        match tpm.unseal(std::slice::from_ref(&blob), &self.images.policies, Some(authority)) {
            Ok(tried) if tried.expose() == secret.expose() => Ok(blob),
            Ok(_) => Err(KeydError::Tpm(TpmError::Lacks("a memory that keeps what it seals"))),
            Err(TpmError::WrongImage) if self.was_approved(epoch) => Ok(blob),
            Err(error) => Err(KeydError::Tpm(error)),
        }
    }

    /// Whoever believes that something is sealed does not put right why it was not.
    fn has_state(&self) -> Result<(), KeydError> {
        self.state_locked.map_or(Ok(()), |why| Err(KeydError::StateLocked(why.happened())))
    }

    fn was_approved(&self, epoch: SecurityEpoch) -> bool {
        let mut policies = self.images.policies.iter().filter(|policies| policies.epoch == epoch);
        self.image_at_start.is_some_and(|pcr11| policies.any(|policies| policies.approving(&pcr11).is_some()))
    }

    fn store_sealed(&mut self, blobs: Vec<SealedBlob>) -> Result<(), KeydError> {
        let former = match &self.sealing {
            Sealing::Tpm(old) if self.replaces_needed() => {
                std::iter::once(&old.blobs).chain(&old.former).take(FORMER_MAX).cloned().collect()
            }
            Sealing::Tpm(old) if self.opened().is_ok_and(|opened| opened.not_sealed.is_none()) => old.former.clone(),
            _ => Vec::new(),
        };
        self.make_room(false)?;
        let state = SealedState { blobs, former };
        self.folder.write(SEALED, &state).map_err(KeydError::State)?;
        self.folder.remove(STAND_IN).map_err(KeydError::State)?;
        self.sealing = Sealing::Tpm(state);
        self.expect_tpm();
        if let Lock::Open(opened) = &mut self.lock {
            opened.not_sealed = None;
        }
        Ok(())
    }

    /// The TPM that has the keys, and no other, from now on.
    fn expect_tpm(&self) {
        if let (Some(tpm), Sealing::Tpm(state)) = (&self.tpm, &self.sealing) {
            tpm.expect(state.blobs.first().map(|blob| blob.tpm.clone()));
        }
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
