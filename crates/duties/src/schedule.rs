//! When a share runs, and which of those that are due run now. Owns both decisions; starts nothing, knows no clock.

use serde::{Deserialize, Serialize};

use crate::policy::{Policy, ShareId, Tier};
use crate::time::At;

/// Waits after the first failures in a row, seconds.
const RETRY_S: [u32; 5] = [60, 120, 300, 900, 1_800];
/// After these, a share that fails is tried this often (or at its cadence, if that is shorter), so that it is soon copied when its server is back.
const LATER_RETRY_S: u32 = 7_200;
/// A run is slow that takes this many times what it usually takes, or half an hour.
const SLOW: i64 = 4;
/// What a run usually takes, seconds, when nothing is known.
const UNKNOWN_USUAL_S: u32 = 900;
/// Less than this, seconds, is never slow; more than that always is: the others wait as long for a place.
const NEVER_SLOW_S: i64 = 300;
const ALWAYS_SLOW_S: i64 = 1_800;
/// Every other so many seconds, those that have waited long come first: they get half of the places that become free, and not all.
const TURN_S: i64 = 300;
/// Who waits this long for a place, seconds, then goes in front of its tier; who waits [`LONG_WAIT_S`] in front of all.
const WAIT_S: i64 = 3_600;
const LONG_WAIT_S: i64 = 4 * 3_600;

/// How a run ended. Partial is never reported as complete.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = duties::Outcome))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything was read.
    Complete,
    /// Some things could not be read.
    Partial {
        /// How many.
        gaps: u64,
    },
    /// The source collapsed or was swapped: kept aside until a person decides.
    Held {
        /// Why, a stable word.
        code: String,
    },
    /// No snapshot.
    Failed {
        /// Why, a stable word such as `password` or `unreachable`.
        code: String,
    },
    /// It was cut: the program ended, or the power did.
    Cut,
    /// A person cancelled it.
    Cancelled,
}

/// What is known of a share's runs. State.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ShareClock {
    /// When the share was added.
    pub added: At,
    /// When the newest run began.
    pub last_started: Option<At>,
    /// When the newest run that ended did.
    pub last_finished: Option<At>,
    /// When the newest run *began* that gave a copy (complete or partial): its data is as of then.
    pub last_good: Option<At>,
    /// How the newest run that ended did.
    pub last_outcome: Option<Outcome>,
    /// A run goes on.
    pub running: bool,
    /// Runs that failed or were cut since the last that did not.
    pub failures_in_row: u32,
    /// What a run that gives a copy usually takes, seconds.
    pub usual_s: Option<u32>,
    /// The newest run that ended was slow.
    pub was_slow: bool,
}

impl ShareClock {
    /// A share that never ran.
    pub fn new(added: At) -> Self {
        Self {
            added,
            last_started: None,
            last_finished: None,
            last_good: None,
            last_outcome: None,
            running: false,
            failures_in_row: 0,
            usual_s: None,
            was_slow: false,
        }
    }

    /// A run begins.
    pub fn started(&mut self, at: At) {
        self.last_started = Some(at);
        self.running = true;
    }

    /// The run that goes on ends; does nothing when none does. After a restart of the program: `Outcome::Cut`.
    pub fn finished(&mut self, at: At, outcome: Outcome) {
        let Some(started) = self.last_started.filter(|_| self.running) else { return };
        let took_s = at.since(started).clamp(0, i64::from(u32::MAX));
        self.was_slow = took_s > slow_after(self.usual_s);
        match outcome {
            Outcome::Complete | Outcome::Partial { .. } => {
                self.last_good = Some(started);
                self.failures_in_row = 0;
                let took_s = took_s as u32;
                self.usual_s = Some(self.usual_s.map_or(took_s, |usual| usual - usual / 4 + took_s / 4));
            }
            Outcome::Failed { .. } | Outcome::Cut => self.failures_in_row = self.failures_in_row.saturating_add(1),
            Outcome::Held { .. } | Outcome::Cancelled => self.failures_in_row = 0,
        }
        self.running = false;
        self.last_finished = Some(at);
        self.last_outcome = Some(outcome);
    }

