//! The sentences of a status. Owns how they read; decides nothing about how things are.

use super::{Answer, Facts, Headline, Mark, Question, ShareState, ShareStatus, ToDo};
use crate::duty::{DutyKind, Standing};
use crate::schedule::{Due, Outcome, ShareClock, Why};
use crate::time::At;
use crate::words::{duration, reason};

/// What a headline is made of.
type Parts<'a> = (&'a [ShareStatus], &'a [Answer], &'a [ToDo]);

pub(super) fn headline(headline: Headline, facts: &Facts, (shares, answers, todo): Parts<'_>, stale: bool) -> String {
    if stale {
        return "The box's engine does not answer. What is shown is the last that was known.".into();
    }
    let weakest = answers.iter().filter(|answer| answer.mark != Mark::Proven).max_by_key(|answer| answer.mark);
    let weakest = || weakest.map(|answer| answer.words.clone());
    match headline {
        Headline::Yes => "Everything is proven.".into(),
        Headline::No if facts.shares.is_empty() => "Nothing is protected yet. Add a share.".into(),
        Headline::No if facts.pool.is_some_and(|pool| !pool.readable) => "The disks can't be read.".into(),
        Headline::No if facts.keys.is_some_and(|keys| !keys.unlocked) => {
            "The keys are locked: nothing can be restored until they are unlocked.".into()
        }
        Headline::No => "There is no copy yet of what you need first.".into(),
        // Here is the first question.
        Headline::NotProven => answers.first().map(|here| here.words.clone()).unwrap_or_default(),
        Headline::Partly => {
            let share = shares.iter().find(|share| !matches!(share.state, ShareState::Fine | ShareState::Running));
            let share = share.map(|share| format!("{}: {}", share.label, share.words));
            let clock = facts.doubt.map(|doubt| format!("The clock is {} wrong.", duration(doubt.ahead_s.saturating_abs())));
            let trouble = || todo.first().map(|one| format!("{}.", one.text.happened));
            share.or_else(weakest).or(clock).or_else(trouble).unwrap_or_else(|| "A promise is broken; see the list of duties.".into())
        }
    }
}

pub(super) fn share(state: ShareState, clock: &ShareClock, copy_age_s: Option<i64>, due: Due, now: At) -> String {
    let age = copy_age_s.map_or_else(|| "There is no copy.".into(), |age| format!("The newest copy is {} old.", duration(age)));
    let what = match (state, &clock.last_outcome) {
        (ShareState::Fine, _) => return format!("Complete. {age}"),
        (ShareState::Running, _) => return format!("Running. {age}"),
        (ShareState::Unknown, _) => return "Unknown: the box's engine does not answer, or the dates lie in the future.".into(),
        (ShareState::NoCopy, None) if clock.running => "The first copy is being made.".into(),
        (ShareState::NoCopy, None) => return format!("No copy yet. {}", next(due, now)),
        (ShareState::Paused, _) => "It waits until the disks have room again.".into(),
        (ShareState::DidNotRun, _) => "It should have run and did not.".into(),
        (_, Some(Outcome::Partial { gaps: 1 })) => "One file or folder could not be read; all others are copied.".into(),
        (_, Some(Outcome::Partial { gaps })) => format!("{gaps} files or folders could not be read; all others are copied."),
        (_, Some(Outcome::Held { .. })) => "The newest copy looks wrong and is held; the older ones stay.".into(),
        (_, Some(Outcome::Failed { code })) => format!("The last backup failed: {}.", reason(code)),
        (_, Some(Outcome::Cut)) => "The last backup was cut and begins anew.".into(),
        (_, Some(Outcome::Cancelled)) => "The last backup was cancelled.".into(),
        _ => "The copy is older than promised.".into(),
    };
    format!("{what} {age}")
}

fn next(due: Due, now: At) -> String {
    match (due.at.since(now), due.why) {
        (..=0, _) => "It runs as soon as there is a place.".into(),
        (wait, Why::ClinicHours) => format!("It runs in {}, when the clinic has closed.", duration(wait)),
        (wait, _) => format!("It runs in {}.", duration(wait)),
    }
}

