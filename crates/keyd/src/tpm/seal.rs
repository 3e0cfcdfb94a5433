//! A secret of 32 bytes, sealed so that only an approved image on this TPM opens it.
//!
//! Policy: PolicyAuthorize (the image builder's key, over PolicyPCR 11), then PolicyPCR 7, 12, 13. The TPM enforces it; what is looked at before
//! only serves to say what is wrong.

use keepwell_crypt::Secret;
use serde::{Deserialize, Serialize};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::PolicySession;
use tss_esapi::structures::{
    Digest as TpmDigest, EccParameter, EccPoint, EccSignature, KeyedHashScheme, Name, Nonce, PcrSelectionListBuilder, PcrSlot, Private,
    Public, PublicBuilder, PublicKeyedHashParameters, SensitiveData, Signature,
};
use tss_esapi::traits::{Marshall, UnMarshall};
use zeroize::Zeroizing;

use super::identity::signing_key;
use super::link::{Covers, Link, name_of};
use super::{Pcrs, TpmError, TpmNames};
use crate::hex::{Digest, Hex};
use crate::policy::{Authority, Policies, SecurityEpoch, SignedPolicy, authorized_then_pcrs};

/// Under which conditions a secret opens.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whose images.
    pub authority: Authority,
    /// Of which generation.
    pub epoch: SecurityEpoch,
    /// PCR 7; none is the one of now.
    pub pcr7: Option<Digest>,
    /// By this TPM and no other; none where it is not known yet.
    pub tpm: Option<TpmNames>,
}

/// What the TPM gave out for a secret: useless to every other TPM, and to this one while the policy is not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedBlob {
    /// Whose images open it.
    pub authority: Authority,
    /// Of which generation.
    pub epoch: SecurityEpoch,
    /// With which PCR 7.
    pub pcr7: Digest,
    /// By which TPM it was sealed.
    pub tpm: TpmNames,
    /// TPMT_PUBLIC.
    pub public: Hex,
    /// TPM2B_PRIVATE, without its length.
    pub private: Hex,
}

impl Link {
    /// Seals a secret.
    pub(super) fn seal(&mut self, secret: &Secret, terms: &Terms) -> Result<SealedBlob, TpmError> {
        let at = TpmError::at("sealing the keys");
        let tpm = self.names()?;
        same(terms.tpm.as_ref(), &tpm)?;
        let pcr7 = match terms.pcr7 {
            Some(pcr7) => pcr7,
            None => self.pcrs()?.secure_boot,
        };
        let name = name_of(&authority_public(&terms.authority).map_err(&at)?).map_err(&at)?;
        let policy = authorized_then_pcrs(&name.0, &terms.epoch.policy_ref(), &pcr7);
        let template = sealed_template(&policy).map_err(&at)?;
        let data = SensitiveData::try_from(&secret.expose()[..]).map_err(&at)?;
        let session = self.session(SessionType::Hmac, Covers::Both)?;
        let srk = self.srk;
        let made = self.context.execute_with_session(Some(session), |context| context.create(srk, template, None, Some(data), None, None));
        let made = made.map_err(&at)?;
        let public = Hex(made.out_public.marshall().map_err(&at)?);
        let private = Hex(made.out_private.value().to_vec());
        Ok(SealedBlob { authority: terms.authority, epoch: terms.epoch, pcr7, tpm, public, private })
    }

