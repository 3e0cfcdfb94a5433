//! What can go wrong on the way to the keys. Never carries a key.

use keepwell_crypt::CryptError;
use keepwell_format::FormatError;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A paper of another vault.
    #[error("this kit paper is for vault {kit}, but this is vault {vault}; nothing was changed")]
    OtherVault {
        /// The paper's.
        kit: String,
        /// The one to be opened.
        vault: String,
    },
    /// A paper that bears the number of another one.
    #[error(
        "kit paper {index} of set {set} is not the one that was made for this vault, although it bears its number; nothing was changed"
    )]
    OtherPaper {
        /// Which of the three.
        index: u8,
        /// Its kit.
        set: u16,
    },
    /// There is no revision after the highest number; only somebody's forgery gets there.
    #[error(
        "the vault's key slots have the highest revision there is, so they can't be changed any more: have it looked at who wrote them"
    )]
    Worn,
    /// What was given does not open this vault.
    #[error("{0}")]
    WrongKey(String),
    /// The keyring is of another vault.
    #[error("the keyring belongs to another vault; nothing was changed")]
    OtherKeyring,
    /// A key did not fit, or what it seals is damaged.
    #[error("{what}")]
    Crypt {
        /// What could not be done.
        what: &'static str,
        /// The cause.
        source: CryptError,
    },
    /// Bytes that are not what they should be.
    #[error("{what} can't be read")]
    Format {
        /// Which bytes.
        what: &'static str,
        /// The cause.
        source: FormatError,
    },
}

impl KeysError {
    pub(crate) fn crypt(what: &'static str) -> impl Fn(CryptError) -> Self {
        move |source| Self::Crypt { what, source }
    }

    pub(crate) fn format(what: &'static str) -> impl Fn(FormatError) -> Self {
        move |source| Self::Format { what, source }
    }
}
