//! How many who were refused are told. Anybody who finds the port can be refused as often as they like, and each that is told is a record in the ledger, for ever.

/// Told in an hour; the others are counted.
const MOST: u32 = 20;
const HOUR: u64 = 3600;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_the_next_hour_says_how_many() {
        let mut refusals = Refusals::default();
        assert_eq!((0..100_000).filter(|n| refusals.one(10_000 + n / 1000).is_some()).count(), 20);
        assert_eq!(refusals.one(10_000 + HOUR), Some(100_000 - 20));
        assert_eq!(refusals.one(10_001 + HOUR), Some(0));
    }
}
