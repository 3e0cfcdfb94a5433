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

    pub(super) fn load_identity(&mut self) -> Result<(), KeydError> {
        match self.folder.read(IDENTITY) {
            Ok(identity) => self.identity = identity,
            Err(error @ StateError::Damaged { .. }) => {
                self.warnings.push(notice(error.code(), &error));
                self.folder.set_aside(IDENTITY).map_err(KeydError::State)?;
            }
            Err(error) => return Err(KeydError::State(error)),
        }
        Ok(())
    }

    /// A key that can sign, if one can be had now: that which is there, or, when its TPM is another one by now, a new one.
    pub(super) fn ensure_identity(&mut self) {
        let usable = self.identity.as_ref().map(|identity| self.sign_with(&identity.current, b"keepwell identity check"));
        let former = match (usable, self.identity.take()) {
            (None, _) | (_, None) => Vec::new(),
            (Some(Err(KeydError::Tpm(TpmError::Damaged { .. }) | KeydError::Crypt(_))), Some(lost)) => {
                tracing::warn!("the box's signing key can't be used any more; it gets a new one");
                lost.former.into_iter().chain([lost.current.point().clone()]).collect()
            }
            // It signs, or nothing can be said while the TPM does not answer or the passphrase is missing.
            (Some(_), identity) => {
                self.identity = identity;
                return;
            }
        };
        let made = self.make_identity().and_then(|current| {
            let identity = IdentityRecord { current, former };
            self.folder.write(IDENTITY, &identity).map_err(KeydError::State)?;
            Ok(identity)
        });
        match made {
            Ok(identity) => self.identity = Some(identity),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the box has no signing key yet"),
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
