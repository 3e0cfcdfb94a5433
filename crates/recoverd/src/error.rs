//! Why nothing was begun. Each says what it means for the data.

use std::io;
use std::path::PathBuf;

use axum::http::StatusCode;
use keepwell_api::error::chain;
use keepwell_api::{ClientError, Refusal};
use keepwell_crypt::CryptError;
use keepwell_recover::RecoverError;
use keepwell_wire::PlaceCodeError;

/// Every failure of this program.
#[derive(Debug, thiserror::Error)]
pub enum RecoverdError {
    /// The code.
    #[error(transparent)]
    Place(#[from] PlaceCodeError),
    /// A paper. What was typed is in no message.
    #[error("a paper can't be read: {0}")]
    Paper(#[source] CryptError),
    /// They are not texts.
    #[error("a paper is no text")]
    NoText,
    /// From the other box, or on the way.
    #[error(transparent)]
    Recover(Box<RecoverError>),
    /// Nobody is there.
    #[error("nobody answers at {address}: look whether this box has a network and the other one is on, and whether that is its address")]
    NobodyThere {
        /// Where.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The box has one.
    #[error("this box has a vault of its own, or its disks: nothing was asked for, and nothing was changed")]
    HasVault,
    /// Another one is under way.
    #[error("the vault {0} is being brought back on this box: type two papers of its kit. Nothing was changed")]
    OtherVault(String),
    /// One at a time.
    #[error("it is under way already")]
    UnderWay,
    /// Nobody waits for disks.
    #[error("nothing waits for disks: type the papers first")]
    NothingWaits,
    /// The work ended without a word.
    #[error("recoverd failed at this; see its log. What came until now is kept: type the papers again")]
    Broken,
    /// vaultd.
    #[error("the program with the disks does not answer as it should")]
    Vaultd(#[source] ClientError),
    /// Its own folder, or a mark on a disk.
    #[error("{} can't be used", path.display())]
    Own {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl RecoverdError {
    fn code(&self) -> &'static str {
        match self {
            Self::Place(_) => "no-place",
            Self::Paper(_) | Self::NoText => "paper",
            Self::NobodyThere { .. } => "unreachable",
            Self::Recover(error) if matches!(**error, RecoverError::Link(_)) => "unreachable",
            Self::Recover(error) if matches!(**error, RecoverError::NotProven) => "not-proven",
            Self::Recover(_) => "other-box",
            Self::HasVault => "has-vault",
            Self::OtherVault(_) => "other-vault",
            Self::UnderWay => "under-way",
            Self::NothingWaits => "nothing-waits",
            Self::Broken => "broken",
            Self::Vaultd(_) => "vaultd",
            Self::Own { .. } => "own",
        }
    }
}

impl From<RecoverError> for RecoverdError {
    fn from(error: RecoverError) -> Self {
        Self::Recover(Box::new(error))
    }
}

impl From<&RecoverdError> for Refusal {
    fn from(error: &RecoverdError) -> Self {
        let status = match error {
            RecoverdError::Place(_) | RecoverdError::Paper(_) | RecoverdError::NoText => StatusCode::UNPROCESSABLE_ENTITY,
            RecoverdError::Broken | RecoverdError::Own { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::CONFLICT,
        };
        // The screen shows one sentence, and what the line says belongs to it.
        Self::text(status, error.code(), chain(error))
    }
}
