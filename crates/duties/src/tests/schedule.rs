//! When a share runs, and which run first.

use proptest::prelude::*;

use super::{DAY, HOUR, MONDAY, failed, policy, ran, run, share};
use crate::{At, Candidate, Due, Outcome, Policy, Room, Running, ShareClock, ShareId, Tier, Weekly, Why, next_due, pick};

fn due(policy: &Policy, clock: &ShareClock, now: At) -> Due {
    next_due(&share("s"), policy, clock, now)
}

#[test]
fn a_new_share_runs_at_once() {
    let clock = ShareClock::new(MONDAY);
    for tier in Tier::ALL {
        assert_eq!(due(&policy(tier), &clock, MONDAY.plus(5)), Due { at: MONDAY, why: Why::First });
    }
    assert_eq!(due(&policy(Tier::One), &clock, MONDAY.plus(-DAY)).at, MONDAY.plus(-DAY), "added under a clock that was ahead");
}

#[test]
fn a_share_keeps_its_place_in_the_hour() {
    let policy = policy(Tier::One);
    let first = due(&policy, &ran(MONDAY), MONDAY.plus(60));
    assert_eq!(first.why, Why::Cadence);
    let second = due(&policy, &ran(first.at.plus(20)), first.at.plus(90));
    assert_eq!(second.at, first.at.plus(HOUR), "20 s late, and not later the next time");
}

#[test]
fn shares_are_spread() {
    let at = |n: u32| next_due(&share(&format!("share-{n}")), &policy(Tier::One), &ran(MONDAY), MONDAY).at.since(MONDAY) / 600;
    let mut tenths = [0; 10];
    (0..600).for_each(|n| tenths[at(n) as usize] += 1);
    assert!(tenths[3..9].iter().all(|count| (60..=140).contains(count)), "half an hour to an hour and a half later: {tenths:?}");
}

#[test]
fn missed_runs_are_made_up_for_by_one() {
    let policy = policy(Tier::One);
    let mut clock = ran(MONDAY);
    let woke = MONDAY.plus(10 * DAY);
    let missed = due(&policy, &clock, woke);
    assert_eq!((missed.at < woke, missed.why), (true, Why::CatchUp));
    run(&mut clock, woke, 60, Outcome::Complete);
    let next = due(&policy, &clock, woke.plus(60));
    assert!((HOUR / 2..=HOUR * 3 / 2).contains(&next.at.since(woke)), "{next:?}");
}

#[test]
fn failures_are_retried_with_growing_waits_and_for_ever() {
    for (tier, waits) in [(Tier::One, [60, 120, 300, 900, 1_800, 3_600, 3_600]), (Tier::Three, [60, 120, 300, 900, 1_800, 7_200, 7_200])] {
        let mut clock = ran(MONDAY);
        let mut now = MONDAY.plus(HOUR);
        for wait in waits {
            run(&mut clock, now, 10, failed("unreachable"));
            let due = due(&policy(tier), &clock, now.plus(10));
            assert_eq!((due.at.since(now), due.why), (wait + 10, Why::Retry));
            now = due.at;
        }
        run(&mut clock, now, 10, Outcome::Complete);
        assert_eq!(due(&policy(tier), &clock, now.plus(10)).why, Why::Cadence);
    }
}

#[test]
fn a_run_that_fails_after_hours_is_not_repeated_after_a_minute() {
    let mut clock = ran(MONDAY);
    run(&mut clock, MONDAY.plus(DAY), 3 * HOUR, failed("silent"));
    let due = due(&policy(Tier::Three), &clock, MONDAY.plus(DAY + 3 * HOUR));
    assert_eq!(due.at, MONDAY.plus(DAY + 6 * HOUR));
    run(&mut clock, MONDAY.plus(2 * DAY), 3 * DAY, Outcome::Cut);
    let cut = super::schedule::due(&policy(Tier::Three), &clock, MONDAY.plus(5 * DAY));
    assert_eq!(cut.at, MONDAY.plus(5 * DAY + 120), "the box was off meanwhile");
}

