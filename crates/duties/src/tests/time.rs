//! Box time goes on whatever the wall clock says.

use proptest::prelude::*;

use super::{DAY, HOUR, MONDAY};
use crate::time::{BoxTime, Judgement, LONGEST_OFF_S, Now, TOLERANCE_S};

const YEARS: i64 = 10 * 365 * DAY;

fn now(wall: i64, steady: u64) -> Now {
    Now { wall, steady }
}

/// Minutes that pass with the wall clock so far from the true course; the judgements that were no `Steady`.
fn minutes(time: &mut BoxTime, from: Now, count: u64, ahead_s: i64) -> Vec<Judgement> {
    let tick = |minute: u64| now(from.wall + ahead_s + 60 * minute as i64, from.steady + 60 * minute);
    (1..=count).map(|minute| time.tick(tick(minute))).filter(|judged| *judged != Judgement::Steady).collect()
}

#[test]
fn a_right_clock_is_followed() {
    let start = now(MONDAY.0, 0);
    let mut time = BoxTime::begin(start);
    assert_eq!(minutes(&mut time, start, 1_440, 0), []);
    assert_eq!(time.at(), MONDAY.plus(DAY));
    assert_eq!(time.doubt(), None);
}

#[test]
fn a_small_difference_is_taken_up_slowly() {
    let start = now(MONDAY.0, 0);
    let mut time = BoxTime::begin(start);
    assert_eq!(minutes(&mut time, start, 60, 100), []);
    assert_eq!(time.at(), MONDAY.plus(HOUR + 3), "3.6 s in an hour");
    assert_eq!(minutes(&mut time, now(MONDAY.0 + HOUR, HOUR as u64), 5 * 1_440, 100), []);
    assert_eq!(time.at(), MONDAY.plus(HOUR + 5 * DAY + 100));
}

#[test]
fn a_jump_is_told_once_and_never_believed() {
    for by in [TOLERANCE_S + 1, -TOLERANCE_S - 1, 3 * HOUR, -3 * HOUR, YEARS, -YEARS] {
        let start = now(MONDAY.0, 0);
        let mut time = BoxTime::begin(start);
        assert_eq!(minutes(&mut time, start, 1_440, by), [Judgement::Jumped { by }], "{by}");
        assert_eq!(time.at(), MONDAY.plus(DAY), "{by}");
        assert_eq!(time.doubt().map(|doubt| doubt.ahead_s), Some(by));
    }
}

#[test]
fn a_creeping_clock_is_a_jump_in_the_end() {
    let mut time = BoxTime::begin(now(MONDAY.0, 0));
    let creep = |minute: u64| now(MONDAY.0 + 61 * minute as i64, 60 * minute);
    let judged = (1..=1_440).map(|minute| time.tick(creep(minute))).filter(|judged| matches!(judged, Judgement::Jumped { .. })).count();
    assert!((2..20).contains(&judged), "told {judged} times");
    assert!(time.at().since(MONDAY.plus(DAY)) <= TOLERANCE_S);
}

#[test]
fn a_clock_is_believed_again_after_an_hour_without_a_break() {
    let start = now(MONDAY.0, 0);
    let mut time = BoxTime::begin(start);
    minutes(&mut time, start, 10, HOUR);
    let right = |minute: i64| now(MONDAY.0 + minute * 60, minute as u64 * 60);
    assert_eq!(minutes(&mut time, right(10), 59, 0), []);
    assert_eq!(minutes(&mut time, right(69), 1, HOUR), [Judgement::Jumped { by: HOUR }], "it broke the hour");
    assert_eq!(minutes(&mut time, right(70), 60, 0), []);
    assert!(time.doubt().is_some());
    assert_eq!(minutes(&mut time, right(130), 1, 0), [Judgement::Agrees]);
    assert_eq!((time.at(), time.doubt()), (MONDAY.plus(131 * 60), None));
}

#[test]
fn the_wall_clock_says_how_long_the_box_was_off() {
    for off_s in [0, 1, 600, 10 * DAY, LONGEST_OFF_S] {
        let mut time = BoxTime::begin(now(MONDAY.0, 0));
        assert_eq!(time.wake(now(MONDAY.0 + off_s, 30)), Judgement::WasOff { off_s });
        assert_eq!(time.at(), MONDAY.plus(off_s));
    }
}

