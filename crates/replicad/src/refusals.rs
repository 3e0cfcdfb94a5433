//! How many who were refused are told. Anybody who finds the port can be refused as often as they like, and each that is told is a record in the ledger, for ever.

use std::collections::HashMap;

use keepwell_wire::KeyName;

/// Told in an hour; the others are counted.
const MOST: u32 = 20;
const HOUR: u64 = 3600;

/// Calls of keys that have no place here. Counted in memory, since anybody who finds the port may call as often as they like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Of keys that nobody knows, since the program began.
    pub(crate) strangers: u64,
    /// Of each key whose place another one has taken, since somebody took the count.
    pub(crate) replaced: HashMap<KeyName, u64>,
}

/// Of this start of the program.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    since: u64,
    told: u32,
    untold: u64,
}

impl Refusals {
    /// Whether this one is told, and then how many before it were not.
    pub(crate) fn one(&mut self, now: u64) -> Option<u64> {
        if now.saturating_sub(self.since) >= HOUR {
            (self.since, self.told) = (now, 0);
        }
        if self.told >= MOST {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

/// Calls of keys whose place another one has taken: of each key at most one record an hour, that says how often it called.
#[derive(Debug, Default)]
pub(crate) struct Returned(HashMap<KeyName, (u64, u64)>);

impl Returned {
    /// These keys have called so often since the last time: of which that is told now, with all calls that were not told before.
    pub(crate) fn called(&mut self, calls: HashMap<KeyName, u64>, now: u64) -> Vec<(KeyName, u64)> {
        for (name, count) in calls {
            self.0.entry(name).or_insert((0, 0)).1 += count;
        }
        let mut told = Vec::new();
        for (name, (next, count)) in &mut self.0 {
            if *count > 0 && now >= *next {
                told.push((*name, std::mem::take(count)));
                *next = now + HOUR;
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_lost_its_place_is_told_at_once_and_then_once_an_hour() {
        let (one, other) = (KeyName([1; 32]), KeyName([2; 32]));
        let mut returned = Returned::default();
        let mut at = |calls: &[(KeyName, u64)], now| returned.called(calls.iter().copied().collect(), now);
        assert_eq!(at(&[(one, 1)], 50), [(one, 1)]);
        assert_eq!(at(&[(one, 1000)], 60), []);
        assert_eq!(at(&[(one, 5), (other, 2)], 70), [(other, 2)], "another key is told at once");
        assert_eq!(at(&[], 50 + HOUR), [(one, 1005)], "also where it has gone silent since");
        assert_eq!(at(&[], 50 + 2 * HOUR), []);
    }

    #[test]
    fn a_flood_is_counted_and_the_next_hour_says_how_many() {
        let mut refusals = Refusals::default();
        assert_eq!((0..100_000).filter(|n| refusals.one(10_000 + n / 1000).is_some()).count(), 20);
        assert_eq!(refusals.one(10_000 + HOUR), Some(100_000 - 20));
        assert_eq!(refusals.one(10_001 + HOUR), Some(0));
    }
}
