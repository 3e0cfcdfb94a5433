//! What is promised for a share: how often it is copied, how old its newest copy may get, what is kept, and when its server is spared.
//! Owns the types and their limits; decides no moment.

use std::sync::LazyLock;

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::time::At;

const LONGEST_S: u32 = 366 * 86_400;

/// Compiled in, so that no file of the system decides when a share runs.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A share as the caller names it: an opaque id, never a name that a patient or a person could be known by.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShareId(pub String);

impl std::fmt::Display for ShareId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much a clinic needs a share: the first is what it can't see patients without.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = duties::Tier))]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Hourly by default; runs at all hours and to the last byte of room.
    One,
    /// Every four hours by default.
    Two,
    /// Daily by default; the first to pause when room gets short.
    Three,
}

impl Tier {
    /// All, the most important first.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Three];

    /// 1 to 3.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }
}

/// How many snapshots are kept: the first good one of each of the newest so many hours, days, weeks and months that have any.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Keep {
    /// Hours.
    pub hourly: u32,
    /// Days (UTC).
    pub daily: u32,
    /// Weeks (from Monday, UTC).
    pub weekly: u32,
    /// Months (UTC).
    pub monthly: u32,
}

/// Hours of the week at which a clinic works, in its own time zone.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Weekly {
    /// Days on which the hours begin: Monday is 0, Sunday 6.
    pub days: Vec<u8>,
    /// First minute, counted from midnight.
    pub from_min: u16,
    /// The minute after the last; not after `from_min` means on the next day.
    pub to_min: u16,
    /// IANA name, such as `America/Chicago`.
    pub tz: String,
    /// Whether tiers 2 and 3 leave the servers alone in these hours, as long as no promise is broken by it.
    pub spared: bool,
}

/// What is promised for a share.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// How much it is needed.
    pub tier: Tier,
    /// Seconds from one run to the next.
    pub cadence_s: u32,
    /// How old, seconds, the newest copy may get: counted from when its run began.
    pub copy_age_goal_s: u32,
    /// When the clinic works.
    pub clinic_hours: Option<Weekly>,
    /// What is kept.
    pub keep: Keep,
    /// How many files the monthly test restore takes from the share.
    pub test_sample: u32,
}

/// Why a policy can't hold. Display is for the person who set it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// The cadence.
    #[error("a share is copied at least once a year and at most once a second; {0} s is neither")]
    Cadence(u32),
    /// The goal.
    #[error("a copy can't be promised to be younger than one and a half times the {cadence_s} s between two runs; {goal_s} s is")]
    Goal {
        /// Promised, seconds.
        goal_s: u32,
        /// Between runs, seconds.
        cadence_s: u32,
    },
    /// The hours.
    #[error("the clinic's hours name a day or a time that does not exist")]
    Hours,
    /// The time zone.
    #[error("there is no time zone '{0}'; they look like Europe/Berlin")]
    Zone(String),
    /// Nothing would be kept.
    #[error("a policy that keeps nothing is no backup")]
    KeepsNothing,
}

impl Policy {
    /// The usual promise of a tier.
    pub fn of(tier: Tier) -> Self {
        let (cadence_s, keep) = match tier {
            Tier::One => (3_600, Keep { hourly: 48, daily: 35, weekly: 13, monthly: 24 }),
            Tier::Two => (14_400, Keep { hourly: 18, daily: 35, weekly: 13, monthly: 24 }),
            Tier::Three => (86_400, Keep { hourly: 0, daily: 14, weekly: 8, monthly: 12 }),
        };
        Self { tier, cadence_s, copy_age_goal_s: 2 * cadence_s, clinic_hours: None, keep, test_sample: 100 }
    }

    /// Whether it can be kept at all.
    ///
    /// # Errors
    /// The first thing about it that can't.
    pub fn check(&self) -> Result<(), PolicyError> {
        if !(1..=LONGEST_S).contains(&self.cadence_s) {
            return Err(PolicyError::Cadence(self.cadence_s));
        }
        if u64::from(self.copy_age_goal_s) * 2 < u64::from(self.cadence_s) * 3 || self.copy_age_goal_s > LONGEST_S {
            return Err(PolicyError::Goal { goal_s: self.copy_age_goal_s, cadence_s: self.cadence_s });
        }
        let Keep { hourly, daily, weekly, monthly } = self.keep;
        if [hourly, daily, weekly, monthly].iter().all(|kept| *kept == 0) {
            return Err(PolicyError::KeepsNothing);
        }
        self.clinic_hours.as_ref().map_or(Ok(()), Weekly::check)
    }

