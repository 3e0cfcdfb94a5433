//! One connection to the TPM with its storage root key: opened for a task and closed after it, so that nothing of ours stays in the TPM.

use tss_esapi::Context;
use tss_esapi::TctiNameConf;
use tss_esapi::abstraction::AsymmetricAlgorithmSelection;
use tss_esapi::abstraction::ek::create_ek_public_from_default_template_2;
use tss_esapi::attributes::{ObjectAttributesBuilder, SessionAttributesBuilder};
use tss_esapi::constants::SessionType;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    EccParameter, EccPoint, PcrSelectionListBuilder, PcrSlot, Public, PublicBuilder, PublicEccParametersBuilder, SymmetricDefinition,
    SymmetricDefinitionObject,
};
use tss_esapi::traits::Marshall;
use zeroize::Zeroizing;

use super::{Pcrs, TpmError, TpmNames};
use crate::hex::{Digest, Hex};

/// The TPM, for one task.
pub(super) struct Link {
    pub(super) context: Context,
    /// The storage root key.
    pub(super) srk: KeyHandle,
    srk_name: Hex,
}

/// What a session encrypts: the first parameter of commands, of answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Covers {
    Commands,
    Answers,
    Both,
    /// Nothing: it only authenticates (an audit session).
    Nothing,
}

impl Link {
    /// Connects and makes the storage root key, which takes a TPM some hundred milliseconds.
    pub(super) fn open(tcti: &TctiNameConf, name: &str) -> Result<Self, TpmError> {
        let mut context = Context::new(tcti.clone()).map_err(|source| TpmError::Absent { tcti: name.to_owned(), source })?;
        let (srk, public) = primary(&mut context, Hierarchy::Owner, srk_template).map_err(TpmError::primary("making its storage key"))?;
        let srk_name = name_of(&public).map_err(TpmError::at("making its storage key"))?;
        Ok(Self { context, srk, srk_name })
    }

    /// Who this TPM is.
    pub(super) fn names(&mut self) -> Result<TpmNames, TpmError> {
        let ek = || create_ek_public_from_default_template_2(AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256), None);
        let at = TpmError::primary("making its endorsement key");
        let (handle, public) = primary(&mut self.context, Hierarchy::Endorsement, ek).map_err(&at)?;
        self.context.flush_context(handle.into()).map_err(&at)?;
        Ok(TpmNames { ek: name_of(&public).map_err(&at)?, srk: self.srk_name.clone() })
    }

    /// That it is the one that is known. The storage root key tells: each session is salted with it, and none but its TPM can answer in one.
    pub(super) fn is(&mut self, known: Option<&TpmNames>) -> Result<(), TpmError> {
        match known {
            Some(known) if known.srk != self.srk_name => {
                Err(if self.names()?.ek == known.ek { TpmError::Cleared } else { TpmError::Other })
            }
            _ => Ok(()),
        }
    }

    /// PCR 7, 11, 12 and 13, in a session that authenticates the answer: what is sealed to has to be what the TPM has.
    pub(super) fn pcrs(&mut self) -> Result<Pcrs, TpmError> {
        let at = TpmError::at("reading its PCRs");
        let slots = [PcrSlot::Slot7, PcrSlot::Slot11, PcrSlot::Slot12, PcrSlot::Slot13];
        let selection = PcrSelectionListBuilder::new().with_selection(HashingAlgorithm::Sha256, &slots).build().map_err(&at)?;
        let session = self.session(SessionType::Hmac, Covers::Nothing)?;
        let (_, _, values) = self.context.execute_with_session(Some(session), |context| context.pcr_read(selection)).map_err(&at)?;
        let values: Vec<Digest> = values.value().iter().filter_map(|value| value.value().try_into().ok().map(Digest)).collect();
        match values[..] {
            [secure_boot, image, command_line, extensions] => Ok(Pcrs { secure_boot, image, command_line, extensions }),
            _ => Err(TpmError::Lacks("a SHA-256 bank of PCRs")),
        }
    }

    /// 32 bytes from its random number generator, encrypted on their way.
    pub(super) fn random(&mut self) -> Result<Zeroizing<[u8; 32]>, TpmError> {
        let at = TpmError::at("asking it for random numbers");
        let session = self.session(SessionType::Hmac, Covers::Answers)?;
        let bytes = self.context.execute_with_session(Some(session), |context| context.get_random(32)).map_err(&at)?;
        let mut out = Zeroizing::new([0; 32]);
        let whole = bytes.value().len() == out.len();
        whole.then(|| out.copy_from_slice(bytes.value())).ok_or(TpmError::Lacks("random numbers to give"))?;
        Ok(out)
    }

    /// A session whose key only this TPM can know (salted with the storage root key), which encrypts parameters.
    pub(super) fn session(&mut self, kind: SessionType, covers: Covers) -> Result<AuthSession, TpmError> {
        let at = TpmError::at("starting a session");
        let (srk, cipher) = (Some(self.srk), SymmetricDefinition::AES_128_CFB);
        let session = self
            .context
            .execute_without_session(|context| context.start_auth_session(srk, None, None, kind, cipher, HashingAlgorithm::Sha256));
        let session = session.map_err(&at)?.ok_or(TpmError::Lacks("sessions"))?;
        let (attributes, mask) = SessionAttributesBuilder::new()
            .with_decrypt(matches!(covers, Covers::Commands | Covers::Both))
            .with_encrypt(matches!(covers, Covers::Answers | Covers::Both))
            .with_audit(covers == Covers::Nothing)
            .with_continue_session(true)
            .build();
        self.context.tr_sess_set_attributes(session, attributes, mask).map_err(&at)?;
        Ok(session)
    }
}

/// A key's Name, computed here: a Name that came over the bus would prove nothing about the key that came with it.
pub(super) fn name_of(public: &Public) -> tss_esapi::Result<Hex> {
    const SHA256: [u8; 2] = [0x00, 0x0b];
    Ok(Hex([&SHA256[..], &Digest::of(&[&public.marshall()?]).0].concat()))
}

fn primary(
    context: &mut Context,
    hierarchy: Hierarchy,
    template: impl FnOnce() -> tss_esapi::Result<Public>,
) -> tss_esapi::Result<(KeyHandle, Public)> {
    let template = template()?;
    let made = context
        .execute_with_session(Some(AuthSession::Password), |context| context.create_primary(hierarchy, template, None, None, None, None))?;
    Ok((made.key_handle, made.out_public))
}

/// The storage root key of TCG's "TPM v2.0 Provisioning Guidance" (7.5.1): ECC P-256, AES-128-CFB, 32 zero bytes for each coordinate.
fn srk_template() -> tss_esapi::Result<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_decrypt(true)
        .build()?;
    let zeros = || EccParameter::try_from(vec![0; 32]);
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(
            PublicEccParametersBuilder::new_restricted_decryption_key(SymmetricDefinitionObject::AES_128_CFB, EccCurve::NistP256)
                .build()?,
        )
        .with_ecc_unique_identifier(EccPoint::new(zeros()?, zeros()?))
        .build()
}
