//! When a disk tests itself: short every week, long every month, spread so that the disks of a box do not do it at once. Pure; the clock is passed in.

use keepwell_api::disks::{Health, SelfTestKind, Serial};

const DAY: i64 = 86_400;
/// Between two short tests.
const SHORT: i64 = 7 * DAY;
/// Between two long tests.
const LONG: i64 = 30 * DAY;
/// A disk without its first long test waits so many days, by its serial number.
const SPREAD: u64 = 28;

/// What is known of a disk's tests; Unix seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    /// When this box first saw the disk.
    pub first_seen: i64,
    /// When the last short test began.
    pub short_at: Option<i64>,
    /// When the last long test began.
    pub long_at: Option<i64>,
}

/// The test that should begin now. `quiet` is false while this disk tests itself or is worked on, or while another disk runs a long test.
pub fn due(serial: &Serial, tests: Tests, now: i64, quiet: bool) -> Option<SelfTestKind> {
    if !quiet {
        return None;
    }
    let age = |at: i64| now.saturating_sub(at);
    // A clock that was set back must not stop tests for years.
    let over = |at: Option<i64>, span: i64| at.is_none_or(|at| age(at) >= span || age(at) < 0);
    let long = match tests.long_at {
        None => age(tests.first_seen) >= (offset(serial) as i64 + 1) * DAY,
        at => over(at, LONG),
    };
    if long {
        // It does all that a short one does.
        return Some(SelfTestKind::Long);
    }
    let newest = tests.short_at.max(tests.long_at);
    over(newest, SHORT).then_some(SelfTestKind::Short)
}

/// Whether a disk runs a long test: one that was begun within a day does until a later poll says that it does not.
pub fn runs_long(tests: Tests, health: &Health, now: i64) -> bool {
    let Some(begun) = tests.long_at.filter(|_| tests.long_at >= tests.short_at) else { return false };
    let recent = (0..DAY).contains(&now.saturating_sub(begun));
    let asked_since = health.polled_at.is_some_and(|polled| polled > begun);
    health.self_test_remaining_percent.is_some() || (recent && !asked_since)
}

/// Days by which a disk's long test is shifted: FNV-1a of its serial number.
fn offset(serial: &Serial) -> u64 {
    let hash = |hash: u64, b: u8| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
    serial.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, hash) % SPREAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(text: &str) -> Serial {
        Serial::parse(text).unwrap()
    }

    /// Days on which tests begin when each begins as soon as it is due.
    fn year(serial: &Serial) -> (Vec<i64>, Vec<i64>) {
        let (mut tests, mut short, mut long) = (Tests::default(), Vec::new(), Vec::new());
        for day in 0..365 {
            match due(serial, tests, day * DAY, true) {
                Some(SelfTestKind::Short) => (tests.short_at = Some(day * DAY), short.push(day)).1,
                Some(SelfTestKind::Long) => (tests.long_at = Some(day * DAY), long.push(day)).1,
                None => {}
            }
        }
        (short, long)
    }

    #[test]
    fn a_year_has_its_tests() {
        for name in ["A", "B", "WD-WX12"] {
            let (short, long) = year(&serial(name));
            assert_eq!(short[0], 0, "a new disk is tested at once");
            assert!((12..=13).contains(&long.len()), "{long:?}");
            let mut all = [short, long].concat();
            all.sort_unstable();
            assert!(all.windows(2).all(|pair| (1..=7).contains(&(pair[1] - pair[0]))), "{all:?}");
        }
    }

    #[test]
    fn disks_do_not_begin_long_tests_on_one_day() {
        let first: std::collections::BTreeSet<_> = (0..8).map(|n| year(&serial(&format!("WD-{n}"))).1[0]).collect();
        assert!(first.len() >= 5, "{first:?}");
    }

    #[test]
    fn not_while_something_else_runs_and_again_after_the_clock_went_back() {
        let tests = Tests { first_seen: 0, short_at: Some(100 * DAY), long_at: Some(100 * DAY) };
        assert_eq!(due(&serial("A"), Tests::default(), 400 * DAY, false), None);
        assert_eq!(due(&serial("A"), tests, 101 * DAY, true), None);
        assert_eq!(due(&serial("A"), tests, 50 * DAY, true), Some(SelfTestKind::Long));
    }

    #[test]
    fn a_long_test_runs_from_its_beginning_until_a_poll_says_that_it_does_not() {
        let tests = Tests { first_seen: 0, short_at: Some(5), long_at: Some(100) };
        let at = |polled_at, self_test_remaining_percent, now| {
            runs_long(tests, &Health { polled_at, self_test_remaining_percent, ..Health::unknown("x", "x") }, now)
        };
        assert!(at(None, None, 101) && at(Some(100), None, 101), "nobody asked since");
        assert!(at(Some(2000), Some(90), 2000) && at(Some(3 * DAY), Some(1), 3 * DAY), "it says so");
        assert!(!at(Some(2000), None, 2000) && !at(None, None, 3 * DAY) && !at(None, None, 50));
        assert!(!runs_long(Tests { short_at: Some(200), ..tests }, &Health::unknown("x", "x"), 201), "that was a short one");
    }
}
