//! Limits of a line by the hour, as far as they are known, and how long something takes with them. Pure.

/// Limits from moments on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timetable {
    /// Seconds since 1970, ascending, and bytes a second; none for the whole line.
    limits: Vec<(i64, Option<u64>)>,
}

impl Timetable {
    /// Of these, ascending; what is before the first one has no limit.
    pub fn new(mut limits: Vec<(i64, Option<u64>)>) -> Self {
        limits.sort_by_key(|(at, _)| *at);
        Self { limits }
    }

    /// Bytes a second at most; none where there is no limit.
    pub fn at(&self, now: i64) -> Option<u64> {
        self.limits.iter().rev().find(|(at, _)| *at <= now).and_then(|(_, limit)| *limit)
    }

    /// Seconds that so many bytes take from now on, over a line that brings `rate` a second. What is behind the last limit that is known is as the time before it.
    pub fn takes(&self, bytes: u64, rate: u64, now: i64) -> u64 {
        let speed = |limit: Option<u64>| u128::from(limit.map_or(rate, |limit| limit.min(rate)).max(1));
        let (mut left, mut at, mut brought) = (u128::from(bytes), now, 0);
        for (end, _) in self.limits.iter().filter(|(end, _)| *end > now) {
            let seconds = u128::from(end.abs_diff(at));
            let most = speed(self.at(at)) * seconds;
            if most >= left {
                return seconds_since(now, at, left.div_ceil(speed(self.at(at))));
            }
            (left, at, brought) = (left - most, *end, brought + most);
        }
        // Over whole days; a timetable of a single limit has it for ever.
        let known = u128::from(at.abs_diff(now));
        let average = if known >= DAYS { (brought / known).max(1) } else { speed(self.at(at)) };
        seconds_since(now, at, left.div_ceil(average))
    }
}

/// Seconds of a timetable from which on its average says something.
const DAYS: u128 = 7 * 86_400;

fn seconds_since(now: i64, at: i64, more: u128) -> u64 {
    at.abs_diff(now).saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    #[test]
    fn without_limits_it_takes_what_the_line_takes() {
        let free = Timetable::default();
        assert_eq!((free.at(0), free.takes(1000, 10, 500), free.takes(1001, 10, 500), free.takes(0, 10, 5)), (None, 100, 101, 0));
        assert_eq!(free.takes(5, 0, 0), 5, "a rate of nothing is one of a byte");
    }

    #[test]
    fn limits_slow_what_is_sent_in_their_hours_and_nothing_else() {
        // 100 a second at most from the first hour to the second, and from the third on.
        let table = Timetable::new(vec![(HOUR, Some(100)), (2 * HOUR, None), (3 * HOUR, Some(100))]);
        assert_eq!([0, HOUR - 1, HOUR, 2 * HOUR, 9 * HOUR].map(|at| table.at(at)), [None, None, Some(100), None, Some(100)]);
        assert_eq!(table.takes(1000, 1000, 0), 1);
        assert_eq!(table.takes(3_600_000 + 100, 1000, 0), 3601);
        assert_eq!(table.takes(3_600_000 + 360_000 + 1000, 1000, 0), 7201);
        assert_eq!(table.takes(7_200_000 + 360_000 + 100, 1000, 0), 3 * 3600 + 1, "the last one holds on");
        assert_eq!(table.takes(7200, 1, 0), 7200, "a slow line meets no limit");
        assert_eq!(table.takes(1000, 1000, HOUR), 10, "from any moment on");
    }

    #[test]
    fn behind_what_is_known_it_goes_on_as_before() {
        let days = (0..14).flat_map(|day| [(day * 24 * HOUR, Some(0)), (day * 24 * HOUR + 12 * HOUR, Some(10))]);
        let table = Timetable::new(days.chain([(14 * 24 * HOUR, Some(0))]).collect());
        // Half the time 10 a second, half of it 1: 5 or 6 on average.
        let fortnight = 14 * 12 * 3600 * 11;
        let takes = table.takes(2 * fortnight, 1000, 0);
        assert!((2 * 14 * 86_400..3 * 14 * 86_400).contains(&takes), "{takes}");
    }
}
