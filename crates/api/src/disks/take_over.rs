//! The disks of a box that is no more, given to another one.

use serde::{Deserialize, Serialize};

use super::Serial;

/// `POST /v1/boxes/take-over`: all disks that are here with labels of a box that is no more become this one's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeOver {
    /// That box's public key, as in [`super::Standing::OtherBox`].
    pub key: String,
    /// The serial number of one of these disks, as a person typed it.
    pub typed_serial: String,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenOver {
    /// Disks that are mounted now.
    pub mounted: Vec<Serial>,
    /// Disks that could not be mounted.
    pub left: Vec<Serial>,
}
