//! The box's signing key, and the few things it puts its name to.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use keepwell_api::disks::Erasure;
use keepwell_api::keys::{Identity, Sign, Signed};
use keepwell_crypt::Sealer;
use zeroize::Zeroizing;

use super::{Keeper, notice};
use crate::error::KeydError;
use crate::hex::{Digest, Hex};
use crate::state::{IDENTITY, IdentityRecord, IdentityState, StateError};
use crate::tpm::TpmError;

const PURPOSE: &str = "identity";
const ERASURE: &str = "keepwell erasure v1";
const ERASURE_MAX: usize = 16 << 10;
/// A disk's label without its signature, its first bytes, and where the key is in it (`docs/disks.md`).
const LABEL_LEN: usize = 384;
const LABEL_MAGIC: &[u8] = b"keepwell disk 1\0";
const LOST_MAX: usize = 16;
const LABEL_KEY: std::ops::Range<usize> = 64..129;

impl Keeper {
    /// Who the box is.
    pub fn identity(&self) -> Result<Identity, KeydError> {
        let identity = self.identity.as_ref().ok_or(KeydError::NoIdentity)?;
        let former = identity.former.iter().map(ToString::to_string).collect();
        Ok(Identity { public_key: identity.current.point().to_string(), former })
    }

    /// Signs what is what it says.
    pub fn sign(&self, request: &Sign) -> Result<Signed, KeydError> {
        let identity = &self.identity.as_ref().ok_or(KeydError::NoIdentity)?.current;
        let statement = checked(request, identity.point())?;
        let signature = self.sign_with(identity, statement)?;
        Ok(Signed { public_key: identity.point().to_string(), signature: Hex(signature).to_string() })
    }

    /// Reads it. One that is damaged makes way for a new one; one that may be read again does not.
    pub(super) fn load_identity(&mut self) -> Result<(), KeydError> {
        match self.folder.read(IDENTITY) {
            Ok(identity) => self.identity = identity,
            Err(error) => {
                self.warnings.push(notice(error.code(), &error));
                match error {
                    StateError::Damaged { .. } => self.folder.set_aside(IDENTITY).map_err(KeydError::State)?,
                    _ => self.identity_stays = true,
                }
            }
        }
        Ok(())
    }

    /// The first key, if one can be made now.
    pub(super) fn make_identity_if_none(&mut self) {
        if self.identity.is_none() && !self.identity_stays {
            self.store_identity(None);
        }
    }

    /// Notes whether the key is one of another TPM, or of halves that are gone: it may come back with them.
    pub(super) fn look_at_identity(&mut self) {
        self.identity_lost = self.identity.as_ref().is_some_and(|identity| self.is_lost(&identity.current));
    }

    /// After papers have made the box anew: one of its keys that signs again, or a new one, in the place of one that can't sign any more. The old
    /// ones stay known, as what they signed stays the box's own.
    pub(super) fn replace_lost_identity(&mut self) {
        self.look_at_identity();
        if self.identity_lost {
            tracing::warn!("the box's signing key can't be used any more; it gets another one");
            self.store_identity(self.identity.clone());
            self.look_at_identity();
        }
    }

    fn is_lost(&self, identity: &IdentityState) -> bool {
        matches!(
            self.sign_with(identity, b"keepwell identity check"),
            Err(KeydError::Tpm(TpmError::Damaged { .. } | TpmError::Other | TpmError::Cleared) | KeydError::Crypt(_))
        )
    }

    /// A key in the place of `before`, which stays when there is none to be had.
    fn store_identity(&mut self, before: Option<IdentityRecord>) {
        let returned = before
            .as_ref()
            .and_then(|before| before.lost.iter().find(|known| self.sign_with(known, b"keepwell identity check").is_ok()).cloned());
        let stored = returned.map_or_else(|| self.make_identity(), Ok).and_then(|current| {
            let (mut former, mut lost) =
                before.map(|before| (before.former, [vec![before.current], before.lost].concat())).unwrap_or_default();
            former.extend(lost.first().map(|identity| identity.point().clone()));
            former.retain(|point| point != current.point());
            lost.retain(|identity| identity.point() != current.point());
            lost.truncate(LOST_MAX);
            let identity = IdentityRecord { current, former, lost };
            self.folder.write(IDENTITY, &identity).map_err(KeydError::State)?;
            Ok(identity)
        });
        match stored {
            Ok(identity) => self.identity = Some(identity),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "no signing key could be made for the box"),
        }
    }

    fn make_identity(&self) -> Result<IdentityState, KeydError> {
        let own = self.own.as_ref().ok_or_else(|| self.locked())?;
        if let Some(tpm) = &self.tpm {
            return tpm.make_identity(&own.identity_auth()).map(|blob| IdentityState::Tpm { blob }).map_err(KeydError::Tpm);
        }
        let failed = |_| KeydError::NoIdentity;
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).map_err(failed)?;
        let key = Zeroizing::new(document.as_ref().to_vec());
        let point = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).map_err(|_| KeydError::NoIdentity)?;
        let sealed = Sealer::new(&self.opened()?.secret, PURPOSE).seal(&own.box_id(), &key);
        Ok(IdentityState::Software { sealed: Hex(sealed), point: Hex(point.public_key().as_ref().to_vec()) })
    }

    fn sign_with(&self, identity: &IdentityState, message: &[u8]) -> Result<Vec<u8>, KeydError> {
        let own = self.own.as_ref().ok_or_else(|| self.locked())?;
        match identity {
            IdentityState::Tpm { blob } => {
                let tpm = self.tpm.as_ref().ok_or(KeydError::NoIdentity)?;
                let signature = tpm.sign(blob, &own.identity_auth(), Digest::of(&[message])).map_err(KeydError::Tpm)?;
                Ok(signature.to_vec())
            }
            IdentityState::Software { sealed, .. } => {
                let opened = Sealer::new(&self.opened()?.secret, PURPOSE).open(&own.box_id(), &sealed.0);
                let key = Zeroizing::new(opened.map_err(KeydError::Crypt)?);
                let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).map_err(|_| KeydError::NoIdentity)?;
                let signature = key.sign(&SystemRandom::new(), message).map_err(|_| KeydError::NoIdentity)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

/// The bytes to sign. Each kind begins with words of its own, so that no signature can be taken for one of another kind.
fn checked<'a>(request: &'a Sign, point: &Hex) -> Result<&'a [u8], KeydError> {
    match request {
        Sign::EraseCertificate { statement } => {
            let refused = KeydError::NotSigned("the record of an erased disk");
            let begins = statement.starts_with(&format!("{{\"kind\":\"{ERASURE}\","));
            let parsed = serde_json::from_str::<Erasure>(statement).ok().filter(|_| begins && statement.len() <= ERASURE_MAX);
            parsed.filter(|erasure| erasure.kind == ERASURE).map(|_| statement.as_bytes()).ok_or(refused)
        }
        Sign::DiskLabel { statement } => {
            let bytes = statement.as_ref();
            let ours = bytes.len() == LABEL_LEN && bytes.starts_with(LABEL_MAGIC) && bytes[LABEL_KEY] == point.0[..];
            if ours { Ok(bytes) } else { Err(KeydError::NotSigned("the label of a disk of this box")) }
        }
    }
}
