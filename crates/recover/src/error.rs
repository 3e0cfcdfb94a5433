//! Why a vault did not come back, or not all of it yet. What came is kept in every case.

use std::io;
use std::path::PathBuf;

use keepwell_crypt::CryptError;
use keepwell_keys::KeysError;
use keepwell_link::{IdentityError, LinkError};
use keepwell_storage::PoolError;
use keepwell_vault::VaultError;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The two papers are of different vaults.
    #[error("the two papers are of different vaults ({first} and {second}); nothing was asked for")]
    TwoVaults {
        /// The first one's.
        first: String,
        /// The second one's.
        second: String,
    },
    /// They don't go together.
    #[error("the two papers don't go together; nothing was asked for")]
    Papers(#[source] CryptError),
    /// The line.
    #[error("the other box can't be asked; what came until now is kept, and the same command goes on from there")]
    Link(#[source] LinkError),
    /// The line, while an order was given or cancelled.
    #[error("the other box could not be asked, or did not answer. What it took counts all the same: the same command once more says so")]
    Unasked(#[source] LinkError),
    /// It does not take an order, or does not cancel one.
    #[error("the other box refused: {message} ({code})")]
    NoOrder {
        /// The word of the protocol.
        code: String,
        /// For people.
        message: String,
    },
    /// It knows no vault that these papers speak for.
    #[error(
        "the other box keeps nothing that these two papers speak for: it has another vault, or the papers are of a kit that it never heard of"
    )]
    NotProven,
    /// Another box took the place meanwhile.
    #[error(
        "another box has taken this one's place, with two papers of the kit. If nobody of yours did that, somebody has two of your papers. What came until now is kept"
    )]
    Replaced,
    /// It said no.
    #[error("the other box refused: {message} ({code}); what came until now is kept")]
    Refused {
        /// The word of the protocol.
        code: String,
        /// For people.
        message: String,
    },
    /// It said what can't be.
    #[error("the other box's answer makes no sense: {0}; nothing of it was stored")]
    Nonsense(String),
    /// The folder's is there.
    #[error("all of another vault ({there}) was brought back here already; nothing was asked for. Give another folder")]
    OtherVault {
        /// That one.
        there: String,
    },
    /// No slots that the papers open.
    #[error("of {slots} key slots and {keyrings} keyrings that the other box gave, none are opened by these two papers: {first}")]
    NoLocks {
        /// Slots that came.
        slots: usize,
        /// Keyrings that came.
        keyrings: usize,
        /// What the newest one said.
        first: String,
    },
    /// Slots and papers went together a moment ago.
    #[error("the two papers don't open the vault any more; what came until now is kept")]
    Keys(#[source] KeysError),
    /// The other box has no snapshot that it signed for.
    #[error("the other box has no whole snapshot of this vault; there is nothing to bring back")]
    Nothing,
    /// Notes about what is under way.
    #[error("{} can't be used for what is under way", path.display())]
    Notes {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The new key.
    #[error("the new box's key can't be made or read")]
    Identity(#[from] IdentityError),
    /// The disks of the new vault.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The vault on them.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl RecoverError {
    pub(crate) fn nonsense(why: impl ToString) -> Self {
        Self::Nonsense(why.to_string())
    }
}
