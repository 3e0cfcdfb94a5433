//! What a box owes, until when, and how a duty stands. Owns the deadlines and the judgement; proves nothing itself.

use serde::{Deserialize, Serialize};

use crate::policy::{Policy, ShareId, Tier};
use crate::time::At;

const DAY_S: u64 = 86_400;
/// A first copy may take this long, seconds, before its absence is an incident, whatever the goal is.
const FIRST_COPY_S: u64 = DAY_S;

/// A kind of promise. The ones with a deadline decay to overdue by silence; the others are broken by a failure only.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DutyKind {
    /// A share's newest copy is young enough. Proven as of the moment its run began.
    CopyAge,
    /// A share's runs succeed. No deadline.
    Runs,
    /// A share is copied without gaps. No deadline.
    Gaps,
    /// A share's newest snapshot is not held. No deadline.
    Held,
    /// All of the pool was read and was whole.
    Scrub,
    /// A sample of a tier was restored and was equal.
    TestRestore,
    /// A paper of the kit was typed and opens the newest key.
    KitRehearsal,
    /// A disk answers and is healthy.
    Disk,
    /// The clock is believed.
    Time,
    /// The box has power. No deadline.
    Power,
    /// The pool can be read and written and has room.
    Pool,
    /// The keys are there, with two ways to unlock them.
    Keys,
    /// The log is whole.
    Log,
    /// The box's own state lies in the vault as it is now. No deadline.
    State,
    /// What the box says reaches people. No deadline.
    Notices,
    /// The copies are closed to who has no account: broken while an emergency has opened them. No deadline.
    Emergency,
    /// Somebody looked at what was read in an emergency. No deadline.
    EmergencyReview,
    /// Old copies are forgotten as was promised: broken while somebody has stopped that. No deadline.
    Deletions,
    /// The box that keeps copies elsewhere answers, and is the one that was paired.
    OffsiteContact,
    /// What is there is young enough and was proven to be there. No deadline: whoever asks there judges it.
    OffsiteCopy,
    /// It has what it signed for. No deadline.
    OffsiteLoss,
    /// What it signs and answers can be right. No deadline.
    OffsiteReceipts,
    /// There is room for what is still to come. No deadline.
    OffsiteRoom,
    /// Nobody has ordered that something be kept there for a shorter time than was promised. No deadline.
    OffsiteOrders,
    /// Nobody tried to get in where other boxes do, or somebody looked at it. No deadline.
    OffsiteDoor,
}

impl DutyKind {
    /// The word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::CopyAge => "copy-age",
            Self::Runs => "runs",
            Self::Gaps => "gaps",
            Self::Held => "held",
            Self::Scrub => "scrub",
            Self::TestRestore => "test-restore",
            Self::KitRehearsal => "kit-rehearsal",
            Self::Disk => "disk",
            Self::Time => "time",
            Self::Power => "power",
            Self::Pool => "pool",
            Self::Keys => "keys",
            Self::Log => "log",
            Self::State => "state",
            Self::Notices => "notices",
            Self::Emergency => "emergency",
            Self::EmergencyReview => "emergency-review",
            Self::Deletions => "deletions",
            Self::OffsiteContact => "offsite-contact",
            Self::OffsiteCopy => "offsite-copy",
            Self::OffsiteLoss => "offsite-loss",
            Self::OffsiteReceipts => "offsite-receipts",
            Self::OffsiteRoom => "offsite-room",
            Self::OffsiteOrders => "offsite-orders",
            Self::OffsiteDoor => "offsite-door",
        }
    }
}

impl DutyKind {
    /// Whether it is about boxes elsewhere.
    pub fn is_offsite(self) -> bool {
        use DutyKind::{OffsiteContact, OffsiteCopy, OffsiteDoor, OffsiteLoss, OffsiteOrders, OffsiteReceipts, OffsiteRoom};
        matches!(self, OffsiteOrders | OffsiteContact | OffsiteCopy | OffsiteLoss | OffsiteReceipts | OffsiteRoom | OffsiteDoor)
    }
}

/// What a duty is about.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(tag = "is", content = "id", rename_all = "kebab-case")]
pub enum Subject {
    /// The box as a whole.
    Box,
    /// A share.
    Share(ShareId),
    /// All shares of a tier.
    Tier(Tier),
    /// A paper of the kit, by the number printed on it.
    Paper(String),
    /// A disk, by its name or serial number.
    Disk(String),
    /// One time that copies were opened in an emergency, by its number: each is told of anew.
    Opening(u64),
    /// A box that keeps copies for this one, by what people call its place.
    Peer(String),
    /// A practice whose copies this box keeps, by its name.
    Tenant(String),
}

/// One promise about one thing. Also what an incident is known by.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Duty {
    /// Which promise.
    pub kind: DutyKind,
    /// About what.
    pub subject: Subject,
}

impl Duty {
    /// A promise about the box as a whole.
    pub fn of_box(kind: DutyKind) -> Self {
        Self { kind, subject: Subject::Box }
    }

    /// A promise about a share.
    pub fn of_share(kind: DutyKind, share: &ShareId) -> Self {
        Self { kind, subject: Subject::Share(share.clone()) }
    }

    /// The monthly test restore of a tier.
    pub fn test_restore(tier: Tier) -> Self {
        Self { kind: DutyKind::TestRestore, subject: Subject::Tier(tier) }
    }

    /// The rehearsal of a paper.
    pub fn rehearsal(paper: &str) -> Self {
        Self { kind: DutyKind::KitRehearsal, subject: Subject::Paper(paper.into()) }
    }

