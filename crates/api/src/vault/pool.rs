//! Disks and the clock as vaultd is asked about them: it has diskd do what touches a disk, and looks after the pool's data itself. Shapes only.

use serde::{Deserialize, Serialize};

use crate::disks::{Disk, SelfTestKind, Serial};

/// What a disk is to the pool.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Membership {
    /// It holds data of the vault.
    Member,
    /// The pool waits for it: it holds data, and is not there.
    Missing,
    /// Its data is being moved to the others, so that it can be taken out.
    Leaving,
    /// It is none of the pool's.
    None,
}

/// A disk as the box knows it: what diskd says of it, and what it is to the pool.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxDisk {
    /// What the pool calls it; none if it never was a member.
    pub pool_name: Option<String>,
    /// What it is to the pool.
    pub membership: Membership,
    /// What diskd says of it; none for one that is missing, and where diskd can't be asked.
    pub disk: Option<Disk>,
}

/// `GET /v1/disks` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxDisks {
    /// Members first, then the others.
    pub disks: Vec<BoxDisk>,
    /// Why diskd could not be asked; what the pool says stands above all the same.
    pub diskd_silent: Option<String>,
    /// Objects that have to be moved or made again before the pool is as it should be.
    pub to_mend: u64,
}

/// `POST /v1/disks/add`, verb `disks-change`: all that is on the disk is gone, and it becomes a member. With `replaces`, that member is given up.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddDisk {
    /// The disk.
    pub serial: Serial,
    /// Its serial number, as the person typed it from the sticker.
    pub typed_serial: String,
    /// What the pool calls the member in whose place it comes.
    #[serde(default)]
    pub replaces: Option<String>,
}

/// `POST /v1/disks/remove`, verb `disks-change`: its data moves to the others; then it may be taken out.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveDisk {
    /// What the pool calls it.
    pub pool_name: String,
}

/// `POST /v1/disks/locate`, verb `disks-test`: its light blinks.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocateDisk {
    /// The disk.
    pub serial: Serial,
    /// For so long; 0 ends it.
    pub seconds: u32,
}

/// `POST /v1/disks/self-test`, verb `disks-test`: the disk tests itself, hours for a long one.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestDisk {
    /// The disk.
    pub serial: Serial,
    /// Which test.
    pub kind: SelfTestKind,
}

/// `POST /v1/test-restores`, verb `test-restore`: the monthly test, now. It shows among restores.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRestores {
    /// Of this tier; of all that have copies if absent.
    #[serde(default)]
    pub tier: Option<super::Tier>,
}

/// `POST /v1/clock/confirm`, verb `settings-change`: a person says that the machine's clock is right.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmClock {
    /// What the person was shown: it has to be within five minutes of the machine's clock still.
    pub at: i64,
}

/// Its answer.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockConfirmed {
    /// By how many seconds the box's time moved.
    pub moved_s: i64,
}
