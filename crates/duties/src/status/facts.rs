//! What a status is made of. Owns the types of the facts; judges nothing.

use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::duty::Standing;
use crate::incident::Incidents;
use crate::policy::{Policy, ShareId};
use crate::schedule::{Room, ShareClock};
use crate::time::{At, Doubt};

/// What is known. Where something is None, nobody could say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// When they were gathered.
    pub gathered: At,
    /// All shares.
    pub shares: Vec<ShareFacts>,
    /// All duties.
    pub book: Book,
    /// All incidents.
    pub incidents: Incidents,
    /// The pool.
    pub pool: Option<PoolFacts>,
    /// The disks.
    pub disks: Vec<DiskFacts>,
    /// The keys.
    pub keys: Option<KeyFacts>,
    /// Who can restore.
    pub people: Option<PeopleFacts>,
    /// The second site; None: there is none.
    pub offsite: Option<Standing>,
    /// That the clock is doubted.
    pub doubt: Option<Doubt>,
}

/// A share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShareFacts {
    /// Which.
    pub id: ShareId,
    /// What people call it.
    pub label: String,
    /// What is promised.
    pub policy: Policy,
    /// Its runs.
    pub clock: ShareClock,
}

/// The pool.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PoolFacts {
    /// Every snapshot can be read.
    pub readable: bool,
    /// A further disk may be lost.
    pub redundant: bool,
    /// From [`Room::step`].
    pub room: Room,
    /// Free without the reserve, bytes.
    pub free_bytes: u64,
    /// In all, bytes.
    pub total_bytes: u64,
}

/// A disk.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DiskFacts {
    /// As the pool or the sticker calls it.
    pub name: String,
    /// `healthy`, `unknown`, `suspect`, `failing` or `missing`.
    pub state: String,
}

/// The keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct KeyFacts {
    /// They are in memory.
    pub unlocked: bool,
    /// Independent ways to unlock them.
    pub ways: u32,
    /// A kit was printed.
    pub kit: bool,
}

/// People.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PeopleFacts {
    /// Users that may restore.
    pub can_restore: u32,
    /// When one of them last signed in with a second factor.
    pub mfa_used: Option<At>,
    /// The last drill.
    pub drill: Option<At>,
}