    /// That what an emergency opened is closed.
    pub fn emergency(opening: u64) -> Self {
        Self { kind: DutyKind::Emergency, subject: Subject::Opening(opening) }
    }

    /// That somebody looked at what was read in it.
    pub fn emergency_review(opening: u64) -> Self {
        Self { kind: DutyKind::EmergencyReview, subject: Subject::Opening(opening) }
    }

    /// What is owed by a box that keeps copies for this one.
    pub fn of_peer(kind: DutyKind, place: &str) -> Self {
        Self { kind, subject: Subject::Peer(place.into()) }
    }

    /// That a practice whose copies are kept here has room for more.
    pub fn room_of_tenant(practice: &str) -> Self {
        Self { kind: DutyKind::OffsiteRoom, subject: Subject::Tenant(practice.into()) }
    }

    /// That nobody has ordered to keep a practice's copies for a shorter time here.
    pub fn orders_of_tenant(practice: &str) -> Self {
        Self { kind: DutyKind::OffsiteOrders, subject: Subject::Tenant(practice.into()) }
    }

    /// The health of a disk.
    pub fn disk(name: &str) -> Self {
        Self { kind: DutyKind::Disk, subject: Subject::Disk(name.into()) }
    }
}

/// Numbers that belong to a proof or a failure, by stable names with their unit. Never names of files or people.
pub type Numbers = Vec<(String, i64)>;

/// That a duty was done.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// As of when.
    pub at: At,
    /// What was counted.
    pub numbers: Numbers,
}

/// That a duty was tried, or looked at, and is not done.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: At,
    /// Why, a stable word.
    pub code: String,
    /// What was counted.
    pub numbers: Numbers,
}

/// A duty with its deadline and what is known. State.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    /// Which.
    pub duty: Duty,
    /// Since when it is owed.
    pub since: At,
    /// Seconds from one proof to the next; None: broken by a failure only.
    pub within_s: Option<u64>,
    /// The tier of the share or tier that it is about: how loud an incident is.
    pub tier: Option<Tier>,
    /// The newest proof.
    pub proven: Option<Proof>,
    /// A failure after it.
    pub failed: Option<Failure>,
}

/// How a duty stands now. Failed, never tested, too old and unknown are different things.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = duties::Standing))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Standing {
    /// Done, and good until then.
    Proven {
        /// As of when.
        at: At,
        /// None: until something fails.
        until: Option<At>,
    },
    /// The last proof is too old.
    Overdue {
        /// Since when.
        since: At,
        /// The last proof.
        at: At,
    },
    /// Never done.
    NeverProven {
        /// Owed since.
        since: At,
        /// Late from then on.
        due: Option<At>,
    },
    /// It failed after the last proof.
    Failed {
        /// When.
        at: At,
        /// Why, a stable word.
        code: String,
    },
    /// The last proof has a date in the future, or nobody ever owed it: nothing can be said.
    Unknown,
}

impl Standing {
    /// Nothing is wrong with it now: it is proven.
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven { .. })
    }

    /// A promise is broken, rather than not yet kept.
    pub fn is_broken(&self, now: At) -> bool {
        match self {
            Self::Proven { .. } => false,
            Self::Overdue { .. } | Self::Failed { .. } | Self::Unknown => true,
            Self::NeverProven { due, .. } => due.is_some_and(|due| now > due),
        }
    }
}

impl Owed {
    /// How it stands.
    pub fn standing(&self, now: At) -> Standing {
        if let Some(failed) = &self.failed {
            return Standing::Failed { at: failed.at, code: failed.code.clone() };
        }
        let Some(proof) = &self.proven else {
            return Standing::NeverProven {
                since: self.since,
                due: self.within_s.map(|within| self.since.plus(self.first_s(within) as i64)),
            };
        };
        if !proof.at.has_been(now) {
            return Standing::Unknown;
        }
        let until = self.within_s.map(|within| proof.at.plus(within.min(i64::MAX as u64) as i64));
        match until {
            Some(until) if now > until => Standing::Overdue { since: until, at: proof.at },
            _ => Standing::Proven { at: proof.at, until },
        }
    }

    fn first_s(&self, within: u64) -> u64 {
        let first = if self.duty.kind == DutyKind::CopyAge { within.max(FIRST_COPY_S) } else { within };
        first.min(i64::MAX as u64)
    }
}

/// How long a proof of this kind is good, seconds. `policy` is the share's, for its copy age; without one it is a day.
pub fn deadline_s(kind: DutyKind, policy: Option<&Policy>) -> Option<u64> {
    match kind {
        DutyKind::CopyAge => Some(policy.map_or(DAY_S, |policy| u64::from(policy.copy_age_goal_s))),
        DutyKind::Scrub | DutyKind::TestRestore => Some(35 * DAY_S),
        DutyKind::KitRehearsal => Some(95 * DAY_S),
        DutyKind::Disk | DutyKind::Keys | DutyKind::Pool | DutyKind::Time => Some(DAY_S),
        DutyKind::Log | DutyKind::OffsiteContact => Some(2 * DAY_S),
        DutyKind::Runs | DutyKind::Gaps | DutyKind::Held | DutyKind::Power | DutyKind::State | DutyKind::Notices => None,
        DutyKind::Emergency | DutyKind::EmergencyReview | DutyKind::Deletions => None,
        DutyKind::OffsiteCopy | DutyKind::OffsiteLoss | DutyKind::OffsiteReceipts | DutyKind::OffsiteRoom => None,
        DutyKind::OffsiteOrders | DutyKind::OffsiteDoor => None,
    }
}
