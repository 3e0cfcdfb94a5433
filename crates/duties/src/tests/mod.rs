//! Tests of the rules, each beside a simple model of it or as a table. The simulated year is in `tests/year.rs`.

mod book;
mod digest;
mod incident;
mod policy;
mod retention;
mod schedule;
mod status;
mod time;

use crate::{At, Outcome, Policy, ShareClock, ShareId, Tier};

/// Monday, 5 January 2026, 00:00 UTC.
const MONDAY: At = At(1_767_571_200);
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn share(name: &str) -> ShareId {
    ShareId(name.into())
}

fn failed(code: &str) -> Outcome {
    Outcome::Failed { code: code.into() }
}

/// A share whose newest run began then, took a minute and was complete.
fn ran(at: At) -> ShareClock {
    let mut clock = ShareClock::new(at.plus(-DAY));
    run(&mut clock, at, 60, Outcome::Complete);
    clock
}

fn run(clock: &mut ShareClock, at: At, took_s: i64, outcome: Outcome) {
    clock.started(at);
    clock.finished(at.plus(took_s), outcome);
}

fn policy(tier: Tier) -> Policy {
    Policy::of(tier)
}