#[test]
fn a_date_from_the_future_says_nothing() {
    let mut clock = ran(MONDAY.plus(3_650 * DAY));
    assert_eq!(due(&policy(Tier::One), &clock, MONDAY), Due { at: MONDAY, why: Why::CatchUp });
    assert_eq!(clock.copy_age_s(MONDAY), None);
    run(&mut clock, MONDAY, 60, Outcome::Complete);
    assert_eq!(clock.copy_age_s(MONDAY.plus(60)), Some(60));
    assert!(due(&policy(Tier::One), &clock, MONDAY.plus(60)).at > MONDAY.plus(60));
}

fn spared(tier: Tier) -> Policy {
    let hours = Weekly { days: (0..7).collect(), from_min: 8 * 60, to_min: 18 * 60, tz: "UTC".into(), spared: true };
    Policy { clinic_hours: Some(hours), ..policy(tier) }
}

#[test]
fn servers_are_spared_while_the_clinic_works_but_not_at_the_price_of_a_promise() {
    let noon = MONDAY.plus(12 * HOUR);
    let evening = MONDAY.plus(18 * HOUR);
    let overdue = ran(noon.plus(-26 * HOUR));
    assert_eq!(due(&spared(Tier::Three), &overdue, noon), Due { at: evening, why: Why::ClinicHours });
    assert_ne!(due(&spared(Tier::One), &ran(noon.plus(-2 * HOUR)), noon).why, Why::ClinicHours, "tier 1 runs always");
    // Tier 2 promises eight hours; by 18:00 it would be broken.
    let second = due(&spared(Tier::Two), &ran(noon.plus(-5 * HOUR)), noon);
    assert_eq!(second.why, Why::Promise);
    assert!(second.at > noon && second.at < noon.plus(3 * HOUR), "{second:?}");
    assert_eq!(due(&spared(Tier::Three), &ShareClock::new(noon), noon).why, Why::First, "without any copy nobody waits");
    let mut unspared = spared(Tier::Three);
    unspared.clinic_hours.as_mut().unwrap().spared = false;
    assert_ne!(due(&unspared, &overdue, noon).why, Why::ClinicHours);
}

#[test]
fn room_pauses_the_lower_tiers_first_and_does_not_swing() {
    let pauses = |room: Room| Tier::ALL.map(|tier| room.pauses(tier));
    assert_eq!(pauses(Room::Ample), [false; 3]);
    assert_eq!(pauses(Room::Short), [false, false, true]);
    assert_eq!(pauses(Room::Scarce), [false, true, true]);
    assert_eq!(pauses(Room::Full), [false, true, true]);
    let mut room = Room::Ample;
    let steps = [
        (90, Room::Ample),
        (79, Room::Short),
        (85, Room::Short),
        (29, Room::Scarce),
        (40, Room::Scarce),
        (0, Room::Full),
        (15, Room::Full),
        (25, Room::Scarce),
        (51, Room::Short),
        (101, Room::Ample),
    ];
    for (free, expected) in steps {
        room = room.step(free, 1_000);
        assert_eq!(room, expected, "{free}");
    }
    assert_eq!(Room::Ample.step(0, 0), Room::Full);
    assert_eq!(Room::Full.step(u64::MAX, u64::MAX), Room::Ample);
    assert_eq!(Room::Full.step(u64::MAX, 1), Room::Ample);
}

fn candidate(name: &str, tier: Tier, late_s: i64) -> Candidate {
    Candidate { share: share(name), tier, due: MONDAY.plus(-late_s), slow: false }
}

fn names(picked: &[ShareId]) -> Vec<&str> {
    picked.iter().map(|share| share.0.as_str()).collect()
}

