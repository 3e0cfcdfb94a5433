//! "Can I restore today?" Owns the one function that answers it, for the console, the command line, mail and metrics alike; never guesses: what was not said is not proven.

mod facts;
mod words;

pub use facts::{DiskFacts, Facts, KeyFacts, PeopleFacts, PoolFacts, ShareFacts};

use serde::{Deserialize, Serialize};

use crate::duty::{Duty, DutyKind, Standing};
use crate::incident::{Incident, Severity};
use crate::policy::{Policy, ShareId, Tier};
use crate::schedule::{Due, Outcome, Room, ShareClock, next_due};
use crate::time::{At, Doubt};
use crate::words::{Text, text};

/// Facts older than this, seconds, say nothing about now.
const FRESH_S: i64 = 300;
const MFA_S: i64 = 90 * 86_400;
const DRILL_S: i64 = 366 * 86_400;

/// The answer in one word.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Headline {
    /// All is proven.
    Yes,
    /// There is a proven copy, and something lacks.
    Partly,
    /// There are copies, and nothing proves that they are good.
    NotProven,
    /// There is no readable copy of what is needed most.
    No,
}

/// What the front page asks.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Are the copies here good?
    Here,
    /// Is there a second site?
    Offsite,
    /// Can the box be opened after a fire?
    Keys,
    /// Can enough people restore?
    People,
}

/// How a part stands: what a page shows with an icon and a colour.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Proven.
    Proven,
    /// A proof that got too old.
    Overdue,
    /// Never proven.
    NotProven,
    /// Nobody can say.
    Unknown,
    /// There is none.
    NotSetUp,
    /// Proven not to be.
    Failed,
}

/// The answer to one question.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// To which.
    pub question: Question,
    /// How it stands.
    pub mark: Mark,
    /// In a sentence.
    pub words: String,
}

/// How the newest run of a share went; partial is never complete.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareState {
    /// The newest run was complete, and the copy is young enough.
    Fine,
    /// A run goes on, and the copy before it is fine.
    Running,
    /// The newest copy has gaps.
    Partial,
    /// The newest snapshot is held.
    Held,
    /// The newest run failed; the copy is young enough.
    Failed,
    /// It waits until the disks have room again.
    Paused,
    /// It should have run and did not.
    DidNotRun,
    /// The newest copy is older than promised.
    Overdue,
    /// There is no copy yet.
    NoCopy,
    /// Nobody can say.
    Unknown,
}

/// A share's line.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ShareStatus {
    /// Which.
    pub id: ShareId,
    /// What people call it.
    pub label: String,
    /// How much it is needed.
    pub tier: Tier,
    /// In one word.
    pub state: ShareState,
    /// In a sentence.
    pub words: String,
    /// How the newest run that ended did.
    pub outcome: Option<Outcome>,
    /// A run goes on.
    pub running: bool,
    /// How old the newest copy is, seconds.
    pub copy_age_s: Option<i64>,
    /// How old it may get, seconds.
    pub goal_s: u32,
    /// The promise about its age.
    pub standing: Standing,
    /// The next run.
    pub next_due: Due,
}

/// Something for a person to do.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ToDo {
    /// Of which incident.
    pub incident: u64,
    /// How bad.
    pub severity: Severity,
    /// What happened, what it means, what to do.
    pub text: Text,
    /// Who took it.
    pub taken_by: Option<String>,
}

/// Everything that any page, screen or mail says about how the box is.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// As of when.
    pub at: At,
    /// In one word.
    pub headline: Headline,
    /// In a sentence: the weakest point.
    pub words: String,
    /// The four questions.
    pub answers: Vec<Answer>,
    /// All shares, those that need somebody first.
    pub shares: Vec<ShareStatus>,
    /// The pool.
    pub pool: Option<PoolFacts>,
    /// The disks.
    pub disks: Vec<DiskFacts>,
    /// What a person has to do, the worst first.
    pub todo: Vec<ToDo>,
    /// Open threads.
    pub incidents: Vec<Incident>,
    /// Runs that go on.
    pub running: u32,
    /// How all duties stand.
    pub duties: Vec<(Duty, Standing)>,
    /// That the clock is doubted.
    pub doubt: Option<Doubt>,
}

