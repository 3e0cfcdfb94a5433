//! Time that really went by, as far as a receiver knows (`docs/wire.md` 6).
//!
//! Nobody can set the clock that counts since a start; so that is what is added up. A jump of any other clock adds nothing. Owns the sum, not where it is stored.

/// What the machine says: which start this is, and how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Another one with every start (`/proc/sys/kernel/random/boot_id`).
    pub boot: [u8; 16],
    /// Seconds since then (CLOCK_BOOTTIME).
    pub since_boot: u64,
}

/// The sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed {
    /// Seconds.
    pub total: u64,
    /// The last reading that is in it.
    pub last: Reading,
}

impl Elapsed {
    /// Nothing has gone by.
    pub fn from(now: Reading) -> Self {
        Self { total: 0, last: now }
    }

    /// Adds what went by since the last reading. Of another start all of it counts that it has run for: it was not counted before, and the time in between is not known.
    pub fn advance(&mut self, now: Reading) -> u64 {
        let more = if now.boot == self.last.boot { now.since_boot.saturating_sub(self.last.since_boot) } else { now.since_boot };
        self.total = self.total.saturating_add(more);
        // A clock that goes backwards within one start is broken: it is not counted twice.
        if now.boot != self.last.boot || now.since_boot > self.last.since_boot {
            self.last = now;
        }
        self.total
    }

    /// Adds time in which the box was off: what two authenticated sources agree on, the smaller of the two.
    pub fn was_off(&mut self, one: u64, other: u64) {
        self.total = self.total.saturating_add(one.min(other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(boot: u8, since_boot: u64) -> Reading {
        Reading { boot: [boot; 16], since_boot }
    }

    #[test]
    fn running_time_counts_once_and_nothing_else_does() {
        let mut elapsed = Elapsed::from(reading(1, 100));
        assert_eq!(elapsed.advance(reading(1, 160)), 60);
        assert_eq!(elapsed.advance(reading(1, 160)), 60);
        assert_eq!(elapsed.advance(reading(1, 10)), 60, "backwards");
        assert_eq!(elapsed.advance(reading(1, 170)), 70, "what was counted is not counted again");
        assert_eq!(elapsed.advance(reading(2, 30)), 100, "a start: the time it was off is not known");
        assert_eq!(elapsed.advance(reading(2, 90)), 160);
        elapsed.was_off(1000, 400);
        assert_eq!(elapsed.total, 560);
    }
}
