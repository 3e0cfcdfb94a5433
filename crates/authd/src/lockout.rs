//! What wrong attempts at one user lead to: five from one computer, and no more of it are looked at for 15 minutes; each further time twice as long, up to a day. Twenty from
//! several together, and from no computer any more. Counted apart for consoles and for the box's own screen, so that nobody on the network keeps an owner from standing in front of
//! the box. Pure.

use serde::{Deserialize, Serialize};

use crate::source::Source;

/// Wrong attempts from one computer, or at the box itself, until a lock.
pub const ATTEMPTS: u32 = 5;
/// From all computers together; each counts until its own first lock, so that one alone locks nobody out of the others.
pub const ATTEMPTS_OF_ALL: u32 = 20;
/// Computers whose attempts at one user are kept apart; of more, those that tried first are forgotten, which the number of all remembers.
const SOURCES_MAX: usize = 16;
const FIRST_S: i64 = 15 * 60;
const LONGEST_S: i64 = 24 * 3600;

/// Where somebody tries from, as the kernel says which program asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A console: from the network.
    Console,
    /// The box's own screen or its command line.
    Box,
}

/// A user's wrong attempts from one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockout {
    /// Since the last success or lock.
    failures: u32,
    /// Locks since the last success.
    locks: u32,
    /// When the lock that still holds began, Unix seconds.
    since: Option<i64>,
}

impl Lockout {
    /// Until when the user is locked out; none if they aren't.
    pub fn until(&self, now: i64) -> Option<i64> {
        // A clock that went back makes no lock longer than it was meant to be.
        let until = self.since?.min(now).saturating_add(self.length_s());
        (now < until).then_some(until)
    }

    /// Takes in an attempt: whether it counts, that is, whether the user is not locked out.
    pub fn admits(&mut self, now: i64) -> bool {
        self.since = self.until(now).and(self.since.map(|since| since.min(now)));
        self.since.is_none()
    }

    /// A wrong attempt that counts. Whether the user is locked out by it.
    pub fn failed(&mut self, now: i64, attempts: u32) -> bool {
        self.failures += 1;
        if self.failures < attempts {
            return false;
        }
        *self = Self { failures: 0, locks: self.locks.saturating_add(1), since: Some(now) };
        true
    }

    /// Whether there was no lock since the last success.
    fn is_first(&self) -> bool {
        self.locks == 0
    }

    fn length_s(&self) -> i64 {
        (FIRST_S << self.locks.saturating_sub(1).min(16)).min(LONGEST_S)
    }
}

/// A user's wrong attempts through consoles, by the computers they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    all: Lockout,
    /// Those that tried last are last.
    each: Vec<(Source, Lockout)>,
}

impl Network {
    /// As of before computers were told apart.
    pub fn of_all(all: Lockout) -> Self {
        Self { all, each: Vec::new() }
    }

    /// Until when no attempt counts, wherever it comes from.
    pub fn until(&self, now: i64) -> Option<i64> {
        self.all.until(now)
    }

    /// Computers of which no attempt counts now.
    pub fn refused_from(&self, now: i64) -> u32 {
        self.each.iter().filter(|(_, lockout)| lockout.until(now).is_some()).count() as u32
    }

    /// Takes in an attempt: whether it counts.
    pub fn admits(&mut self, source: &Source, now: i64) -> bool {
        let all = self.all.admits(now);
        self.of(source).admits(now) && all
    }

    /// A wrong attempt that counts. Whether it led to a lock.
    pub fn failed(&mut self, source: &Source, now: i64) -> bool {
        let one = self.of(source);
        let counts = one.is_first();
        let locked = one.failed(now, ATTEMPTS);
        (counts && self.all.failed(now, ATTEMPTS_OF_ALL)) || locked
    }

    /// A right one. What other computers tried is not forgotten by it.
    pub fn succeeded(&mut self, source: &Source) {
        self.all = Lockout::default();
        self.each.retain(|(other, _)| other != source);
    }

    fn of(&mut self, source: &Source) -> &mut Lockout {
        let known = self.each.iter().position(|(other, _)| other == source).map(|at| self.each.remove(at));
        if known.is_none() && self.each.len() >= SOURCES_MAX {
            self.each.remove(0);
        }
        self.each.push(known.unwrap_or_else(|| (source.clone(), Lockout::default())));
        &mut self.each.last_mut().expect("one was just put there").1
    }

    /// Whether what was stored elsewhere can be this.
    pub fn is_plausible(&self) -> bool {
        self.each.len() <= SOURCES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u8) -> Source {
        Source::parse(Some(&format!("10.0.0.{n}")))
    }

    #[test]
    fn one_computer_locks_itself_out_and_no_other() {
        let mut network = Network::default();
        let mut now = 1_000_000;
        for _ in 0..10 {
            assert_eq!((0..5).filter(|_| network.admits(&source(1), now) && network.failed(&source(1), now)).count(), 1);
            assert!(!network.admits(&source(1), now) && network.admits(&source(2), now) && network.until(now).is_none());
            assert_eq!(network.refused_from(now), 1);
            now += LONGEST_S;
        }
        network.succeeded(&source(2));
        assert!((0..5).any(|_| network.admits(&source(1), now) && network.failed(&source(1), now)));
        assert!(!network.admits(&source(1), now + LONGEST_S - 1), "a success elsewhere makes no lock of its own shorter");
    }

    #[test]
    fn many_computers_together_lock_all_of_them_out() {
        let mut network = Network::default();
        let guesses =
            (0..250_u8).flat_map(|n| [n; 4]).filter(|n| network.admits(&source(*n), 7) && !network.failed(&source(*n), 7)).count();
        assert_eq!(guesses, 19, "whoever has many addresses has no more than twenty");
        assert!(!network.admits(&source(251), 7) && network.until(7) == Some(7 + FIRST_S) && network.is_plausible());
    }

    fn fail(lockout: &mut Lockout, now: i64) -> bool {
        assert!(lockout.admits(now));
        lockout.failed(now, ATTEMPTS)
    }

    #[test]
    fn the_fifth_failure_locks_and_each_lock_is_twice_as_long() {
        let (mut lockout, mut now) = (Lockout::default(), 1_000_000);
        for minutes in [15, 30, 60, 120, 240, 480, 960, 1440, 1440, 1440] {
            for _ in 0..4 {
                assert!(!fail(&mut lockout, now));
                assert_eq!(lockout.until(now), None);
            }
            assert!(fail(&mut lockout, now));
            let until = now + minutes * 60;
            assert_eq!(lockout.until(now), Some(until));
            assert!(!lockout.admits(until - 1));
            now = until;
            assert!(lockout.admits(now));
        }
    }

    #[test]
    fn a_clock_that_jumps_makes_no_lock_longer() {
        let mut lockout = Lockout::default();
        assert_eq!((0..5).filter(|_| fail(&mut lockout, 1_000_000)).count(), 1);
        assert_eq!(lockout.until(10), Some(10 + 900));
        assert!(!lockout.admits(10));
        assert!(lockout.admits(10 + 900), "the lock began again at the time of the first attempt");
    }
}
