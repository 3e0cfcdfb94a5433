//! What the box's own screen has vaultd record, or do, when somebody has signed in there. Shapes only.

use serde::{Deserialize, Serialize};

use crate::disks::Serial;

/// `POST /v1/disks/outward`, verb `disks-change`: all that is on the disk is gone; a plain file system to restore to and take away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareOutward {
    /// The disk.
    pub serial: Serial,
    /// Its serial number, as the person typed it from the sticker.
    pub typed_serial: String,
}

/// `POST /v1/address`, verb `settings-change`: the screen is about to set the machine's address, and has it recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteAddress {
    /// In words, one line; what the network gives if absent.
    #[serde(default)]
    pub address: Option<String>,
}