/// How the box is. Decays by itself: the same facts an hour later may say less.
pub fn status(facts: &Facts, now: At) -> Status {
    let stale = !facts.gathered.has_been(now) || now.since(facts.gathered) > FRESH_S;
    let mut shares: Vec<_> = facts.shares.iter().map(|share| share_status(share, facts, now, stale)).collect();
    shares.sort_by(|a, b| (b.state, a.tier, &a.label).cmp(&(a.state, b.tier, &b.label)));
    let answers = vec![here(facts, now, stale), offsite(facts, stale), keys(facts, now, stale), people(facts, now, stale)];
    let headline = headline(facts, &shares, &answers, now, stale);
    let label = |id: &ShareId| facts.shares.iter().find(|share| share.id == *id).map(|share| share.label.clone());
    let open = facts.incidents.open_threads();
    let todo: Vec<_> = open.iter().map(|incident| to_do(incident, &label)).collect();
    Status {
        at: now,
        headline,
        words: words::headline(headline, facts, (&shares, &answers, &todo), stale),
        answers,
        running: shares.iter().filter(|share| share.running).count() as u32,
        shares,
        pool: facts.pool.filter(|_| !stale),
        disks: facts.disks.clone(),
        todo,
        incidents: open.into_iter().cloned().collect(),
        duties: facts.book.owed().iter().map(|owed| (owed.duty.clone(), owed.standing(now))).collect(),
        doubt: facts.doubt,
    }
}

fn to_do(incident: &Incident, label: &dyn Fn(&ShareId) -> Option<String>) -> ToDo {
    let taken_by = incident.acknowledged.as_ref().map(|taken| taken.by.clone());
    ToDo { incident: incident.id, severity: incident.severity, text: text(incident, label), taken_by }
}

fn share_status(share: &ShareFacts, facts: &Facts, now: At, stale: bool) -> ShareStatus {
    let ShareFacts { id, label, policy, clock } = share;
    let room = facts.pool.map_or(Room::Ample, |pool| pool.room);
    let standing = facts.book.standing(&Duty::of_share(DutyKind::CopyAge, id), now);
    let next_due = next_due(id, policy, clock, now);
    let copy_age_s = clock.copy_age_s(now);
    let state = if stale { ShareState::Unknown } else { share_state(policy, clock, (next_due, room), copy_age_s, now) };
    ShareStatus {
        id: id.clone(),
        label: label.clone(),
        tier: policy.tier,
        state,
        words: words::share(state, clock, copy_age_s, next_due, now),
        outcome: clock.last_outcome.clone(),
        running: clock.running,
        copy_age_s,
        goal_s: policy.copy_age_goal_s,
        standing,
        next_due,
    }
}

fn share_state(policy: &Policy, clock: &ShareClock, (due, room): (Due, Room), copy_age_s: Option<i64>, now: At) -> ShareState {
    let Some(age_s) = copy_age_s else {
        return if clock.last_good.is_none() { ShareState::NoCopy } else { ShareState::Unknown };
    };
    if age_s > i64::from(policy.copy_age_goal_s) {
        return ShareState::Overdue;
    }
    match &clock.last_outcome {
        Some(Outcome::Held { .. }) => ShareState::Held,
        Some(Outcome::Failed { .. } | Outcome::Cut) => ShareState::Failed,
        _ if !clock.running && now > due.at && room.pauses(policy.tier) => ShareState::Paused,
        _ if !clock.running && now.since(due.at) > i64::from(policy.cadence_s) / 2 => ShareState::DidNotRun,
        Some(Outcome::Partial { .. }) => ShareState::Partial,
        _ if clock.running => ShareState::Running,
        _ => ShareState::Fine,
    }
}

/// What the box has promised about its own copies: the tier that is needed most is young, the pool can be read, and a restore was tried.
fn here(facts: &Facts, now: At, stale: bool) -> Answer {
    let first = first_tier(facts);
    let mut parts: Vec<_> = first.iter().map(|share| of(facts, Duty::of_share(DutyKind::CopyAge, &share.id), now)).collect();
    parts.push(readable(facts));
    parts.extend(tested(facts, &first, now));
    let mark = if first.is_empty() { Mark::NotSetUp } else { worst(&parts, stale) };
    Answer { question: Question::Here, mark, words: words::here(mark, facts, &parts, now, stale) }
}