#[test]
fn an_unbelievable_start_changes_nothing() {
    for by in [LONGEST_OFF_S + 1, -TOLERANCE_S - 1, YEARS, -YEARS, -MONDAY.0] {
        let mut time = BoxTime::begin(now(MONDAY.0, 0));
        assert_eq!(time.wake(now(MONDAY.0 + by, 0)), Judgement::Jumped { by });
        assert_eq!(time.at(), MONDAY);
        assert!(time.doubt().is_some());
    }
}

#[test]
fn a_clock_that_is_set_after_a_start_with_a_dead_battery_tells_how_long_the_box_was_off() {
    let mut time = BoxTime::begin(now(MONDAY.0, 0));
    assert_eq!(time.wake(now(0, 0)), Judgement::Jumped { by: -MONDAY.0 });
    minutes(&mut time, now(0, 0), 5, 0);
    let set = now(MONDAY.0 + 2 * DAY + 300, 300);
    assert_eq!(minutes(&mut time, set, 61, 0), [Judgement::Jumped { by: 2 * DAY }, Judgement::WasOff { off_s: 2 * DAY }]);
    assert_eq!(time.at(), MONDAY.plus(2 * DAY + 66 * 60));
    assert_eq!(time.doubt(), None);
}

#[test]
fn while_the_box_ran_no_difference_is_taken_for_time_without_power() {
    let start = now(MONDAY.0, 0);
    let mut time = BoxTime::begin(start);
    minutes(&mut time, start, 3 * 1_440, 2 * DAY);
    assert_eq!(time.at(), MONDAY.plus(3 * DAY));
}

#[test]
fn a_doubted_clock_still_counts_the_time_without_power() {
    let start = now(MONDAY.0, 0);
    let mut time = BoxTime::begin(start);
    minutes(&mut time, start, 10, 3 * HOUR);
    assert_eq!(time.wake(now(MONDAY.0 + 600 + 3 * HOUR + DAY, 600)), Judgement::WasOff { off_s: DAY });
    assert_eq!(time.at(), MONDAY.plus(600 + DAY));
    assert!(time.doubt().is_some(), "it is as wrong as before");
    // The steady clock started anew at 5 s.
    time.wake(now(MONDAY.0 + 600 + 3 * HOUR + DAY, 5));
    let set = now(MONDAY.0 + 600 + DAY, 5);
    assert_eq!(minutes(&mut time, set, 60, 0), []);
    assert_eq!(minutes(&mut time, now(set.wall + HOUR, 5 + HOUR as u64), 1, 0), [Judgement::Agrees], "after an hour of this boot");
}

#[test]
fn a_person_decides() {
    let start = now(MONDAY.0, 0);
    let mut time = BoxTime::begin(start);
    minutes(&mut time, start, 60, -5 * HOUR);
    assert_eq!(time.confirm(now(MONDAY.0 + HOUR - 5 * HOUR, HOUR as u64)), -5 * HOUR);
    assert_eq!((time.at(), time.doubt()), (MONDAY.plus(-4 * HOUR), None));
}

proptest! {
    #[test]
    fn whatever_the_wall_clock_says_box_time_runs_like_the_steady_clock(walls in prop::collection::vec((any::<i64>(), 0u64..100_000), 1..200)) {
        let mut time = BoxTime::begin(now(MONDAY.0, 0));
        let mut steady = 0;
        for (wall, ran) in walls {
            let before = time.at();
            steady += ran;
            time.tick(now(wall, steady));
            prop_assert!(time.at() >= before);
            let off = time.at().since(MONDAY) - steady as i64;
            prop_assert!(off.unsigned_abs() <= steady / 1_000 + 1, "{off} s in {steady} s");
        }
    }

    #[test]
    fn no_pair_of_clocks_panics_and_state_survives_a_restart(looks in prop::collection::vec((any::<i64>(), any::<u64>(), 0u8..3), 1..50)) {
        let mut time = BoxTime::begin(now(MONDAY.0, 0));
        for (wall, steady, what) in looks {
            match what {
                0 => { time.wake(now(wall, steady)); }
                1 => { time.confirm(now(wall, steady)); }
                _ => { time.tick(now(wall, steady)); }
            }
            let json = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(&serde_json::from_str::<BoxTime>(&json).unwrap(), &time);
        }
    }
}
