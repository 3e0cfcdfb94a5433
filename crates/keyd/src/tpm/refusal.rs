//! What a TPM's refusal means for the person in front of the box, and what to do.
//!
//! Each message is one sentence of what is so and what to do. A code that has no meaning of its own is passed on with the step it came from.

use tss_esapi::Error as TssError;
use tss_esapi::constants::response_code::{Tss2ResponseCode, Tss2ResponseCodeKind as Kind};

use crate::policy::SecurityEpoch;

/// Why the TPM does not open the keys, or does nothing at all.
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    /// Nothing is there.
    #[error(
        "no TPM answers at `{tcti}`: look whether it is switched on in the firmware; two papers of the recovery kit open the vault without it"
    )]
    Absent {
        /// Where one was looked for.
        tcti: String,
        /// What its library says.
        source: TssError,
    },
    /// It was asked and says nothing.
    #[error(
        "the TPM did not answer within {seconds} s: switch the box off and on; two papers of the recovery kit open the vault without it"
    )]
    Silent {
        /// How long was waited.
        seconds: u64,
    },
    /// The blobs come from elsewhere.
    #[error(
        "the keys were sealed by another TPM, so the disk or the board is not of this box: put it back, or open the vault here with two papers of the recovery kit"
    )]
    Other,
    /// Its owner seed is new.
    #[error(
        "the TPM was cleared since the keys were sealed, which made them unreadable for good: open the vault with two papers of the recovery kit"
    )]
    Cleared,
    /// PCR 7.
    #[error(
        "Secure Boot is off, or its keys or the firmware are others than when the keys were sealed (PCR 7): if nobody of yours changed them, have the box looked at first; two papers of the recovery kit open the vault"
    )]
    WrongSecureBoot,
    /// PCR 11.
    #[error(
        "restart the box, as keyd began too late in its start, or what was started is no image that its maker approved for this (PCR 11); if it stays so, start the installed image unchanged, or open the vault with two papers of the recovery kit"
    )]
    WrongImage,
    /// PCR 12 or 13.
    #[error(
        "the box was started with a command line, add-on or extension from outside its image (PCR {pcr} is not zero): remove it and start again, or open the vault with two papers of the recovery kit"
    )]
    Additions {
        /// 12 or 13.
        pcr: u8,
    },
    /// There are policies, for an earlier generation.
    #[error(
        "this image is older than the keys allow (its policies are for security epoch {}, the keys need {}): start the newer image, or open the vault with two papers of the recovery kit", .image.0, .sealed.0
    )]
    OldEpoch {
        /// Newest that the image has policies for.
        image: SecurityEpoch,
        /// That of the sealed keys.
        sealed: SecurityEpoch,
    },
    /// There are policies, but only for later generations.
    #[error(
        "this image has no policy for security epoch {} that the keys are sealed for: start the image before it, or open the vault with two papers of the recovery kit", .sealed.0
    )]
    NoEpoch {
        /// That of the sealed keys.
        sealed: SecurityEpoch,
    },
    /// There are none.
    #[error(
        "this image has no signed policies, so its TPM opens nothing: install an image of the maker's, or open the vault with two papers of the recovery kit"
    )]
    NoPolicies,
    /// Sealed under another builder's key.
    #[error(
        "the keys are sealed for images of another maker (another signing key): start one of those, or open the vault with two papers of the recovery kit"
    )]
    OtherAuthority,
    /// The blob.
    #[error(
        "the sealed keys in the box's state are damaged or were altered: open the vault with two papers of the recovery kit, which seals them anew"
    )]
    Damaged {
        /// What the TPM says.
        source: TssError,
    },
    /// All that can be read says it should open; the TPM says no.
    #[error(
        "the TPM itself refuses to open the keys, although what keyd can read fits, so the box's state may have been altered: open the vault with two papers of the recovery kit"
    )]
    Refused {
        /// What the TPM says.
        source: TssError,
    },
    /// Too many wrong passwords by some other program.
    #[error(
        "the TPM is locked after too many wrong passwords: leave the box switched on for some hours, or open the vault with two papers of the recovery kit"
    )]
    LockedOut {
        /// What the TPM says.
        source: TssError,
    },
    /// Somebody else's system has taken it over.
    #[error(
        "another system has put a password on the TPM or switched a part of it off: clear it in the firmware, which destroys what was sealed by it; two papers of the recovery kit open the vault"
    )]
    Owned {
        /// What the TPM says.
        source: TssError,
    },
    /// It lacks what every TPM 2.0 of a PC has.
    #[error(
        "the TPM does not have {0}, so it can't be used: look whether the firmware can switch it on; two papers of the recovery kit open the vault without it"
    )]
    Lacks(&'static str),
    /// Anything else.
    #[error("the TPM failed at {step}: switch the box off and on; if it stays so, open the vault with two papers of the recovery kit")]
    Failed {
        /// Where.
        step: &'static str,
        /// What the TPM says.
        source: TssError,
    },
}

