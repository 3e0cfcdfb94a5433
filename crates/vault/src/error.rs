//! What can go wrong with a vault as a whole, in words for the person who runs it.

use keepwell_crypt::CryptError;
use keepwell_format::{FormatError, Gap};
use keepwell_keys::KeysError;
use keepwell_storage::PoolError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The pool of disks can't do what was asked.
    #[error(transparent)]
    Pool(Box<PoolError>),
    /// No key slots can be read.
    #[error("no readable key slots on any disk of this vault: without them no key can open it")]
    NoSlots,
    /// No keyring can be read.
    #[error("no readable keyring on any disk of this vault; its key slots are intact, but the keys under them are gone")]
    NoKeyring,
    /// What was given does not open this vault.
    #[error(transparent)]
    Keys(Box<KeysError>),
    /// A cryptographic step failed where it should not have.
    #[error("{what}")]
    Crypt {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: CryptError,
    },
    /// A structure of the vault is not what it should be.
    #[error("{what} is damaged or from a newer release")]
    Format {
        /// Which structure.
        what: &'static str,
        /// How.
        #[source]
        source: FormatError,
    },
    /// A blob that must be there is not, or not whole.
    #[error("blob {id} can't be read from any disk: {why}")]
    BlobLost {
        /// Its id.
        id: String,
        /// Why.
        why: String,
    },
    /// The index can't be used.
    #[error("the index failed (it is only a cache: deleting {path} is safe)")]
    Index {
        /// Where it is.
        path: String,
        /// The database's words.
        #[source]
        source: rusqlite::Error,
    },
    /// The source can't be read at all.
    #[error("the source can't be read: {}. No snapshot was made; earlier ones are untouched", .0.text)]
    Source(Gap),
    /// No snapshot fits what was asked for.
    #[error("{0}")]
    NoSnapshot(String),
    /// A snapshot is kept, or the vault can't forget now.
    #[error("{0}")]
    NotForgotten(String),
    /// The path is not in the snapshot.
    #[error("the snapshot holds nothing at {0}")]
    NoPath(String),
    /// What lies there is a folder, a link or something else without bytes of its own.
    #[error("what lies there is no file")]
    NoFile,
    /// The file's content is not in the snapshot.
    #[error("the file could not be read when it was backed up: {0}")]
    NotRead(String),
    /// What was brought from elsewhere was not taken.
    #[error("{object} was not healed: {why}. Nothing was changed")]
    NotHealed {
        /// Its name.
        object: String,
        /// Why.
        why: String,
    },
    /// The place to restore to can't be written.
    #[error("the restore stopped: {0}. What was written so far is in the target; the vault is untouched")]
    Target(String),
}

impl VaultError {
    /// Whether a newer release wrote what could not be read: no damage, and nothing to work around.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Format { source: FormatError::Newer { .. } | FormatError::Unsupported(_), .. })
    }
}

impl From<PoolError> for VaultError {
    fn from(error: PoolError) -> Self {
        Self::Pool(Box::new(error))
    }
}

impl From<KeysError> for VaultError {
    fn from(error: KeysError) -> Self {
        Self::Keys(Box::new(error))
    }
}
