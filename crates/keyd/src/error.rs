//! Why a request was not carried out, in words for the person who made it. Never carries a key or a word of a paper but the mistyped one.

use axum::http::StatusCode;
use keepwell_api::Refusal;
use keepwell_api::keys::Notice;
use keepwell_crypt::CryptError;
use keepwell_format::FormatError;
use keepwell_keys::KeysError;

use crate::entropy::NoEntropy;
use crate::state::StateError;
use crate::tpm::TpmError;

/// Every failure of keyd.
#[derive(Debug, thiserror::Error)]
pub enum KeydError {
    /// No key in memory.
    #[error("the vault is locked: {}", .0.text)]
    Locked(Notice),
    /// Nothing was ever sealed.
    #[error("this box has no vault and no keys yet: make a vault first")]
    Nothing,
    /// Without a TPM somebody has to choose a passphrase first.
    #[error("this box has no TPM, so a passphrase has to stand in: choose one with `unlock` before the first vault is made")]
    NoStandIn,
    /// There is no stand-in to unlock.
    #[error("the keys of this box are not under a passphrase: its TPM opens them, or two papers of the recovery kit do")]
    NotAPassphrase,
    /// It would not be used.
    #[error("a new passphrase is only for a box that has no TPM and whose keys are not open; nothing was changed")]
    NoUseForPassphrase,
    /// Nothing is made that would not open at the next start.
    #[error("the keys are open until the box is switched off only, so nothing new is made with them: put right why, then seal them again ({})", .0.text)]
    NotSealed(Notice),
    /// One change of the kit at a time.
    #[error(
        "the papers of kit {set} are printed, and the vault's disks are not known to have its slots: bring them there with `keepwell keys store` first"
    )]
    NotStored {
        /// The kit.
        set: u16,
    },
    /// Papers of one vault, slots of another.
    #[error("the papers are of vault {wanted}, and the key slots that were given are of vault {given}; nothing was changed")]
    OtherSlots {
        /// Of the papers, or of the request.
        wanted: String,
        /// Of the slots.
        given: String,
    },
    /// Papers of a re-issued kit.
    #[error("the papers of a re-issued kit come out at the box's own screen alone; nothing was done")]
    ScreenOnly,
    /// More than the box's first vault.
    #[error("this program may have the keys of a box's first vault made, and no others; nothing was done")]
    FirstVaultOnly,
    /// More than the first kit.
    #[error(
        "the papers of a recovery kit come to this program once, until the last of the first kit is confirmed; from then on they come out at the box's own screen alone. Nothing was done"
    )]
    FirstKitOnly,
    /// A passphrase that anybody guesses.
    #[error("the passphrase is too short: it opens the keys by itself, so take at least 12 characters; nothing was changed")]
    Short,
    /// The passphrase is wrong.
    #[error("the passphrase does not fit; nothing was changed")]
    WrongPassphrase,
    /// What is sealed now would be gone when the box is switched off.
    #[error("nothing can be sealed now: {0}. What would be sealed is gone when the box is switched off")]
    StateLocked(&'static str),
    /// Not known here.
    #[error("this box has no keys of vault {0}")]
    UnknownVault(String),
    /// Known already.
    #[error("this box has keys of vault {0} already; nothing was changed")]
    VaultExists(String),
    /// Neither given nor known.
    #[error("this box does not know vault {0}: give the slots object of its disks as well")]
    NeedSlots(String),
    /// Nothing to print.
    #[error(
        "there is no paper {paper} of vault {vault} to print or confirm: it was never made here, is confirmed already, or keyd was restarted; a re-issued kit has new papers"
    )]
    NoPaper {
        /// The vault.
        vault: String,
        /// Which paper.
        paper: u8,
    },
    /// One after the other.
    #[error("paper {0} comes first: print it, give it to who keeps it, and confirm it")]
    OutOfTurn(u8),
    /// It was not printed.
    #[error("paper {0} was not printed yet")]
    NotPrinted(u8),
    /// Typed back wrongly.
    #[error("row {row}, word {word} is not what paper {paper} says: look at the paper again, other words are asked for now")]
    WrongWord {
        /// Which paper.
        paper: u8,
        /// 1 to 4.
        row: u8,
        /// 1 to 8.
        word: u8,
    },
    /// The paper is right, the slot is not.
    #[error(
        "the paper is valid, but the vault's slot for the kit is not the one that this box wrapped, so it may not open: re-issue the kit, and have it looked at who changed the slots"
    )]
    ForeignSlot,
    /// Slots from before the last change.
    #[error(
        "these key slots are older than those that the vault's disks are known to have had: bring back disks that are missing, or bring the newest slots there again with `keepwell keys store`"
    )]
    StaleSlots,
    /// An earlier generation was asked for.
    #[error("the keys are sealed for security epoch {0} already, and never go back; nothing was changed")]
    Downgrade(u32),
    /// There is nothing to seal to.
    #[error("this image brings no trusted authority, so nothing can be sealed to the TPM: install an image of the maker's")]
    NoAuthority,
    /// Not what a box puts its name to.
    #[error("this is not {0}, so the box does not sign it")]
    NotSigned(&'static str),
    /// There is no signing key.
    #[error("the box has no signing key yet: it gets one when its TPM answers, or when its passphrase is given")]
    NoIdentity,
    /// A request that makes no sense.
    #[error("{0}")]
    Malformed(&'static str),
    /// The TPM.
    #[error(transparent)]
    Tpm(TpmError),
    /// What the image brings to seal to is not usable.
    #[error("{}", .0.text)]
    Image(Notice),
    /// The state folder.
    #[error(transparent)]
    State(StateError),
    /// Slots and keyring.
    #[error(transparent)]
    Keys(KeysError),
    /// A paper that can't be read.
    #[error(transparent)]
    Paper(CryptError),
    /// What a passphrase or the box's own halves seal.
    #[error("what the passphrase seals in the box's state can't be made or opened: two papers of the recovery kit open the vault")]
    Crypt(#[source] CryptError),
    /// An object that was given.
    #[error("the {what} can't be read")]
    Format {
        /// Which.
        what: &'static str,
        /// The cause.
        source: FormatError,
    },
    /// Random numbers.
    #[error(transparent)]
    Entropy(NoEntropy),
}

impl KeydError {
    /// A stable word for programs, and what kind of failure it is.
    pub fn code(&self) -> (&'static str, StatusCode) {
        const NO: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
        const NOT_NOW: StatusCode = StatusCode::CONFLICT;
        match self {
            Self::Locked(_) => ("locked", StatusCode::LOCKED),
            Self::Nothing => ("no-keys", NOT_NOW),
            Self::NoStandIn => ("no-stand-in", NOT_NOW),
            Self::NotAPassphrase => ("not-a-passphrase", NOT_NOW),
            Self::NoUseForPassphrase => ("no-use-for-passphrase", NO),
            Self::NotSealed(_) => ("not-sealed", NOT_NOW),
            Self::StateLocked(_) => (keepwell_api::state_locked::CODE, NOT_NOW),
            Self::NotStored { .. } => ("slots-to-store", NOT_NOW),
            Self::OtherSlots { .. } => ("other-vault", NO),
            Self::FirstVaultOnly | Self::FirstKitOnly | Self::ScreenOnly => ("not-you", StatusCode::FORBIDDEN),
            Self::Short => ("short-passphrase", NO),
            Self::WrongPassphrase => ("wrong-passphrase", NO),
            Self::UnknownVault(_) => ("unknown-vault", StatusCode::NOT_FOUND),
            Self::VaultExists(_) => ("vault-exists", NOT_NOW),
            Self::NeedSlots(_) => ("need-slots", NO),
            Self::NoPaper { .. } => ("no-paper", StatusCode::NOT_FOUND),
            Self::OutOfTurn(_) => ("out-of-turn", NOT_NOW),
            Self::NotPrinted(_) => ("not-printed", NOT_NOW),
            Self::WrongWord { .. } => ("wrong-word", NO),
            Self::ForeignSlot => ("foreign-slot", NOT_NOW),
            Self::StaleSlots => ("stale-slots", NOT_NOW),
            Self::Downgrade(_) => ("downgrade", NO),
            Self::NoAuthority => ("no-authority", NOT_NOW),
            Self::NotSigned(_) => ("not-signed", NO),
            Self::NoIdentity => ("no-identity", NOT_NOW),
            Self::Malformed(_) => ("malformed", StatusCode::BAD_REQUEST),
            Self::Tpm(error) => (error.code(), StatusCode::SERVICE_UNAVAILABLE),
            Self::Image(_) => ("image", NOT_NOW),
            Self::State(error) => (error.code(), StatusCode::INTERNAL_SERVER_ERROR),
            Self::Keys(KeysError::OtherVault { .. }) => ("other-vault", NO),
            Self::Keys(KeysError::Worn) => ("slots-worn", NOT_NOW),
            Self::Keys(_) => ("wrong-key", NO),
            Self::Paper(_) => ("wrong-paper", NO),
            Self::Crypt(_) => ("stand-in-failed", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Format { .. } => ("malformed", StatusCode::BAD_REQUEST),
            Self::Entropy(_) => ("no-random-numbers", StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// As something to be said in the status.
    pub fn notice(&self) -> Notice {
        match self {
            Self::Image(notice) => notice.clone(),
            other => Notice { code: other.code().0.to_owned(), text: other.to_string() },
        }
    }
}

impl From<&KeydError> for Refusal {
    fn from(error: &KeydError) -> Self {
        Self::new(error.code().1, &error.notice().code, error)
    }
}