#[test]
fn tiers_first_then_lateness_and_nobody_waits_for_ever() {
    let due =
        [candidate("c", Tier::Three, 600), candidate("b", Tier::Two, 10), candidate("a", Tier::One, 5), candidate("later", Tier::One, -5)];
    assert_eq!(names(&pick(&due, &[], 3, Room::Ample, MONDAY)), ["a", "b", "c"]);
    assert_eq!(names(&pick(&due, &[], 1, Room::Ample, MONDAY)), ["a"]);
    let [others, one] = [Tier::Two, Tier::One].map(|tier| ["p", "q", "r", "s", "t"].map(|name| candidate(name, tier, 60)));
    let full: Vec<_> = ["w", "x", "y", "z"].map(|name| Running { share: share(name), slow: false }).into();
    assert_eq!(names(&pick(&others, &full, 4, Room::Ample, MONDAY)), [""; 0]);
    assert_eq!(names(&pick(&one, &full, 4, Room::Ample, MONDAY)), ["p", "q"], "tier 1 has places of its own");
    assert_eq!(names(&pick(&due, &[], 3, Room::Short, MONDAY)), ["a", "b"]);
    let starved = [candidate("a", Tier::One, 5), candidate("c", Tier::Three, 5 * HOUR), candidate("b", Tier::Two, 2 * HOUR)];
    assert_eq!(names(&pick(&starved, &[], 3, Room::Ample, MONDAY)), ["a", "b", "c"]);
    assert_eq!(names(&pick(&starved, &[], 3, Room::Ample, MONDAY.plus(300))), ["c", "b", "a"], "every other five minutes");
    assert_eq!(names(&pick(&[], &[], 3, Room::Ample, MONDAY)), [""; 0]);
    assert_eq!(names(&pick(&due, &[], 0, Room::Ample, MONDAY)), [""; 0]);
}

#[test]
fn slow_shares_leave_a_place_for_the_others() {
    let slow = |name: &str| Candidate { slow: true, ..candidate(name, Tier::One, 100) };
    let runs = |slow: usize, fast: usize| -> Vec<Running> {
        let run = |n: usize| Running { share: share(&format!("run-{n}")), slow: n < slow };
        (0..slow + fast).map(run).collect()
    };
    let due = [slow("x"), slow("y"), slow("z"), candidate("a", Tier::Three, 1)];
    assert_eq!(names(&pick(&due, &[], 3, Room::Ample, MONDAY)), ["x", "y", "a"]);
    assert_eq!(names(&pick(&due, &runs(2, 0), 3, Room::Ample, MONDAY)), ["a"]);
    assert_eq!(names(&pick(&due, &runs(3, 0), 3, Room::Ample, MONDAY)), ["a"], "all became slow: one more");
    assert_eq!(names(&pick(&due, &runs(6, 0), 3, Room::Ample, MONDAY)), [""; 0], "but not without end");
    assert_eq!(names(&pick(&due, &runs(0, 3), 3, Room::Ample, MONDAY)), [""; 0]);
    assert_eq!(names(&pick(&due[..1], &[], 1, Room::Ample, MONDAY)), ["x"], "with one place a slow share runs too");
}

#[test]
fn a_share_is_slow_by_its_own_measure() {
    let mut clock = ShareClock::new(MONDAY);
    clock.started(MONDAY);
    assert_eq!(
        (clock.is_slow(MONDAY.plus(HOUR / 2)), clock.is_slow(MONDAY.plus(HOUR / 2 + 1))),
        (false, true),
        "a first run: after half an hour"
    );
    clock.finished(MONDAY.plus(120), Outcome::Complete);
    clock.started(MONDAY.plus(DAY));
    assert_eq!((clock.is_slow(MONDAY.plus(DAY + 480)), clock.is_slow(MONDAY.plus(DAY + 481))), (false, true));
    clock.finished(MONDAY.plus(DAY + 3_000), failed("silent"));
    clock.started(MONDAY.plus(2 * DAY));
    assert!(clock.is_slow(MONDAY.plus(2 * DAY)), "it was, so it counts as slow from its start");
}

#[test]
fn outcomes_are_what_they_are() {
    let after = |outcome: Outcome| {
        let mut clock = ran(MONDAY);
        run(&mut clock, MONDAY.plus(HOUR), 60, failed("unreachable"));
        run(&mut clock, MONDAY.plus(2 * HOUR), 60, outcome);
        (clock.last_good == Some(MONDAY.plus(2 * HOUR)), clock.failures_in_row, clock.running)
    };
    assert_eq!(after(Outcome::Complete), (true, 0, false));
    assert_eq!(after(Outcome::Partial { gaps: 3 }), (true, 0, false));
    assert_eq!(after(Outcome::Held { code: "collapsed".into() }), (false, 0, false));
    assert_eq!(after(failed("password")), (false, 2, false));
    assert_eq!(after(Outcome::Cut), (false, 2, false));
    assert_eq!(after(Outcome::Cancelled), (false, 0, false));
    let mut idle = ran(MONDAY);
    idle.finished(MONDAY.plus(DAY), Outcome::Complete);
    assert_eq!(idle, ran(MONDAY), "what does not run does not end");
}

