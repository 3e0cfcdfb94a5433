//! Which snapshots a receiver may let go (`docs/wire.md` 6). Pure: decides by receipt and elapsed time alone, never by what a source says.

use std::collections::BTreeSet;

/// Seconds of an hour, day, week and of 30 days.
const BUCKETS: [u64; 4] = [3600, 86_400, 7 * 86_400, 30 * 86_400];
/// The least floor that there is: 90 days.
pub const FLOOR_MIN: u64 = 90 * 86_400;

/// What a tenant was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Every snapshot is kept so long, in seconds.
    floor: u64,
    /// How many hours, days, weeks, months back the first snapshot of each is kept.
    keepers: [u32; 4],
}

impl Keeping {
    /// With a floor of at least [`FLOOR_MIN`].
    pub fn new(floor: u64, keepers: [u32; 4]) -> Self {
        Self { floor: floor.max(FLOOR_MIN), keepers }
    }

    /// Seconds for which every snapshot is kept.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Receipts that may go, of all that there are by ascending number. The newest one never goes.
    pub fn expired(&self, stamps: &[Stamp], now: u64) -> Vec<u64> {
        let newest = stamps.last().map(|stamp| stamp.number);
        self.over(stamps, now).into_iter().filter(|number| Some(*number) != newest).collect()
    }

    /// The same of a tenant of whom nothing more is taken: the newest goes in its time too.
    pub fn over(&self, stamps: &[Stamp], now: u64) -> Vec<u64> {
        // What an order names is the first of no hour any more: another one takes that place, and none loses its own.
        let kept: Vec<Stamp> = stamps.iter().filter(|stamp| !stamp.ordered).copied().collect();
        let keepers = self.keepers_of(&kept, now);
        let is_over = |stamp: &&Stamp| stamp.ordered || stamp.kept_until <= now && !keepers.contains(&stamp.number);
        stamps.iter().filter(is_over).map(|stamp| stamp.number).collect()
    }

    /// The first of each hour, day, week and month that still counts.
    fn keepers_of(&self, stamps: &[Stamp], now: u64) -> BTreeSet<u64> {
        let mut keepers = BTreeSet::new();
        for (length, count) in BUCKETS.into_iter().zip(self.keepers) {
            let counts = |bucket: u64| now / length - bucket.min(now / length) < u64::from(count);
            let mut last = None;
            for stamp in stamps {
                let bucket = stamp.received / length;
                if last != Some(bucket) && counts(bucket) {
                    keepers.insert(stamp.number);
                }
                last = Some(bucket);
            }
        }
        keepers
    }
}

/// When a snapshot came, in elapsed seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Of its receipt.
    pub number: u64,
    /// When it came.
    pub received: u64,
    /// What its receipt promises, or a later order.
    pub kept_until: u64,
    /// An order that counts names it.
    pub ordered: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn hourly(hours: u64, keeping: Keeping) -> Vec<Stamp> {
        (0..hours)
            .map(|hour| Stamp { number: hour + 1, received: hour * 3600, kept_until: hour * 3600 + keeping.floor(), ordered: false })
            .collect()
    }

    #[test]
    fn everything_stays_for_the_floor_and_keepers_beyond_it() {
        let keeping = Keeping::new(0, [0, 0, 0, 12]);
        let stamps = hourly(24 * 400, keeping);
        let now = stamps.last().unwrap().received;
        let expired: BTreeSet<u64> = keeping.expired(&stamps, now).into_iter().collect();
        let stays: Vec<&Stamp> = stamps.iter().filter(|stamp| !expired.contains(&stamp.number)).collect();
        assert!(stamps.iter().filter(|stamp| stamp.received + FLOOR_MIN > now).all(|stamp| !expired.contains(&stamp.number)));
        let beyond: Vec<u64> = stays.iter().map(|stamp| stamp.received).filter(|received| received + FLOOR_MIN <= now).collect();
        let months = now / (30 * DAY);
        let expected: Vec<u64> =
            (0..=months).filter(|month| months - month < 12).map(|month| month * 30 * DAY).filter(|at| at + FLOOR_MIN <= now).collect();
        assert_eq!(beyond, expected, "the first of each of the last twelve months");
    }

    #[test]
    fn the_newest_stays_however_old_it_is() {
        let keeping = Keeping::new(0, [0; 4]);
        let stamps = hourly(3, keeping);
        assert_eq!(keeping.expired(&stamps, 100 * 365 * DAY), [1, 2]);
        assert_eq!(keeping.expired(&[], 5), [0_u64; 0]);
    }

    #[test]
    fn a_flood_displaces_no_keeper() {
        let keeping = Keeping::new(0, [24, 30, 8, 12]);
        let honest = hourly(24 * 20, keeping);
        let now = honest.last().unwrap().received + 200 * DAY;
        let alone: BTreeSet<u64> = keeping.expired(&honest, now).into_iter().collect();
        // All in one second, long after: none of them is the first of an hour in which there was one.
        let flood = (0..10_000).map(|n| Stamp { number: 10_000 + n, received: now, kept_until: now + FLOOR_MIN, ordered: false });
        let flooded: Vec<Stamp> = honest.iter().copied().chain(flood).collect();
        let with: BTreeSet<u64> = keeping.expired(&flooded, now).into_iter().filter(|number| *number < 10_000).collect();
        assert_eq!(with.difference(&alone).copied().collect::<Vec<_>>(), [honest.len() as u64], "but the one that was the newest");
    }

    #[test]
    fn what_is_named_goes_and_no_keeper_goes_with_it() {
        let keeping = Keeping::new(0, [24, 30, 8, 12]);
        let mut stamps = hourly(24 * 300, keeping);
        let now = stamps.last().unwrap().received;
        let before: BTreeSet<u64> = keeping.expired(&stamps, now).into_iter().collect();
        // Keepers of months, some that nothing but the floor keeps, and the newest one.
        let named: BTreeSet<u64> = stamps.iter().map(|stamp| stamp.number).filter(|number| number % 700 == 1 || *number > 7198).collect();
        assert!(named.iter().any(|number| !before.contains(number) && stamps[*number as usize - 1].kept_until <= now), "keepers are named");
        stamps.iter_mut().for_each(|stamp| stamp.ordered = named.contains(&stamp.number));
        let after: BTreeSet<u64> = keeping.expired(&stamps, now).into_iter().collect();
        assert!(after.difference(&before).all(|number| named.contains(number)), "nothing else goes");
        let newest = stamps.last().unwrap().number;
        assert!(named.iter().all(|number| after.contains(number) != (*number == newest)), "all of them go, but the newest");
    }

    #[test]
    fn a_floor_is_never_less_than_ninety_days() {
        assert_eq!(Keeping::new(1, [0; 4]).floor(), FLOOR_MIN);
        assert_eq!(Keeping::new(FLOOR_MIN + 1, [0; 4]).floor(), FLOOR_MIN + 1);
    }
}