    /// Opens whichever of the blobs can be opened now.
    pub(super) fn unseal(
        &mut self,
        blobs: &[SealedBlob],
        policies: &[Policies],
        authority: Option<&Authority>,
    ) -> Result<Secret, TpmError> {
        let (pcrs, names) = (self.pcrs()?, self.names()?);
        let fitting = choose(blobs, &names, &pcrs)?;
        let mut refused = None;
        for blob in fitting {
            let opened = approve(blob, policies, authority, &pcrs).and_then(|policy| self.open_blob(blob, policy));
            match opened {
                Ok(secret) => return Ok(secret),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(TpmError::WrongSecureBoot))
    }

    fn open_blob(&mut self, blob: &SealedBlob, policy: &SignedPolicy) -> Result<Secret, TpmError> {
        let object = self.load(&blob.public, &blob.private)?;
        let opened = self.policy_session(blob, policy).and_then(|session| {
            let unsealed = self.context.execute_with_session(Some(session.into()), |context| context.unseal(object.into()));
            unsealed.map_err(TpmError::opening)
        });
        self.context.flush_context(object.into()).map_err(TpmError::at("forgetting the sealed keys"))?;
        let mut secret = Zeroizing::new([0; 32]);
        let opened = opened?;
        let whole = opened.value().len() == secret.len();
        whole.then(|| secret.copy_from_slice(opened.value())).ok_or(TpmError::Lacks("the secret that belongs to these keys"))?;
        Ok(Secret::from_bytes(*secret))
    }

    /// Loads what this TPM made before.
    pub(super) fn load(&mut self, public: &Hex, private: &Hex) -> Result<KeyHandle, TpmError> {
        let public = Public::unmarshall(&public.0).map_err(TpmError::unreadable)?;
        let private = Private::try_from(&private.0[..]).map_err(TpmError::unreadable)?;
        let (session, srk) = (self.session(SessionType::Hmac, Covers::Both)?, self.srk);
        self.context.execute_with_session(Some(session), |context| context.load(srk, private, public)).map_err(TpmError::loading)
    }

    /// A policy session that has come as far as the blob asks for, if the PCRs are right.
    fn policy_session(&mut self, blob: &SealedBlob, signed: &SignedPolicy) -> Result<PolicySession, TpmError> {
        let session = self.session(SessionType::Policy, Covers::Answers)?;
        let session = PolicySession::try_from(session).map_err(TpmError::opening)?;
        self.context.execute_without_session(|context| meet(context, session, blob, signed)).map_err(TpmError::opening)?;
        Ok(session)
    }
}

fn meet(context: &mut tss_esapi::Context, session: PolicySession, blob: &SealedBlob, signed: &SignedPolicy) -> tss_esapi::Result<()> {
    let pcrs = |slots: &[PcrSlot]| PcrSelectionListBuilder::new().with_selection(HashingAlgorithm::Sha256, slots).build();
    let reference = blob.epoch.policy_ref();
    context.policy_pcr(session, TpmDigest::default(), pcrs(&[PcrSlot::Slot11])?)?;

    let public = authority_public(&blob.authority)?;
    let name = Name::try_from(name_of(&public)?.0)?;
    let key = context.load_external_public(public, Hierarchy::Owner)?;
    let hash = Digest::of(&[&signed.policy.0, &reference.0]);
    let ticket = context.verify_signature(key, TpmDigest::try_from(&hash.0[..])?, ecdsa(&signed.signature.0)?)?;
    context.flush_context(key.into())?;
    context.policy_authorize(session, TpmDigest::try_from(&signed.policy.0[..])?, Nonce::try_from(&reference.0[..])?, &name, ticket)?;
    context.policy_pcr(session, TpmDigest::default(), pcrs(&[PcrSlot::Slot7, PcrSlot::Slot12, PcrSlot::Slot13])?)
}

/// The blobs that this TPM made for this PCR 7, or why there is none.
fn choose<'a>(blobs: &'a [SealedBlob], now: &TpmNames, pcrs: &Pcrs) -> Result<Vec<&'a SealedBlob>, TpmError> {
    if blobs.iter().all(|blob| blob.tpm != *now) {
        same(blobs.first().map(|blob| &blob.tpm), now)?;
    }
    let fitting: Vec<_> = blobs.iter().filter(|blob| blob.tpm == *now && blob.pcr7 == pcrs.secure_boot).collect();
    if fitting.is_empty() {
        return Err(TpmError::WrongSecureBoot);
    }
    match () {
        () if pcrs.command_line != Digest::ZERO => Err(TpmError::Additions { pcr: 12 }),
        () if pcrs.extensions != Digest::ZERO => Err(TpmError::Additions { pcr: 13 }),
        () => Ok(fitting),
    }
}

/// That a secret for one TPM is not given to another one in its place.
fn same(expected: Option<&TpmNames>, now: &TpmNames) -> Result<(), TpmError> {
    match expected {
        Some(expected) if expected.ek != now.ek => Err(TpmError::Other),
        Some(expected) if expected != now => Err(TpmError::Cleared),
        _ => Ok(()),
    }
}

/// The signed policy that approves what was started, or why there is none.
fn approve<'a>(
    blob: &SealedBlob,
    policies: &'a [Policies],
    authority: Option<&Authority>,
    pcrs: &Pcrs,
) -> Result<&'a SignedPolicy, TpmError> {
    if authority.is_some_and(|authority| *authority != blob.authority) {
        return Err(TpmError::OtherAuthority);
    }
    let newest = policies.iter().map(|policies| policies.epoch).max().ok_or(TpmError::NoPolicies)?;
    let mut fitting = policies.iter().filter(|policies| policies.epoch == blob.epoch).peekable();
    if fitting.peek().is_none() {
        let sealed = blob.epoch;
        return Err(if newest < sealed { TpmError::OldEpoch { image: newest, sealed } } else { TpmError::NoEpoch { sealed } });
    }
    fitting.find_map(|policies| policies.approving(&pcrs.image)).ok_or(TpmError::WrongImage)
}

/// No password opens it, only the policy; wrong guesses elsewhere in the TPM do not lock it (noDA), as there is nothing to guess.
fn sealed_template(policy: &Digest) -> tss_esapi::Result<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_admin_with_policy(true)
        .with_no_da(true)
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(TpmDigest::try_from(&policy.0[..])?)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(TpmDigest::default())
        .build()
}

/// The authority as the TPM knows it: its Name is in the policy, so this template is part of what is sealed and never changes.
fn authority_public(authority: &Authority) -> tss_esapi::Result<Public> {
    let (x, y) = authority.coordinates();
    let attributes = ObjectAttributesBuilder::new().with_sign_encrypt(true).with_user_with_auth(true).build()?;
    signing_key(attributes, EccPoint::new(EccParameter::try_from(x)?, EccParameter::try_from(y)?))
}

fn ecdsa(signature: &[u8]) -> tss_esapi::Result<Signature> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let signature = EccSignature::create(HashingAlgorithm::Sha256, EccParameter::try_from(r)?, EccParameter::try_from(s)?)?;
    Ok(Signature::EcDsa(signature))
}
