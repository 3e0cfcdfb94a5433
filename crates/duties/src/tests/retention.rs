//! Forgetting: against what keep says in plain words.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{DAY, HOUR, MONDAY};
use crate::{At, Keep, Snapshot, Worth, forget};

const ALL: Keep = Keep { hourly: 3, daily: 3, weekly: 2, monthly: 2 };

fn snapshots(list: &[(u32, i64, Worth)]) -> Vec<Snapshot<u32>> {
    list.iter().map(|(id, after, worth)| Snapshot { id: *id, received: MONDAY.plus(*after), worth: *worth }).collect()
}

#[test]
fn the_first_of_each_hour_day_week_and_month() {
    let hourly: Vec<_> = (0..24 * 70).map(|hour| (hour, i64::from(hour) * HOUR + 60, Worth::Complete)).collect();
    let now = MONDAY.plus(70 * DAY);
    let gone: BTreeSet<u32> = forget(&snapshots(&hourly), &ALL, now).into_iter().collect();
    let kept: Vec<u32> = (0..24 * 70).filter(|id| !gone.contains(id)).collect();
    let day = |day: u32| day * 24;
    // 1 February is day 27, 1 March day 55; weeks begin on days 56 and 63.
    assert_eq!(kept, [day(27), day(55), day(56), day(63), day(67), day(68), day(69), day(69) + 21, day(69) + 22, day(69) + 23]);
}

#[test]
fn a_complete_one_stands_for_its_hour_before_a_partial_one() {
    let first = [(1, 0, Worth::Partial), (2, 60, Worth::Complete), (3, 120, Worth::Complete)];
    let second = [(4, HOUR, Worth::Partial), (5, HOUR + 60, Worth::Complete)];
    let list = snapshots(&[&first[..], &second].concat());
    assert_eq!(forget(&list, &Keep { hourly: 2, daily: 0, weekly: 0, monthly: 0 }, MONDAY.plus(DAY)), [1, 3, 4]);
}

#[test]
fn what_is_never_forgotten() {
    let none = Keep { hourly: 0, daily: 0, weekly: 0, monthly: 0 };
    let now = MONDAY.plus(DAY);
    let held = [
        (1, 0, Worth::Held),
        (2, 10, Worth::Complete),
        (3, 20, Worth::Complete),
        (4, 30, Worth::Partial),
        (5, 40, Worth::Partial),
        (6, 50, Worth::Held),
    ];
    assert_eq!(forget(&snapshots(&held), &none, now), [2, 4], "held ones, the newest complete one, the newest");
    assert_eq!(forget(&snapshots(&[(1, 0, Worth::Partial)]), &none, now), [0; 0], "the last one");
    assert_eq!(forget::<u32>(&[], &none, now), [0; 0]);
    let future = [(1, 0, Worth::Complete), (2, 10, Worth::Complete), (3, 3_650 * DAY, Worth::Complete)];
    assert_eq!(forget(&snapshots(&future), &none, now), [1], "one from the future neither goes nor makes others go");
}

#[test]
fn a_clock_that_is_years_ahead_makes_nothing_expire() {
    let list: Vec<_> = (0..3).map(|day| (day, i64::from(day) * DAY, Worth::Complete)).collect();
    assert_eq!(forget(&snapshots(&list), &ALL, MONDAY.plus(3_650 * DAY)), [0; 0]);
}

fn any_snapshots() -> impl Strategy<Value = Vec<Snapshot<u32>>> {
    let worth = prop_oneof![6 => Just(Worth::Complete), 2 => Just(Worth::Partial), 1 => Just(Worth::Held)];
    prop::collection::vec((0..90 * DAY, worth), 0..60).prop_map(|list| {
        let list: Vec<_> = list.into_iter().enumerate().map(|(id, (after, worth))| (id as u32, after, worth)).collect();
        snapshots(&list)
    })
}

fn any_keep() -> impl Strategy<Value = Keep> {
    (0u32..5, 0u32..5, 0u32..4, 0u32..4).prop_map(|(hourly, daily, weekly, monthly)| Keep { hourly, daily, weekly, monthly })
}

type Name = fn(i64) -> String;

/// What keep says, bucket by bucket, written the long way.
fn must_stay(all: &[Snapshot<u32>], keep: &Keep) -> BTreeSet<u32> {
    let buckets: [(u32, Name); 4] = [
        (keep.hourly, |at| (at / HOUR).to_string()),
        (keep.daily, |at| (at / DAY).to_string()),
        (keep.weekly, |at| ((at - MONDAY.0) / (7 * DAY)).to_string()),
        (keep.monthly, |at| jiff::Timestamp::from_second(at).unwrap().strftime("%Y-%m").to_string()),
    ];
    let mut stay = BTreeSet::new();
    for (count, name) in buckets {
        let mut newest_first: Vec<_> = all.iter().filter(|one| one.worth != Worth::Held).collect();
        newest_first.sort_by_key(|one| (std::cmp::Reverse(one.received), std::cmp::Reverse(one.id)));
        let mut seen: Vec<String> = Vec::new();
        newest_first.iter().map(|one| name(one.received.0)).for_each(|bucket| {
            if !seen.contains(&bucket) {
                seen.push(bucket)
            }
        });
        for bucket in seen.iter().take(count as usize) {
            let within = || newest_first.iter().rev().filter(|one| name(one.received.0) == *bucket);
            stay.extend(within().find(|one| one.worth == Worth::Complete).or(within().next()).map(|one| one.id));
        }
    }
    stay
}

proptest! {
    #[test]
    fn exactly_what_keep_says_stays(all in any_snapshots(), keep in any_keep()) {
        let now = MONDAY.plus(90 * DAY);
        let gone = forget(&all, &keep, now);
        let mut stay = must_stay(&all, &keep);
        let newest = |worths: &[Worth]| all.iter().filter(|one| worths.contains(&one.worth)).max_by_key(|one| (one.received, one.id)).map(|one| one.id);
        stay.extend(newest(&[Worth::Complete]));
        stay.extend(newest(&[Worth::Complete, Worth::Partial]));
        stay.extend(all.iter().filter(|one| one.worth == Worth::Held).map(|one| one.id));
        let left: BTreeSet<u32> = all.iter().map(|one| one.id).filter(|id| !gone.contains(id)).collect();
        prop_assert_eq!(left, stay);
    }

    #[test]
    fn forgetting_after_each_run_loses_nothing_that_forgetting_once_would_keep(mut all in any_snapshots(), keep in any_keep()) {
        all.sort_by_key(|one| (one.received, one.id));
        let mut left: Vec<Snapshot<u32>> = Vec::new();
        for one in &all {
            left.push(one.clone());
            let gone = forget(&left, &keep, one.received);
            left.retain(|one| !gone.contains(&one.id));
        }
        let left: BTreeSet<u32> = left.iter().map(|one| one.id).collect();
        let now = all.last().map_or(MONDAY, |one| one.received);
        let gone = forget(&all, &keep, now);
        let once: BTreeSet<u32> = all.iter().map(|one| one.id).filter(|id| !gone.contains(id)).collect();
        prop_assert!(once.is_subset(&left), "{once:?} but {left:?}");
    }

    #[test]
    fn no_moment_panics(moments in prop::collection::vec(any::<i64>(), 0..20), now in any::<i64>()) {
        let all: Vec<_> = moments.iter().enumerate().map(|(id, at)| Snapshot { id, received: At(*at), worth: Worth::Complete }).collect();
        let gone = forget(&all, &ALL, At(now));
        prop_assert!(all.is_empty() || gone.len() < all.len());
    }
}