impl TpmError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "no-tpm",
            Self::Silent { .. } => "tpm-silent",
            Self::Other => "other-tpm",
            Self::Cleared => "tpm-cleared",
            Self::WrongSecureBoot => "wrong-pcr-7",
            Self::WrongImage => "wrong-pcr-11",
            Self::Additions { .. } => "pcr-not-zero",
            Self::OldEpoch { .. } => "old-epoch",
            Self::NoEpoch { .. } => "no-epoch",
            Self::NoPolicies => "no-policies",
            Self::OtherAuthority => "other-authority",
            Self::Damaged { .. } => "sealed-damaged",
            Self::Refused { .. } => "tpm-refused",
            Self::LockedOut { .. } => "tpm-locked-out",
            Self::Owned { .. } => "tpm-owned",
            Self::Lacks(_) => "tpm-lacks",
            Self::Failed { .. } => "tpm-failed",
        }
    }

    /// What went wrong at a step that the state of the box does not explain.
    pub(super) fn at(step: &'static str) -> impl Fn(TssError) -> Self {
        move |source| match kind(source) {
            Some(Kind::Lockout) => Self::LockedOut { source },
            _ => Self::Failed { step, source },
        }
    }

    /// What went wrong when one of its primary keys was made, which takes the hierarchy it belongs to.
    pub(super) fn primary(step: &'static str) -> impl Fn(TssError) -> Self {
        move |source| match kind(source) {
            Some(Kind::AuthFail | Kind::BadAuth | Kind::Hierarchy) => Self::Owned { source },
            _ => Self::at(step)(source),
        }
    }

    /// A blob that can't even be parsed.
    pub(super) fn unreadable(source: TssError) -> Self {
        Self::Damaged { source }
    }

    /// What went wrong when a blob of ours was loaded: the TPM checks that it made it, and that it is as it made it. Codes about parameters (format
    /// one, part 2, 6.6.3) blame the blob, all others the circumstances.
    pub(super) fn loading(source: TssError) -> Self {
        match (source, kind(source)) {
            (_, Some(Kind::Sensitive)) | (TssError::Tss2Error(Tss2ResponseCode::FormatOne(_)), _) => Self::Damaged { source },
            _ => Self::at("loading its keys")(source),
        }
    }

    /// What went wrong when a key of ours was used: its authorization comes from the box's state.
    pub(super) fn using(source: TssError) -> Self {
        match kind(source) {
            Some(Kind::AuthFail | Kind::BadAuth) => Self::Damaged { source },
            _ => Self::at("signing")(source),
        }
    }

    /// What went wrong when a policy was met.
    pub(super) fn opening(source: TssError) -> Self {
        match kind(source) {
            Some(Kind::Lockout) => Self::LockedOut { source },
            Some(Kind::PolicyFail | Kind::Policy | Kind::Value | Kind::PcrChanged | Kind::Signature | Kind::Ticket | Kind::AuthFail) => {
                Self::Refused { source }
            }
            _ => Self::Failed { step: "opening the sealed keys", source },
        }
    }
}

fn kind(error: TssError) -> Option<Kind> {
    match error {
        TssError::Tss2Error(code) => code.kind(),
        TssError::WrapperError(_) => None,
    }
}