    /// How old the newest copy is, seconds; None when there is none, or its date lies in the future.
    pub fn copy_age_s(&self, now: At) -> Option<i64> {
        self.last_good.filter(|good| good.has_been(now)).map(|good| now.since(good).max(0))
    }

    /// Whether the run that goes on takes long, or the one before did.
    pub fn is_slow(&self, now: At) -> bool {
        self.running && (self.was_slow || self.last_started.is_some_and(|started| now.since(started) > slow_after(self.usual_s)))
    }

    /// Moves all moments, after box time was set back by a person.
    pub fn shift(&mut self, by: i64) {
        let moments = [&mut self.last_started, &mut self.last_finished, &mut self.last_good];
        moments.into_iter().flatten().chain([&mut self.added]).for_each(|at| *at = at.plus(by));
    }
}

/// When a share is to run, and why then.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Due {
    /// From when on; in the past when it is late.
    pub at: At,
    /// Why.
    pub why: Why,
}

/// Why a share is due when it is.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// There is no copy yet.
    First,
    /// It is time.
    Cadence,
    /// The last run failed.
    Retry,
    /// Runs were missed; they are made up for by one.
    CatchUp,
    /// It waits until the clinic has closed.
    ClinicHours,
    /// The clinic works, but waiting longer would break the promise.
    Promise,
}

/// When the share is to run next. While it runs, the answer is for after that.
pub fn next_due(share: &ShareId, policy: &Policy, clock: &ShareClock, now: At) -> Due {
    let due = unspared(share, policy, clock, now);
    let hours = policy.clinic_hours.as_ref().filter(|hours| hours.spared && policy.tier != Tier::One);
    let (Some(hours), Some(good)) = (hours, clock.last_good) else { return due };
    let Some(closes) = hours.ends(due.at.max(now)) else { return due };
    let latest = good.plus(i64::from(policy.copy_age_goal_s) - headroom_s(policy, clock)).max(due.at);
    if latest < closes { Due { at: latest, why: Why::Promise } } else { Due { at: closes, why: Why::ClinicHours } }
}

fn unspared(share: &ShareId, policy: &Policy, clock: &ShareClock, now: At) -> Due {
    let Some(started) = clock.last_started else { return Due { at: clock.added.min(now), why: Why::First } };
    if !started.has_been(now) {
        return Due { at: now, why: Why::CatchUp };
    }
    let cadence = i64::from(policy.cadence_s.max(1));
    let regular = slot_after(share, cadence, started);
    if clock.failures_in_row > 0 && !clock.running {
        let ended = clock.last_finished.unwrap_or(started).min(now);
        return Due { at: ended.plus(retry_wait_s(policy, clock)), why: Why::Retry };
    }
    let why = if now.since(regular) > cadence { Why::CatchUp } else { Why::Cadence };
    Due { at: regular, why }
}

/// The first of the share's own places in its cadence that leaves half a cadence since the last start. Each share has another place, so that not all run at once.
fn slot_after(share: &ShareId, cadence: i64, started: At) -> At {
    let place = (spread(share) % cadence as u64) as i64;
    let earliest = started.0.saturating_add(cadence / 2 + 1);
    At(earliest.saturating_add((place - earliest).rem_euclid(cadence)))
}

/// FNV-1a: the same place on every box and after every restart.
fn spread(share: &ShareId) -> u64 {
    share.0.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn retry_wait_s(policy: &Policy, clock: &ShareClock) -> i64 {
    let nth = clock.failures_in_row.saturating_sub(1) as usize;
    let wait = i64::from(RETRY_S.get(nth).copied().unwrap_or(LATER_RETRY_S).min(policy.cadence_s));
    // A run that fails after hours is not worth repeating after a minute. One that was cut says nothing: the box may have been off since.
    let failed = matches!(clock.last_outcome, Some(Outcome::Failed { .. }));
    let took = clock.last_started.zip(clock.last_finished).filter(|_| failed).map_or(0, |(from, to)| to.since(from));
    wait.max(took.min(i64::from(policy.cadence_s) / 2))
}

/// What has to be left of a goal when a share becomes due: twice what a run usually takes, and a quarter of the goal, since it may have to wait for a place.
fn headroom_s(policy: &Policy, clock: &ShareClock) -> i64 {
    let goal = i64::from(policy.copy_age_goal_s);
    (2 * i64::from(clock.usual_s.unwrap_or(UNKNOWN_USUAL_S)) + goal / 4).min(goal / 2)
}

fn slow_after(usual_s: Option<u32>) -> i64 {
    (SLOW * i64::from(usual_s.unwrap_or(UNKNOWN_USUAL_S))).clamp(NEVER_SLOW_S, ALWAYS_SLOW_S)
}

/// How much room the pool has.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Room {
    /// Enough.
    #[default]
    Ample,
    /// Tier 3 pauses.
    Short,
    /// Tier 2 pauses too.
    Scarce,
    /// Nothing is left; tier 1 is tried to the end.
    Full,
}

