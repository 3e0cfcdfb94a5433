//! What a disk is to a box, from what holds it and what is on it. A shape: diskd decides.

use serde::{Deserialize, Serialize};

/// What a disk is to this box.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Standing {
    /// The box runs from it, or keeps its state on it. Never touched.
    Own {
        /// What is on it.
        why: String,
    },
    /// Something else uses it.
    Busy {
        /// What.
        by: String,
    },
    /// Nothing is on it.
    Blank,
    /// Something that is not Keepwell's is on it.
    Foreign {
        /// What was recognised.
        what: String,
    },
    /// Prepared by this box.
    Prepared {
        /// The disk's id, 32 hexadecimal digits.
        disk: String,
        /// Where its file system is.
        mounted_at: Option<String>,
        /// Why its file system can't be read, as far as it was tried. diskd tries again by itself, and at once when the disk is plugged in anew.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unreadable: Option<String>,
    },
    /// Prepared by another box.
    OtherBox {
        /// The disk's id.
        disk: String,
        /// The name of that box.
        name: String,
        /// Its public key, SEC1 uncompressed, which signed the label. Disks of one box have the same.
        #[serde(default)]
        key: String,
        /// Whether the signature was verified with a key that this box knows.
        known: bool,
        /// Where its file system is.
        mounted_at: Option<String>,
    },
    /// It has a label of Keepwell's that does not hold.
    Spoilt {
        /// What is wrong with it.
        why: String,
    },
    /// Not looked at yet, or it can't be read.
    Unread {
        /// Why not.
        why: String,
        /// Whether reading it was tried, and failed.
        #[serde(default)]
        failed: bool,
    },
    /// Not connected.
    Absent,
}

impl Standing {
    /// Why a disk can't be used, though it is connected: this box labelled it, or it may have, which can't be seen where nothing of the disk can be read.
    pub fn unreadable(&self) -> Option<&str> {
        match self {
            Self::Prepared { mounted_at: None, unreadable, .. } => unreadable.as_deref(),
            Self::Spoilt { why } | Self::Unread { why, failed: true } => Some(why),
            _ => None,
        }
    }
}
