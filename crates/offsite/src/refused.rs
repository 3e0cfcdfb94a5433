//! Why a receiver does not do what a source asks (`docs/wire.md` 10).

use keepwell_format::{FormatError, PackSeq};
use keepwell_storage::PoolError;

/// The answer no, with what follows from it. Nothing that was acknowledged is touched by any of them.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The bytes do not hash to the id.
    #[error("the bytes that came are not the object {0}")]
    OtherBytes(String),
    /// The bytes are no such object.
    #[error("the object is not what its class says: {0}")]
    NotOne(#[from] FormatError),
    /// It says itself that it belongs to another vault.
    #[error("the object belongs to another vault")]
    OtherVault,
    /// Another pack has this number.
    #[error("another pack has the number {0} already")]
    SeqTaken(u64),
    /// A manifest or tombstone whose signature is not the tenant's.
    #[error("the signature is not that of the tenant's box")]
    Unsigned,
    /// A number that leaves hardly any for those after it.
    #[error("the number {number} is far beyond {highest}, the highest one before it")]
    Leap {
        /// It.
        number: u64,
        /// Of those that are kept.
        highest: u64,
    },
    /// The tenant's quota.
    #[error("the quota of {quota} bytes is used up: {used} are kept")]
    Quota {
        /// Bytes that are promised.
        quota: u64,
        /// Bytes that are kept.
        used: u64,
    },
    /// As many objects as go with the tenant's quota.
    #[error("{most} objects are kept, as many as go with the quota; nothing was removed for this one")]
    TooMany {
        /// So many.
        most: u64,
    },
    /// Nothing more is taken of this tenant.
    #[error("this box takes nothing more from this one: what is here stays until its time is over, and can be read until then")]
    Ended,
    /// Packs of a snapshot that are not there; the first ones.
    #[error("{} or more packs of the snapshot are not here", .0.len())]
    Missing(Vec<PackSeq>),
    /// All packs are there, and they are not those that the source means.
    #[error("the packs of the snapshot are others than those here")]
    OtherPacks,
    /// No such object.
    #[error("it is not here")]
    NotHere,
    /// The receiver's disks.
    #[error(transparent)]
    Store(#[from] PoolError),
}

impl Refused {
    /// The word of the protocol.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherBytes(_) | Self::NotOne(_) | Self::OtherVault | Self::SeqTaken(_) | Self::Unsigned | Self::Leap { .. } => {
                "other-bytes"
            }
            Self::Quota { .. } | Self::TooMany { .. } => "quota",
            Self::Missing(_) | Self::OtherPacks => "missing",
            Self::Ended => "ended",
            Self::NotHere => "not-here",
            Self::Store(PoolError::Full { .. }) => "full",
            Self::Store(_) => "store",
        }
    }
}
