//! Clinic hours in real time zones, and what a policy may not promise.

use jiff::Timestamp;

use super::{HOUR, policy};
use crate::{At, Keep, PolicyError, Tier, Weekly};

fn at(text: &str) -> At {
    At(text.parse::<Timestamp>().unwrap().as_second())
}

fn hours(days: &[u8], from_min: u16, to_min: u16, tz: &str) -> Weekly {
    Weekly { days: days.to_vec(), from_min, to_min, tz: tz.into(), spared: true }
}

#[test]
fn hours_are_the_clinics_own() {
    let office = hours(&[0, 1, 2, 3, 4], 8 * 60, 18 * 60, "America/Chicago");
    let cases = [
        ("2026-01-05T13:59:59Z", None),
        ("2026-01-05T14:00:00Z", Some("2026-01-06T00:00:00Z")),
        ("2026-01-05T23:59:59Z", Some("2026-01-06T00:00:00Z")),
        ("2026-01-06T00:00:00Z", None),
        ("2026-07-06T13:00:00Z", Some("2026-07-06T23:00:00Z")),
        ("2026-01-10T16:00:00Z", None),
    ];
    for (now, ends) in cases {
        assert_eq!(office.ends(at(now)), ends.map(at), "{now}");
    }
}

#[test]
fn a_day_on_which_the_clocks_change_ends_at_the_right_moment() {
    let night = hours(&[5], 22 * 60, 6 * 60, "America/Chicago");
    // Saturday, 7 March 2026: that night has one hour less.
    assert_eq!(night.ends(at("2026-03-08T04:00:00Z")), Some(at("2026-03-08T11:00:00Z")));
    assert_eq!(night.ends(at("2026-03-08T11:00:00Z")), None);
    // Saturday, 31 October 2026: that one has one hour more.
    assert_eq!(night.ends(at("2026-11-01T03:00:00Z")), Some(at("2026-11-01T12:00:00Z")));
}

#[test]
fn hours_without_a_break_are_one_stretch_and_end_all_the_same() {
    let always = hours(&[0, 1, 2, 3, 4, 5, 6], 0, 1_440, "Europe/Berlin");
    let now = at("2026-01-05T12:00:00Z");
    let ends = always.ends(now).unwrap();
    assert!((7 * 24 * HOUR..9 * 24 * HOUR).contains(&ends.since(now)));
    let weekend = hours(&[5, 6], 0, 1_440, "Europe/Berlin");
    assert_eq!(weekend.ends(at("2026-01-10T12:00:00Z")), Some(at("2026-01-11T23:00:00Z")));
}

#[test]
fn an_unknown_zone_has_no_hours() {
    assert_eq!(hours(&[0, 1, 2, 3, 4, 5, 6], 0, 1_440, "Mars/Olympus").ends(at("2026-01-05T12:00:00Z")), None);
    assert_eq!(hours(&[0], 0, 1_440, "UTC").ends(At(i64::MAX)), None);
    assert_eq!(hours(&[0], 0, 1_440, "UTC").ends(At(i64::MIN)), None);
}

#[test]
fn what_a_policy_may_not_promise() {
    let with = |change: &dyn Fn(&mut crate::Policy)| {
        let mut policy = policy(Tier::One);
        change(&mut policy);
        policy.check()
    };
    for tier in Tier::ALL {
        assert_eq!(policy(tier).check(), Ok(()));
    }
    assert_eq!(with(&|policy| policy.cadence_s = 0), Err(PolicyError::Cadence(0)));
    assert_eq!(with(&|policy| policy.cadence_s = u32::MAX), Err(PolicyError::Cadence(u32::MAX)));
    assert_eq!(with(&|policy| policy.copy_age_goal_s = 5_399), Err(PolicyError::Goal { goal_s: 5_399, cadence_s: 3_600 }));
    assert_eq!(with(&|policy| policy.copy_age_goal_s = 5_400), Ok(()));
    assert_eq!(with(&|policy| policy.keep = Keep { hourly: 0, daily: 0, weekly: 0, monthly: 0 }), Err(PolicyError::KeepsNothing));
    let wrong = [hours(&[], 0, 60, "UTC"), hours(&[7], 0, 60, "UTC"), hours(&[0], 1_440, 60, "UTC"), hours(&[0], 0, 1_441, "UTC")];
    for weekly in wrong {
        assert_eq!(with(&|policy| policy.clinic_hours = Some(weekly.clone())), Err(PolicyError::Hours), "{weekly:?}");
    }
    let zone = with(&|policy| policy.clinic_hours = Some(hours(&[0], 0, 60, "../etc/passwd")));
    assert_eq!(zone, Err(PolicyError::Zone("../etc/passwd".into())));
}

#[test]
fn loosening_is_known() {
    let strict = policy(Tier::One);
    assert!(!strict.is_loosened_by(&strict));
    assert!(strict.is_loosened_by(&policy(Tier::Three)));
    let mut tighter = strict.clone();
    tighter.keep.monthly += 1;
    tighter.cadence_s /= 2;
    assert!(!strict.is_loosened_by(&tighter));
    assert!(tighter.is_loosened_by(&strict));
}
