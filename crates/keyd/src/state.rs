//! What keyd keeps from one start to the next.
//!
//! Owns the state folder: the box's own id and half of the wrapping key, the other half sealed by the TPM or under a passphrase, the identity, and
//! a record of each vault. Each file is one JSON document with its hash, replaced whole. Never holds a key that opens anything alone.

mod folder;
mod own;
mod stand_in;
mod vault;

use std::io;
use std::path::PathBuf;

pub use folder::{Crash, Folder};
pub use own::OwnHalf;
use serde::{Deserialize, Serialize};
pub use stand_in::StandIn;
pub use vault::{KitRecord, Newer, PaperRecord, VaultRecord};

use crate::hex::Hex;
use crate::tpm::{IdentityBlob, SealedBlob};

/// Files of the folder.
pub(crate) const OWN: &str = "box.json";
pub(crate) const SEALED: &str = "sealed.json";
pub(crate) const STAND_IN: &str = "stand-in.json";
pub(crate) const IDENTITY: &str = "identity.json";

impl StateError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse(_) => "state-in-use",
            Self::Io { .. } => "state-unusable",
            Self::Damaged { .. } | Self::Unreadable { .. } => "state-damaged",
            Self::Newer(_) => "state-newer",
        }
    }
}

/// What can go wrong with the folder.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another keyd has it.
    #[error("another keyd works with the state in {}; only one may", .0.display())]
    InUse(PathBuf),
    /// The system refuses.
    #[error("the state in {} can't be {verb}", path.display())]
    Io {
        /// What was to be done.
        verb: &'static str,
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not what was written.
    #[error(
        "the box's state is damaged ({}): the backups are unharmed, and two papers of the recovery kit open the vault and make it anew", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, if it can be told.
        source: Option<serde_json::Error>,
    },
    /// It is there, and its disk does not give it out.
    #[error(
        "the box's state can't be read ({}), so its disk may be failing: the backups are unharmed, and two papers of the recovery kit open the vault and make it anew", path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Written by a later release.
    #[error("the box's state was written by a newer program ({}): start the newer image", .0.display())]
    Newer(PathBuf),
}

/// What the TPM sealed: several blobs of one secret, any of which will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedState {
    /// At least one.
    pub blobs: Vec<SealedBlob>,
    /// Blobs of earlier secrets, newest first, while a vault of the box opens with none but those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Vec<SealedBlob>>,
}

/// The box's signing key, and those it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRecord {
    /// The key that signs.
    pub current: IdentityState,
    /// Public keys from before its TPM was cleared or replaced.
    pub former: Vec<Hex>,
    /// The keys to those, as far as they were stored: one whose TPM comes back signs again.
    #[serde(default)]
    pub lost: Vec<IdentityState>,
}

/// A signing key, as far as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum IdentityState {
    /// In the TPM.
    Tpm {
        /// What the TPM gave out.
        blob: IdentityBlob,
    },
    /// With a stand-in: PKCS #8, sealed under the wrapping key's half.
    Software {
        /// The sealed key.
        sealed: Hex,
        /// Its public half, an uncompressed point.
        point: Hex,
    },
}

impl IdentityState {
    /// The public key, an uncompressed point.
    pub fn point(&self) -> &Hex {
        match self {
            Self::Tpm { blob } => &blob.point,
            Self::Software { point, .. } => point,
        }
    }
}
