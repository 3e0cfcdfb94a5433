//! What wrong attempts lead to: five, and the user is locked out for 15 minutes; each further time twice as long, up to a day. Counted apart for consoles and for the box's own
//! screen, so that nobody on the network keeps an owner from standing in front of the box. Pure.

use serde::{Deserialize, Serialize};

/// Wrong attempts until a lock.
pub const ATTEMPTS: u32 = 5;
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
    pub fn failed(&mut self, now: i64) -> bool {
        self.failures += 1;
        if self.failures < ATTEMPTS {
            return false;
        }
        *self = Self { failures: 0, locks: self.locks.saturating_add(1), since: Some(now) };
        true
    }

    fn length_s(&self) -> i64 {
        (FIRST_S << self.locks.saturating_sub(1).min(16)).min(LONGEST_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(lockout: &mut Lockout, now: i64) -> bool {
        assert!(lockout.admits(now));
        lockout.failed(now)
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