    /// Whether `to` promises less than this: an older copy, fewer runs, less kept or tested, or a lower tier. That takes an owner.
    pub fn is_loosened_by(&self, to: &Self) -> bool {
        to.tier > self.tier
            || to.cadence_s > self.cadence_s
            || to.copy_age_goal_s > self.copy_age_goal_s
            || to.test_sample < self.test_sample
            || to.keep.hourly < self.keep.hourly
            || to.keep.daily < self.keep.daily
            || to.keep.weekly < self.keep.weekly
            || to.keep.monthly < self.keep.monthly
    }
}

impl Weekly {
    /// Whether there are such days, times and such a time zone.
    ///
    /// # Errors
    /// What there is not.
    pub fn check(&self) -> Result<(), PolicyError> {
        let times = self.from_min < 1_440 && self.to_min <= 1_440;
        if !times || self.days.is_empty() || self.days.len() > 7 || self.days.iter().any(|day| *day > 6) {
            return Err(PolicyError::Hours);
        }
        ZONES.get(&self.tz).map(|_| ()).map_err(|_| PolicyError::Zone(self.tz.clone()))
    }

    /// When the hours that `at` lies in end; None outside of them. Hours that follow each other without a break count as one stretch, up to a week.
    /// A time zone that nobody knows has no hours: a promise is worth more than a server's ease.
    pub fn ends(&self, at: At) -> Option<At> {
        let zone = ZONES.get(&self.tz).ok()?;
        let mut end = self.stretch(&zone, at)?;
        for _ in 0..7 {
            match self.stretch(&zone, end) {
                Some(further) if further > end => end = further,
                _ => break,
            }
        }
        Some(end)
    }

    /// When the next hours begin, after `at`. None where nobody knows the time zone, or there are no days.
    pub fn begins(&self, at: At) -> Option<At> {
        let zone = ZONES.get(&self.tz).ok()?;
        let mut day = zone.to_datetime(Timestamp::from_second(at.0).ok()?).date();
        for _ in 0..9 {
            let begins = moment(&zone, day.to_datetime(Time::midnight()), self.from_min)?;
            if self.has(day.weekday()) && begins > at {
                return Some(begins);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// The end of the one day's hours that `at` lies in: those that began today, or yesterday and go on over midnight.
    fn stretch(&self, zone: &TimeZone, at: At) -> Option<At> {
        let today = zone.to_datetime(Timestamp::from_second(at.0).ok()?).date();
        let days = [Some(today), today.yesterday().ok()];
        days.into_iter().flatten().filter(|day| self.has(day.weekday())).find_map(|day| {
            let overnight = self.to_min <= self.from_min;
            let last = if overnight { day.tomorrow().ok()? } else { day };
            let from = moment(zone, day.to_datetime(Time::midnight()), self.from_min)?;
            let to = moment(zone, last.to_datetime(Time::midnight()), self.to_min)?;
            (from..to).contains(&at).then_some(to)
        })
    }

    fn has(&self, day: Weekday) -> bool {
        self.days.iter().any(|known| i8::try_from(*known) == Ok(day.to_monday_zero_offset()))
    }
}

/// The newest moment up to `at` at which it was this hour of the day in a time zone; in UTC where none is given, or nobody knows it.
pub(crate) fn last_hour(hour: u16, zone: Option<&str>, at: At) -> Option<At> {
    let zone = zone.and_then(|zone| ZONES.get(zone).ok()).unwrap_or(TimeZone::UTC);
    let today = zone.to_datetime(Timestamp::from_second(at.0).ok()?).date();
    let days = [Some(today), today.yesterday().ok()].into_iter().flatten();
    days.filter_map(|day| moment(&zone, day.to_datetime(Time::midnight()), hour * 60)).find(|hour| *hour <= at)
}

fn moment(zone: &TimeZone, midnight: DateTime, minute: u16) -> Option<At> {
    let civil = midnight.checked_add(i64::from(minute).minutes()).ok()?;
    zone.to_timestamp(civil).ok().map(|timestamp| At(timestamp.as_second()))
}