pub(super) fn here(mark: Mark, facts: &Facts, parts: &[Mark], now: At, stale: bool) -> String {
    if stale {
        return unknown();
    }
    let test = || {
        let test = facts.book.owed().iter().filter(|owed| owed.duty.kind == DutyKind::TestRestore).min_by_key(|owed| owed.tier);
        test.map_or(Standing::Unknown, |owed| owed.standing(now))
    };
    match mark {
        Mark::NotSetUp => "No share is protected yet.".into(),
        Mark::Proven => match test() {
            Standing::Proven { at, .. } => {
                format!("A test restore was equal {} ago; the copies are as young as promised.", duration(now.since(at)))
            }
            _ => "The copies are as young as promised.".into(),
        },
        Mark::Failed if facts.pool.is_some_and(|pool| !pool.readable) => "The disks can't be read.".into(),
        Mark::Failed => "A test restore was not equal.".into(),
        Mark::Unknown if facts.pool.is_none() => "Nobody can say whether the disks can be read.".into(),
        Mark::Unknown => "The dates of the last proofs lie in the future.".into(),
        Mark::NotProven if matches!(test(), Standing::NeverProven { .. }) => "No restore was ever tested.".into(),
        Mark::NotProven => "A share that you need first has no copy yet.".into(),
        Mark::Overdue => {
            let copies = parts.iter().rev().skip(2).any(|part| *part == Mark::Overdue);
            if copies { "The newest copies are older than promised.".into() } else { "The last test restore is too long ago.".into() }
        }
    }
}

pub(super) fn offsite(mark: Mark, stale: bool) -> String {
    let words = match mark {
        _ if stale && mark != Mark::NotSetUp => return unknown(),
        Mark::NotSetUp => "There is no second site: one fire loses everything.",
        Mark::Proven => "The second site has a copy and proved it.",
        Mark::Overdue => "The second site's last proof is too old.",
        Mark::NotProven => "The second site never proved that it has a copy.",
        Mark::Failed => "The second site lacks something.",
        Mark::Unknown => "Nobody can say how the second site is.",
    };
    words.into()
}

pub(super) fn keys(mark: Mark, facts: &Facts, now: At, stale: bool) -> String {
    if stale {
        return unknown();
    }
    let last = facts
        .book
        .owed()
        .iter()
        .filter(|owed| owed.duty.kind == DutyKind::KitRehearsal)
        .filter_map(|owed| Some(owed.proven.as_ref()?.at))
        .max();
    let ago = last.map(|at| duration(now.since(at)));
    match (mark, ago) {
        (Mark::Proven, Some(ago)) => format!("A paper of the kit opened the newest key {ago} ago."),
        (Mark::Overdue, Some(ago)) => format!("The papers were last tested {ago} ago: after a fire they may not open the box."),
        (Mark::NotSetUp, _) if facts.keys.is_some_and(|keys| !keys.kit) => {
            "There are no papers: if this box burns, nothing opens its copies.".into()
        }
        (Mark::NotSetUp, _) => "There is only one way to unlock the keys.".into(),
        (Mark::Failed, _) if facts.keys.is_some_and(|keys| !keys.unlocked) => {
            "The keys are locked: nothing can be copied or restored until they are unlocked.".into()
        }
        (Mark::Failed, _) => "A paper of the kit did not open the newest key.".into(),
        (Mark::Unknown, _) => "Nobody can say how the keys are.".into(),
        _ => "The papers were never tested: after a fire they may not open the box.".into(),
    }
}

pub(super) fn people(mark: Mark, facts: &Facts, stale: bool) -> String {
    if stale {
        return unknown();
    }
    let drilled = facts.people.is_some_and(|people| people.drill.is_some());
    let words = match mark {
        Mark::Proven => "Two or more people can restore, and it was practised.",
        Mark::NotSetUp => "Only one person can restore. Add a second one.",
        Mark::Overdue => "The last drill, or the last sign-in with a second factor, is too long ago.",
        Mark::NotProven if drilled => "Nobody who can restore ever signed in with a second factor.",
        Mark::NotProven => "Restoring was never practised.",
        Mark::Failed | Mark::Unknown => "Nobody can say who can restore.",
    };
    words.into()
}

fn unknown() -> String {
    "Unknown: the box's engine does not answer.".into()
}

/// What a question is called.
impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Here => "Here",
            Self::Offsite => "Offsite",
            Self::Keys => "Keys",
            Self::People => "People",
        })
    }
}

impl std::fmt::Display for Headline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Yes => "Yes",
            Self::Partly => "Partly",
            Self::NotProven => "Not proven",
            Self::No => "No",
        })
    }
}
