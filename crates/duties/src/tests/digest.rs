//! The daily report: once a day, at seven where the practice is, and what changed since the one before.

use super::status::{ended, fine, noon};
use super::{DAY, HOUR, MONDAY, failed, policy, share};
use crate::digest::{Day, digest};
use crate::status::{Facts, ShareFacts, status};
use crate::{At, Policy, Severity, ShareClock, Status, Tier, Weekly};

fn policies(tz: &str) -> Vec<Policy> {
    let hours = Weekly { days: vec![0], from_min: 480, to_min: 1_080, tz: tz.into(), spared: false };
    vec![policy(Tier::One), Policy { clinic_hours: Some(hours), ..policy(Tier::Two) }]
}

fn day(at: At) -> Day {
    Day { at, ..Day::of(&status(&fine(), noon())) }
}

#[test]
fn a_day_is_over_at_seven_where_the_practice_is() {
    let at = |hour| MONDAY.plus(200 * DAY + hour * HOUR);
    for (tz, last, now, over) in [
        ("Nowhere/Known", 8, 8 + 22, false),
        ("Nowhere/Known", 8, 8 + 23, true),
        ("Nowhere/Known", 6, 7, true),
        ("Nowhere/Known", 7, 7, false),
        // In summer two hours ahead.
        ("Europe/Berlin", 4, 5, true),
        ("Europe/Berlin", 5, 7, false),
        ("America/Los_Angeles", 7, 13, false),
        ("America/Los_Angeles", 7, 14, true),
        // A day that is still to come was counted by a clock that was wrong: it waits for whoever begins it again.
        ("Nowhere/Known", 400, 31, false),
    ] {
        assert_eq!(day(at(last)).is_over(&policies(tz), at(now)), over, "{tz}, {last}, {now}");
    }
    assert!(day(at(6)).is_over(&[policy(Tier::One)], at(7)), "without hours it is UTC");
    // The night in which an hour is left out, and the one that has one twice.
    let berlin = policies("Europe/Berlin");
    for (midnight, seven) in [(1_774_738_800, 6), (1_792_879_200, 8)] {
        let night = |hour| At(midnight + hour * HOUR);
        assert!(!day(night(0)).is_over(&berlin, night(seven).plus(-1)), "{seven}");
        assert!(day(night(0)).is_over(&berlin, night(seven)), "{seven}");
    }
}

fn after(change: impl FnOnce(&mut Facts)) -> Status {
    let mut facts = fine();
    change(&mut facts);
    facts.incidents.review(&facts.book, noon());
    status(&facts, noon())
}

#[test]
fn it_says_how_the_box_is_and_what_changed() {
    let before = Day { at: noon().plus(-DAY), ..Day::of(&after(|_| {})) };
    let quiet = digest(&after(|_| {}), &before);
    assert_eq!(quiet.subject, "Daily report: can you restore today? Yes");
    assert!(quiet.today.contains("Yes. Everything is proven.\nHere: ") && quiet.today.contains("\nPeople: "), "{}", quiet.today);
    assert!(
        quiet.today.contains("\nRoom: 0.5 kB free of 1.0 kB.\nEHR (tier 1): Complete. The newest copy is 20 minutes old."),
        "{}",
        quiet.today
    );
    assert_eq!((quiet.changed.as_str(), quiet.to_do.as_str()), ("Since 24 hours ago: nothing that needs somebody.", ""));
    assert_eq!(quiet.severity, Severity::Notice);

    let wrong = after(|facts| ended(facts, failed("password")));
    let news = digest(&wrong, &before);
    assert_eq!(news.severity, Severity::Warning);
    assert!(news.changed.starts_with("Since 24 hours ago:\n") || news.changed.starts_with("The answer was: Yes."), "{}", news.changed);
    assert!(news.changed.contains("New: The backup of EHR failed once: the password was refused."), "{}", news.changed);
    assert!(news.to_do.contains("Enter the password."), "{}", news.to_do);
    let solved = digest(&after(|_| {}), &Day { at: noon().plus(-DAY), ..Day::of(&wrong) });
    assert!(solved.changed.contains("Solved: The backup of EHR failed once"), "{}", solved.changed);
}

#[test]
fn shares_come_and_go_and_many_of_them_fit() {
    let before = Day { at: noon().plus(-DAY), ..Day::of(&after(|_| {})) };
    let many = after(|facts| {
        facts.shares.remove(1);
        for number in 0..500 {
            let label = format!("{}-{number}", "ü".repeat(60));
            facts.shares.push(ShareFacts { id: share(&label), label, policy: policy(Tier::Three), clock: ShareClock::new(MONDAY) });
        }
    });
    let news = digest(&many, &before);
    assert!(news.changed.contains("was added.") && news.changed.contains("And 486 more; see the console."), "{}", news.changed);
    for part in [&news.today, &news.changed, &news.to_do] {
        assert!(part.chars().count() <= 2_000, "{}", part.chars().count());
    }
    let one = digest(&after(|facts| drop(facts.shares.remove(1))), &before);
    assert!(one.changed.contains("SCANS is not backed up any more."), "{}", one.changed);
}
