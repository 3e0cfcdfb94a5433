//! The box's identity: a P-256 key that the TPM makes and never gives out.
//!
//! Its use takes an authorization value from the box's state, so that neither the TPM alone nor the stored blob alone can sign.

use keepwell_crypt::Secret;
use serde::{Deserialize, Serialize};
use tss_esapi::attributes::{ObjectAttributes, ObjectAttributesBuilder};
use tss_esapi::constants::SessionType;
use tss_esapi::constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::structures::{
    Auth, Digest as TpmDigest, EccParameter, EccPoint, EccScheme, HashScheme, HashcheckTicket, Public, PublicBuilder,
    PublicEccParametersBuilder, Signature, SignatureScheme,
};
use tss_esapi::traits::Marshall;
use tss_esapi::tss2_esys::TPMT_TK_HASHCHECK;

use super::TpmError;
use super::link::{Covers, Link};
use crate::hex::{Digest, Hex};

/// Bytes of a signature: r and s (ECDSA on P-256).
pub const SIGNATURE_LEN: usize = 64;

/// An identity key as the TPM gave it out, for itself alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityBlob {
    /// TPMT_PUBLIC.
    pub public: Hex,
    /// TPM2B_PRIVATE, without its length.
    pub private: Hex,
    /// The public key as an uncompressed point.
    pub point: Hex,
}

impl Link {
    /// Makes a key whose use takes `auth`.
    pub(super) fn make_identity(&mut self, auth: &Secret) -> Result<IdentityBlob, TpmError> {
        let at = TpmError::at("making the box's identity");
        let template = template().map_err(&at)?;
        let auth = Auth::try_from(&auth.expose()[..]).map_err(&at)?;
        let (session, srk) = (self.session(SessionType::Hmac, Covers::Both)?, self.srk);
        let made = self.context.execute_with_session(Some(session), |context| context.create(srk, template, Some(auth), None, None, None));
        let made = made.map_err(&at)?;
        let Public::Ecc { unique, .. } = &made.out_public else { return Err(TpmError::Lacks("P-256 keys")) };
        let point = [&[4][..], &padded(unique.x())?, &padded(unique.y())?].concat();
        Ok(IdentityBlob {
            public: Hex(made.out_public.marshall().map_err(&at)?),
            private: Hex(made.out_private.value().to_vec()),
            point: Hex(point),
        })
    }

    /// Signs a SHA-256.
    pub(super) fn sign(&mut self, identity: &IdentityBlob, auth: &Secret, digest: &Digest) -> Result<[u8; SIGNATURE_LEN], TpmError> {
        let at = TpmError::at("signing");
        let key = self.load(&identity.public, &identity.private)?;
        let auth = Auth::try_from(&auth.expose()[..]).map_err(&at)?;
        self.context.tr_set_auth(key.into(), auth).map_err(&at)?;
        let session = self.session(SessionType::Hmac, Covers::Commands)?;
        let digest = TpmDigest::try_from(&digest.0[..]).map_err(&at)?;
        let signed =
            self.context.execute_with_session(Some(session), |context| context.sign(key, digest, SignatureScheme::Null, no_ticket()?));
        let signed = signed.map_err(TpmError::using)?;
        self.context.flush_context(key.into()).map_err(&at)?;
        let Signature::EcDsa(signature) = signed else { return Err(TpmError::Lacks("ECDSA")) };
        let mut out = [0; SIGNATURE_LEN];
        out[..32].copy_from_slice(&padded(signature.signature_r())?);
        out[32..].copy_from_slice(&padded(signature.signature_s())?);
        Ok(out)
    }
}

fn template() -> tss_esapi::Result<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_sign_encrypt(true)
        .build()?;
    signing_key(attributes, EccPoint::default())
}

/// A P-256 key for ECDSA over SHA-256. The Name of the authority is made of this, and is in the policy of what is sealed: it never changes.
pub(super) fn signing_key(attributes: ObjectAttributes, point: EccPoint) -> tss_esapi::Result<Public> {
    let scheme = EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256));
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(PublicEccParametersBuilder::new_unrestricted_signing_key(scheme, EccCurve::NistP256).build()?)
        .with_ecc_unique_identifier(point)
        .build()
}

/// The key is not restricted, so it signs a digest that the TPM did not make (part 3, 20.2).
fn no_ticket() -> tss_esapi::Result<HashcheckTicket> {
    HashcheckTicket::try_from(TPMT_TK_HASHCHECK { tag: TPM2_ST_HASHCHECK, hierarchy: TPM2_RH_NULL, digest: Default::default() })
}

/// A TPM may leave out leading zeros.
fn padded(number: &EccParameter) -> Result<[u8; 32], TpmError> {
    let mut out = [0; 32];
    let at = out.len().checked_sub(number.value().len()).ok_or(TpmError::Lacks("P-256 keys"))?;
    out[at..].copy_from_slice(number.value());
    Ok(out)
}