fn any_tier() -> impl Strategy<Value = Tier> {
    prop::sample::select(Tier::ALL.to_vec())
}

proptest! {
    #[test]
    fn runs_keep_their_distance_and_their_promise(tier in any_tier(), name in "[a-z]{1,8}", steps in prop::collection::vec((0i64..600, 10i64..900), 1..60)) {
        let policy = policy(tier);
        let cadence = i64::from(policy.cadence_s);
        let mut clock = ShareClock::new(MONDAY);
        let mut now = MONDAY;
        for (waits, takes) in steps {
            let due = next_due(&share(&name), &policy, &clock, now);
            let start = due.at.max(now).plus(waits);
            if let Some(before) = clock.last_started {
                prop_assert!(start.since(before) > cadence / 2);
                prop_assert!(start.plus(takes).since(before) <= i64::from(policy.copy_age_goal_s) || waits + takes > cadence / 2, "{:?}", due);
            }
            run(&mut clock, start, takes, Outcome::Complete);
            now = start.plus(takes);
        }
    }

    #[test]
    fn picking_is_never_too_much_and_never_idle(
        tiers in prop::collection::vec((any_tier(), -2 * HOUR..6 * HOUR, any::<bool>()), 0..20),
        runs in prop::collection::vec(any::<bool>(), 0..8),
        slots in 1usize..5,
    ) {
        let due: Vec<_> = tiers.iter().enumerate().map(|(n, (tier, late, slow))| Candidate { slow: *slow, ..candidate(&format!("s{n}"), *tier, *late) }).collect();
        let running: Vec<_> = runs.iter().enumerate().map(|(n, slow)| Running { share: share(&format!("s{n}")), slow: *slow }).collect();
        let picked = pick(&due, &running, slots, Room::Short, MONDAY);
        let could = |candidate: &&Candidate| candidate.due <= MONDAY && candidate.tier != Tier::Three && running.iter().all(|run| run.share != candidate.share);
        let able: Vec<_> = due.iter().filter(could).collect();
        prop_assert!(picked.iter().all(|share| able.iter().any(|candidate| candidate.share == *share)));
        prop_assert!(picked.is_empty() || picked.len() + running.len() <= 2 * slots);
        let lower = picked.iter().filter(|share| due.iter().any(|candidate| candidate.share == **share && candidate.tier != Tier::One && !candidate.slow)).count();
        prop_assert!(lower <= slots);
        let fast = running.iter().filter(|run| !run.slow).count();
        if able.iter().any(|candidate| !candidate.slow) && running.len() < 2 * slots && fast < slots && running.len() - fast < slots {
            let free = running.len() < slots || running.len() == running.iter().filter(|run| run.slow).count();
            prop_assert!(!picked.is_empty() || !free);
        }
    }

    #[test]
    fn no_state_panics(moments in prop::collection::vec(prop::option::of(any::<i64>()), 4), now in any::<i64>(), failures in any::<u32>(), usual in prop::option::of(any::<u32>()), cadence in any::<u32>(), goal in any::<u32>()) {
        let at = |n: usize| moments[n].map(At);
        let mut clock = ShareClock::new(at(0).unwrap_or(MONDAY));
        (clock.last_started, clock.last_finished, clock.last_good) = (at(1), at(2), at(3));
        (clock.failures_in_row, clock.usual_s) = (failures, usual);
        let policy = Policy { cadence_s: cadence, copy_age_goal_s: goal, ..spared(Tier::Two) };
        next_due(&share("s"), &policy, &clock, At(now));
        clock.running = true;
        clock.is_slow(At(now));
        clock.shift(now);
        clock.finished(At(now), Outcome::Complete);
        prop_assert!(clock.copy_age_s(At(now)).is_none_or(|age| age >= 0));
    }
}
