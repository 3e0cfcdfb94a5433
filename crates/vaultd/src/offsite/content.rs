//! How good what a receiver keeps is: signed for, young enough, and proven to be there. A receipt alone is a promise, and a challenge alone says nothing of what never came.

use std::collections::BTreeMap;

use keepwell_api::offsite::{ChallengeTold, Receiver, Stands};
use keepwell_duties::{At, Standing};

use super::{Newest, ShareHere};

const DAY: i64 = 86_400;
/// Copies elsewhere, and the proof that they are there, may be so old before somebody is told, seconds.
pub(super) const LATE: i64 = 2 * DAY;
/// A first copy may take so long.
const FIRST: i64 = 14 * DAY;
/// A run's own moment and its snapshot's are read from two clocks.
const SKEW: i64 = 300;

/// What is there.
#[derive(Debug)]
pub(super) struct Content {
    /// What is there is as of then; now, where it is what is here.
    pub(super) oldest: i64,
    /// Until when each share has to be there that is not.
    pub(super) awaited: Vec<i64>,
    pub(super) challenge: Option<ChallengeTold>,
    /// The first challenge is due by then.
    first_due: i64,
    paired_at: i64,
}

impl Content {
    pub(super) fn of(receiver: &Receiver, shares: &BTreeMap<String, ShareHere>, now: i64) -> Self {
        let (mut oldest, mut awaited) = (now, Vec::new());
        for (id, share) in shares.iter().filter(|(_, share)| share.newest != Newest::None) {
            match receiver.signed.iter().find(|signed| signed.share == *id) {
                None => awaited.push(receiver.paired_at.max(share.added_at).saturating_add(FIRST)),
                Some(signed) if is_current(receiver, signed.taken_at, share) => {}
                Some(signed) => oldest = oldest.min(signed.taken_at),
            }
        }
        let first_due = receiver.paired_at.saturating_add(FIRST);
        Self { oldest, awaited, challenge: receiver.challenge.clone(), first_due, paired_at: receiver.paired_at }
    }

    /// What it lost and does not have again.
    pub(super) fn lost(&self) -> u64 {
        self.challenge.as_ref().map_or(0, |challenge| challenge.lost.saturating_sub(challenge.mended))
    }

    /// As of when all of it is signed for and proven.
    pub(super) fn verified_at(&self) -> Option<i64> {
        let challenge = self.challenge.as_ref().filter(|_| self.awaited.is_empty() && self.lost() == 0)?;
        Some(self.oldest.min(challenge.at))
    }

    pub(super) fn standing(&self, now: i64) -> Standing {
        let due = || self.awaited.iter().copied().min().unwrap_or(self.first_due);
        match (self.verified_at(), &self.challenge) {
            (None, Some(challenge)) if self.lost() > 0 => Standing::Failed { at: At(challenge.at), code: "lost".into() },
            (None, _) => Standing::NeverProven { since: At(self.paired_at), due: Some(At(due())) },
            (Some(at), _) if now > at.saturating_add(LATE) => Standing::Overdue { since: At(at.saturating_add(LATE)), at: At(at) },
            (Some(at), _) => Standing::Proven { at: At(at), until: Some(At(at.saturating_add(LATE))) },
        }
    }

    pub(super) fn stands(&self, now: i64) -> Stands {
        match self.standing(now) {
            Standing::Proven { .. } => Stands::Proven,
            Standing::Overdue { .. } => Stands::Overdue,
            Standing::NeverProven { .. } => Stands::NotYet,
            Standing::Failed { .. } => Stands::Lost,
            Standing::Unknown => Stands::Unknown,
        }
    }
}

/// Whether there is a newer copy here that should be there by now.
pub(super) fn is_late(receiver: &Receiver, taken_at: i64, share: &ShareHere, now: i64) -> bool {
    !is_current(receiver, taken_at, share) && now > taken_at.saturating_add(LATE)
}

/// The newest good copy of here is there: however old, nothing can be sent that is not.
fn is_current(receiver: &Receiver, taken_at: i64, share: &ShareHere) -> bool {
    receiver.waiting == 0 || matches!(share.newest, Newest::At(newest) if taken_at.saturating_add(SKEW) >= newest)
}
