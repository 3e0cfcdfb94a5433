//! The first pool of a box: the disks that a person chose become it. Shapes only.

use serde::{Deserialize, Serialize};

use crate::disks::Serial;

/// A disk for the first pool: all that is on it is gone.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstDisk {
    /// The disk.
    pub serial: Serial,
    /// Its serial number, as the person typed it from the sticker.
    pub typed_serial: String,
}

/// `POST /v1/pool`, verb `disks-change`, owners only: disks and keys for a box that has neither. Asked again, with the same disks or others, after it was cut or refused, it goes on where it was.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatePool {
    /// In the order of the pool's places; 1 to 24.
    pub disks: Vec<FirstDisk>,
    /// Data shards of an object. With `parity`; both by the number of disks if absent: 1+0, 1+1, 2+1 for up to five, 4+2.
    #[serde(default)]
    pub data: Option<u8>,
    /// Parity shards of an object: so many disks may fail.
    #[serde(default)]
    pub parity: Option<u8>,
    /// Whose data it will hold, for the papers of the recovery kit: one line of at most 200 bytes; the box's name if absent.
    #[serde(default)]
    pub owner: Option<String>,
}

/// How far a box is with its first pool.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolPhase {
    /// It has none.
    None,
    /// It is being made now, by a request that has not been answered yet.
    Making,
    /// It was begun and cut: `POST /v1/pool` goes on with it.
    Begun,
    /// There is one. Whether it is open, `GET /v1/vault` says.
    There,
}

/// `GET /v1/pool` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMaking {
    /// How far the box is.
    pub phase: PoolPhase,
    /// The disks of one that is being made or was begun.
    pub disks: Vec<Serial>,
    /// Of these, those that stand ready.
    pub ready: Vec<Serial>,
    /// Why one that was begun is not there yet, in words for people; none when nobody knows, as after a power cut.
    pub failed: Option<String>,
    /// The vault that is being fetched from another box into it, if so.
    #[serde(default)]
    pub recovering: Option<String>,
}
