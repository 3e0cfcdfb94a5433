//! Which snapshots of a share may be forgotten. Owns the choice; removes nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::policy::Keep;
use crate::time::At;

/// What a snapshot is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Worth {
    /// Everything was read.
    Complete,
    /// Some things could not be read.
    Partial,
    /// Held, locked or otherwise not for this rule: never forgotten by it.
    Held,
}

/// A snapshot, as far as it concerns keeping.
#[derive(Clone, Debug)]
pub struct Snapshot<Id> {
    /// Whatever the caller calls it.
    pub id: Id,
    /// When its run began, box time.
    pub received: At,
    /// What it is worth.
    pub worth: Worth,
}

/// Which of a share's snapshots may go, oldest first. Kept are: the first of each of the newest hours, days, weeks and months that have any (complete ones before partial ones), the newest
/// complete one, the newest of all, the last one there is, held ones, and those that seem to come from the future.
///
/// Ages never matter, only order: a share that stopped keeps what it has, and a clock that is years ahead makes nothing expire.
pub fn forget<Id: Clone + Ord>(snapshots: &[Snapshot<Id>], keep: &Keep, now: At) -> Vec<Id> {
    let mut past: Vec<_> = snapshots.iter().filter(|one| one.worth != Worth::Held && one.received.has_been(now)).collect();
    past.sort_by(|a, b| (a.received, &a.id).cmp(&(b.received, &b.id)));
    let mut kept: BTreeSet<&Id> = BTreeSet::new();
    kept.extend(past.last().map(|one| &one.id));
    kept.extend(past.iter().rfind(|one| one.worth == Worth::Complete).map(|one| &one.id));
    let rules: [(u32, Bucket); 4] = [(keep.hourly, hour), (keep.daily, day), (keep.weekly, week), (keep.monthly, month)];
    for (count, bucket) in rules {
        let buckets: BTreeSet<i64> = past.iter().map(|one| bucket(one.received)).collect();
        for wanted in buckets.iter().rev().take(count as usize) {
            let mut within = past.iter().filter(|one| bucket(one.received) == *wanted);
            let first = within.clone().next();
            kept.extend(within.find(|one| one.worth == Worth::Complete).or(first).map(|one| &one.id));
        }
    }
    past.iter().filter(|one| !kept.contains(&one.id)).map(|one| one.id.clone()).collect()
}

/// The hour, day, week or month that a moment lies in.
type Bucket = fn(At) -> i64;

fn hour(at: At) -> i64 {
    at.0.div_euclid(3_600)
}

fn day(at: At) -> i64 {
    at.0.div_euclid(86_400)
}

/// The first of January 1970 was a Thursday.
fn week(at: At) -> i64 {
    (day(at) + 3).div_euclid(7)
}

/// Months since year 0; a moment that no calendar has is a month of its own.
fn month(at: At) -> i64 {
    let civil = Timestamp::from_second(at.0).map(|moment| TimeZone::UTC.to_datetime(moment));
    civil.map_or(at.0, |civil| i64::from(civil.year()) * 12 + i64::from(civil.month()))
}