impl Room {
    /// From what is free of the pool without its reserve. It gets better only with two per cent to spare, so that it does not swing.
    #[must_use]
    pub fn step(self, free_bytes: u64, total_bytes: u64) -> Self {
        let free = (u128::from(free_bytes) * 1_000 / u128::from(total_bytes.max(1))).min(1_000) as i64;
        let at = |slack: i64| match free - slack {
            i64::MIN..=0 => Self::Full,
            1..=29 => Self::Scarce,
            30..=79 => Self::Short,
            _ => Self::Ample,
        };
        if at(0) >= self { at(0) } else { at(20).min(self) }
    }

    /// Whether a tier pauses.
    pub fn pauses(self, tier: Tier) -> bool {
        match tier {
            Tier::One => false,
            Tier::Two => self >= Self::Scarce,
            Tier::Three => self >= Self::Short,
        }
    }
}

/// A share that could run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Which.
    pub share: ShareId,
    /// How much it is needed.
    pub tier: Tier,
    /// From [`next_due`].
    pub due: At,
    /// From [`ShareClock::was_slow`].
    pub slow: bool,
}

/// A share that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Running {
    /// Which.
    pub share: ShareId,
    /// From [`ShareClock::is_slow`].
    pub slow: bool,
}

/// Which shares start now. `slots` are the runs at once; tier 1 has half as many again (at least one) of its own, so that it waits for no long run of another tier.
/// Slow runs take all places but one at most, so that a slow share delays no other. A run that becomes slow while all others are makes room for one more, up to
/// twice `slots` runs in all.
pub fn pick(due: &[Candidate], running: &[Running], slots: usize, room: Room, now: At) -> Vec<ShareId> {
    let mut waiting: Vec<_> = due.iter().filter(|candidate| candidate.due <= now && !room.pauses(candidate.tier)).collect();
    waiting.retain(|candidate| running.iter().all(|run| run.share != candidate.share));
    waiting.sort_by_key(|candidate| (rank(candidate, now), candidate.due, &candidate.share));
    let most_slow = if slots > 1 { slots - 1 } else { 1 };
    let mut slow = running.iter().filter(|run| run.slow).count();
    let mut fast = running.len() - slow;
    let mut picked: Vec<ShareId> = Vec::new();
    for candidate in waiting {
        let places = if candidate.tier == Tier::One && !candidate.slow { slots + slots.div_ceil(2) } else { slots };
        let taken = fast + slow.min(slots.saturating_sub(1));
        let full = taken >= places || fast + slow >= 2 * slots;
        if full || picked.contains(&candidate.share) || (candidate.slow && slow >= most_slow) {
            continue;
        }
        *(if candidate.slow { &mut slow } else { &mut fast }) += 1;
        picked.push(candidate.share.clone());
    }
    picked
}

/// Tiers go first to last, but nobody waits for ever: in their turn, waiting lifts shares above their tier.
fn rank(candidate: &Candidate, now: At) -> u8 {
    let tier = candidate.tier as u8;
    match now.since(candidate.due) {
        _ if now.0.div_euclid(TURN_S) % 2 == 0 => tier,
        LONG_WAIT_S.. => 0,
        WAIT_S.. => tier.saturating_sub(1),
        _ => tier,
    }
}