fn offsite(facts: &Facts, stale: bool) -> Answer {
    let mark = facts.offsite.as_ref().map_or(Mark::NotSetUp, |standing| worst(&[mark(standing)], stale));
    Answer { question: Question::Offsite, mark, words: words::offsite(mark, stale) }
}

fn keys(facts: &Facts, now: At, stale: bool) -> Answer {
    let mark = match facts.keys {
        None => Mark::Unknown,
        Some(KeyFacts { unlocked: false, .. }) => Mark::Failed,
        Some(KeyFacts { kit: false, .. } | KeyFacts { ways: 0 | 1, .. }) => Mark::NotSetUp,
        Some(_) => best_rehearsal(facts, now),
    };
    let mark = worst(&[mark], stale);
    Answer { question: Question::Keys, mark, words: words::keys(mark, facts, now, stale) }
}

/// "A paper opened the newest key": one is enough.
fn best_rehearsal(facts: &Facts, now: At) -> Mark {
    let papers = facts.book.owed().iter().filter(|owed| owed.duty.kind == DutyKind::KitRehearsal);
    papers.map(|owed| mark(&owed.standing(now))).min().unwrap_or(Mark::NotProven)
}

fn people(facts: &Facts, now: At, stale: bool) -> Answer {
    let recent = |at: Option<At>, within: i64| match at {
        None => Mark::NotProven,
        Some(at) if !at.has_been(now) => Mark::Unknown,
        Some(at) if now.since(at) > within => Mark::Overdue,
        Some(_) => Mark::Proven,
    };
    let mark = match facts.people {
        None => Mark::Unknown,
        Some(people) if people.can_restore < 2 => Mark::NotSetUp,
        Some(people) => worst(&[recent(people.mfa_used, MFA_S), recent(people.drill, DRILL_S)], false),
    };
    let mark = worst(&[mark], stale);
    Answer { question: Question::People, mark, words: words::people(mark, facts, stale) }
}

fn headline(facts: &Facts, shares: &[ShareStatus], answers: &[Answer], now: At, stale: bool) -> Headline {
    let first = first_tier(facts);
    let locked = facts.keys.is_some_and(|keys| !keys.unlocked);
    let unreadable = facts.pool.is_some_and(|pool| !pool.readable);
    if locked || unreadable || first.iter().all(|share| share.clock.last_good.is_none()) {
        return Headline::No;
    }
    if readable(facts) != Mark::Proven || tested(facts, &first, now) != Some(Mark::Proven) || stale {
        return Headline::NotProven;
    }
    let all = answers.iter().all(|answer| answer.mark == Mark::Proven);
    let fine = shares.iter().all(|share| matches!(share.state, ShareState::Fine | ShareState::Running));
    let broken = facts.book.owed().iter().any(|owed| owed.standing(now).is_broken(now));
    if all && fine && !broken && facts.doubt.is_none() { Headline::Yes } else { Headline::Partly }
}

fn readable(facts: &Facts) -> Mark {
    facts.pool.map_or(Mark::Unknown, |pool| if pool.readable { Mark::Proven } else { Mark::Failed })
}

fn tested(facts: &Facts, first: &[&ShareFacts], now: At) -> Option<Mark> {
    first.first().map(|share| of(facts, Duty::test_restore(share.policy.tier), now))
}

/// The shares of the most important tier that there is.
fn first_tier(facts: &Facts) -> Vec<&ShareFacts> {
    let tier = facts.shares.iter().map(|share| share.policy.tier).min();
    facts.shares.iter().filter(|share| Some(share.policy.tier) == tier).collect()
}

fn of(facts: &Facts, duty: Duty, now: At) -> Mark {
    mark(&facts.book.standing(&duty, now))
}

fn mark(standing: &Standing) -> Mark {
    match standing {
        Standing::Proven { .. } => Mark::Proven,
        Standing::Overdue { .. } => Mark::Overdue,
        Standing::NeverProven { .. } => Mark::NotProven,
        Standing::Failed { .. } => Mark::Failed,
        Standing::Unknown => Mark::Unknown,
    }
}

fn worst(marks: &[Mark], stale: bool) -> Mark {
    let worst = marks.iter().copied().max().unwrap_or(Mark::Unknown);
    if stale { worst.max(Mark::Unknown) } else { worst }
}
