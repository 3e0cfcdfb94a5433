//! How duties stand, and what proves or breaks them.

use super::{DAY, HOUR, MONDAY, failed, policy, ran, run, share};
use crate::book::GRACE_S;
use crate::time::{BoxTime, Judgement, Now};
use crate::{At, Book, Duty, DutyKind, Numbers, Outcome, Severity, ShareClock, Sight, Standing, Subject, Tier, deadline_s};

fn copy_age() -> Duty {
    Duty::of_share(DutyKind::CopyAge, &share("s"))
}

fn of_share(kind: DutyKind) -> Duty {
    Duty::of_share(kind, &share("s"))
}

fn with_share(tier: Tier) -> Book {
    let mut book = Book::begin(MONDAY);
    book.share(&share("s"), &policy(tier), MONDAY);
    book
}

fn bad(book: &Book, duty: &Duty, now: At) -> Option<(Severity, String)> {
    book.sights(now).find(|(known, _)| *known == duty).and_then(|(_, sight)| match sight {
        Sight::Bad { severity, code, .. } => Some((severity, code)),
        Sight::Proven { .. } => None,
    })
}

#[test]
fn silence_decays() {
    let mut book = Book::begin(MONDAY);
    let scrub = Duty::of_box(DutyKind::Scrub);
    let due = MONDAY.plus(35 * DAY);
    assert_eq!(book.standing(&scrub, MONDAY), Standing::NeverProven { since: MONDAY, due: Some(due) });
    assert!(!book.standing(&scrub, due).is_broken(due));
    assert!(book.standing(&scrub, due.plus(1)).is_broken(due.plus(1)));
    book.prove(&scrub, due, Numbers::new());
    let until = due.plus(35 * DAY);
    assert_eq!(book.standing(&scrub, until), Standing::Proven { at: due, until: Some(until) });
    assert_eq!(book.standing(&scrub, until.plus(1)), Standing::Overdue { since: until, at: due });
    book.fail(&scrub, until.plus(2), "lost", vec![("lost".into(), 1)]);
    assert_eq!(book.standing(&scrub, until.plus(3)), Standing::Failed { at: until.plus(2), code: "lost".into() });
    book.prove(&scrub, until.plus(4), Numbers::new());
    assert!(book.standing(&scrub, until.plus(5)).is_proven());
}

#[test]
fn nothing_is_said_of_what_nobody_owes_or_what_comes_from_the_future() {
    let mut book = Book::begin(MONDAY);
    assert_eq!(book.standing(&Duty::disk("x"), MONDAY), Standing::Unknown);
    book.prove(&Duty::disk("x"), MONDAY, Numbers::new());
    assert_eq!(book.standing(&Duty::disk("x"), MONDAY), Standing::Unknown);
    let scrub = Duty::of_box(DutyKind::Scrub);
    book.prove(&scrub, MONDAY.plus(DAY), Numbers::new());
    assert_eq!(book.standing(&scrub, MONDAY), Standing::Unknown);
    assert!(Standing::Unknown.is_broken(MONDAY));
}

#[test]
fn an_older_proof_displaces_no_newer_one() {
    let mut book = with_share(Tier::One);
    book.prove(&copy_age(), MONDAY.plus(HOUR), Numbers::new());
    book.prove(&copy_age(), MONDAY, Numbers::new());
    assert_eq!(book.get(&copy_age()).unwrap().proven.as_ref().unwrap().at, MONDAY.plus(HOUR));
}

#[test]
fn deadlines_are_these() {
    let days = |kind| deadline_s(kind, None).map(|within| within / DAY as u64);
    assert_eq!(days(DutyKind::TestRestore), Some(35));
    assert_eq!(days(DutyKind::KitRehearsal), Some(95));
    assert_eq!(days(DutyKind::Runs), None);
    assert_eq!(deadline_s(DutyKind::CopyAge, Some(&policy(Tier::Two))), Some(28_800));
}

#[test]
fn a_copy_is_as_old_as_the_beginning_of_its_run() {
    let mut book = with_share(Tier::One);
    let mut clock = ShareClock::new(MONDAY);
    run(&mut clock, MONDAY, HOUR, Outcome::Complete);
    book.run_ended(&share("s"), &clock, MONDAY.plus(HOUR));
    assert_eq!(book.standing(&copy_age(), MONDAY.plus(2 * HOUR)), Standing::Proven { at: MONDAY, until: Some(MONDAY.plus(2 * HOUR)) });
    assert_eq!(bad(&book, &copy_age(), MONDAY.plus(2 * HOUR + 1)), Some((Severity::Warning, "overdue".into())));
    assert_eq!(bad(&book, &copy_age(), MONDAY.plus(4 * HOUR + 1)), Some((Severity::Critical, "overdue".into())));
}

#[test]
fn each_outcome_proves_and_breaks_its_own() {
    let kinds = [DutyKind::CopyAge, DutyKind::Runs, DutyKind::Gaps, DutyKind::Held];
    let cases = [
        (Outcome::Complete, ["proven", "proven", "proven", "proven"]),
        (Outcome::Partial { gaps: 3 }, ["proven", "proven", "gaps", "proven"]),
        (Outcome::Held { code: "collapsed".into() }, ["never", "never", "never", "collapsed"]),
        (failed("password"), ["never", "password", "never", "never"]),
        (Outcome::Cut, ["never", "cut", "never", "never"]),
        (Outcome::Cancelled, ["never", "never", "never", "never"]),
    ];
    for (outcome, expected) in cases {
        let mut book = with_share(Tier::One);
        let mut clock = ShareClock::new(MONDAY);
        run(&mut clock, MONDAY, 60, outcome.clone());
        book.run_ended(&share("s"), &clock, MONDAY.plus(60));
        let stands = kinds.map(|kind| match book.standing(&of_share(kind), MONDAY.plus(60)) {
            Standing::Proven { .. } => "proven".to_owned(),
            Standing::NeverProven { .. } => "never".to_owned(),
            Standing::Failed { code, .. } => code,
            other => panic!("{other:?}"),
        });
        assert_eq!(stands, expected, "{outcome:?}");
    }
}

#[test]
fn what_mends_itself_is_no_incident_and_what_needs_a_person_is_one_at_once() {
    let mut book = with_share(Tier::One);
    let mut clock = ran(MONDAY);
    for nth in 1..=4 {
        let now = MONDAY.plus(nth * 600);
        run(&mut clock, now, 5, failed("unreachable"));
        book.run_ended(&share("s"), &clock, now);
        assert_eq!(bad(&book, &of_share(DutyKind::Runs), now).is_some(), nth == 4);
    }
    let mut book = with_share(Tier::One);
    let mut clock = ran(MONDAY);
    run(&mut clock, MONDAY.plus(600), 5, failed("password"));
    book.run_ended(&share("s"), &clock, MONDAY.plus(605));
    assert_eq!(bad(&book, &of_share(DutyKind::Runs), MONDAY.plus(605)), Some((Severity::Warning, "password".into())));
}

#[test]
fn a_first_copy_may_take_a_day() {
    let book = with_share(Tier::One);
    assert_eq!(bad(&book, &copy_age(), MONDAY.plus(DAY)), None);
    assert_eq!(bad(&book, &copy_age(), MONDAY.plus(DAY + 1)), Some((Severity::Warning, "never".into())));
}

#[test]
fn tiers_are_tested_as_long_as_they_have_shares() {
    let mut book = with_share(Tier::One);
    let tested = |book: &Book| -> Vec<Subject> {
        book.owed().iter().filter(|owed| owed.duty.kind == DutyKind::TestRestore).map(|owed| owed.duty.subject.clone()).collect()
    };
    assert_eq!(tested(&book), [Subject::Tier(Tier::One)]);
    book.share(&share("s"), &policy(Tier::Three), MONDAY);
    assert_eq!(tested(&book), [Subject::Tier(Tier::Three)]);
    assert_eq!(book.get(&copy_age()).unwrap().within_s, Some(172_800), "the new promise");
    book.without_share(&share("s"));
    assert_eq!(tested(&book), []);
    assert!(book.owed().iter().all(|owed| owed.duty.subject == Subject::Box));
}

fn awake_after(off_s: i64) -> (Book, At) {
    let mut book = with_share(Tier::One);
    book.prove(&copy_age(), MONDAY, Numbers::new());
    let mut time = BoxTime::begin(Now { wall: MONDAY.0, steady: 0 });
    let judged = time.wake(Now { wall: MONDAY.0 + off_s, steady: 0 });
    book.ticked(&time, judged);
    (book, time.at())
}

#[test]
fn after_time_without_power_there_is_an_hour_to_make_up_for_it() {
    let (book, now) = awake_after(2 * DAY);
    assert!(matches!(book.standing(&copy_age(), now), Standing::Overdue { .. }), "the truth is not delayed");
    assert_eq!(bad(&book, &copy_age(), now.plus(GRACE_S - 1)), None);
    assert_eq!(bad(&book, &copy_age(), now.plus(GRACE_S)), Some((Severity::Critical, "overdue".into())));
    assert_eq!(bad(&book, &Duty::of_box(DutyKind::Power), now), Some((Severity::Notice, "was-off".into())));
    let (book, now) = awake_after(60);
    assert_eq!(bad(&book, &Duty::of_box(DutyKind::Power), now), None, "a restart");
}

#[test]
fn power_is_proven_by_an_hour_of_it_and_the_clock_by_being_believed() {
    let (mut book, now) = awake_after(2 * DAY);
    let mut time = BoxTime::begin(Now { wall: now.0, steady: 0 });
    let power = Duty::of_box(DutyKind::Power);
    for minute in 1..=60 {
        assert!(!book.standing(&power, time.at()).is_proven());
        let judged = time.tick(Now { wall: now.0 + 60 * minute, steady: 60 * minute as u64 });
        book.ticked(&time, judged);
    }
    assert!(book.standing(&power, time.at()).is_proven());
    assert!(book.standing(&Duty::of_box(DutyKind::Time), time.at()).is_proven());
    let judged = time.tick(Now { wall: 0, steady: 3_660 });
    assert!(matches!(judged, Judgement::Jumped { .. }));
    book.ticked(&time, judged);
    assert_eq!(bad(&book, &Duty::of_box(DutyKind::Time), time.at()), Some((Severity::Warning, "clock".into())));
}

#[test]
fn moments_move_back_with_the_clock_and_never_forward() {
    let mut book = with_share(Tier::One);
    book.prove(&copy_age(), MONDAY.plus(DAY), Numbers::new());
    let now = MONDAY.plus(DAY + 60);
    let back = {
        let mut book = book.clone();
        book.moved(-30 * DAY, now.plus(-30 * DAY));
        book
    };
    let then = now.plus(-30 * DAY);
    assert_eq!(back.standing(&copy_age(), then), Standing::Proven { at: then.plus(-60), until: Some(then.plus(2 * HOUR - 60)) });
    book.moved(5 * HOUR, now.plus(5 * HOUR));
    assert!(matches!(book.standing(&copy_age(), now.plus(5 * HOUR)), Standing::Overdue { .. }));
    assert_eq!(bad(&book, &copy_age(), now.plus(5 * HOUR)), None, "there is an hour to make up for it");
}

#[test]
fn how_loud() {
    let cases = [
        (Duty::of_box(DutyKind::Pool), "short", Severity::Notice),
        (Duty::of_box(DutyKind::Pool), "full", Severity::Critical),
        (Duty::of_box(DutyKind::Pool), "degraded", Severity::Warning),
        (Duty::of_box(DutyKind::Log), "broken", Severity::Critical),
        (Duty::of_box(DutyKind::Keys), "locked", Severity::Critical),
        (Duty::test_restore(Tier::One), "differs", Severity::Critical),
        (Duty::disk("x"), "suspect", Severity::Warning),
        (Duty::disk("x"), "failing", Severity::Critical),
        (Duty::disk("x"), "failing:self-test-failed", Severity::Critical),
        (Duty::disk("x"), "unusable", Severity::Critical),
        (Duty::disk("x"), "unreadable", Severity::Critical),
        (of_share(DutyKind::Gaps), "gaps", Severity::Notice),
    ];
    for (duty, code, severity) in cases {
        let mut book = with_share(Tier::One);
        book.owe(Duty::disk("x"), MONDAY);
        book.fail(&duty, MONDAY, code, Numbers::new());
        assert_eq!(bad(&book, &duty, MONDAY), Some((severity, code.into())), "{duty:?}");
    }
}

#[test]
fn a_book_survives_a_restart() {
    let (mut book, _) = awake_after(2 * DAY);
    book.owe(Duty::rehearsal("7F2A"), MONDAY);
    book.fail(&copy_age(), MONDAY, "x", vec![("age_s".into(), 3)]);
    let json = serde_json::to_string(&book).unwrap();
    assert_eq!(serde_json::from_str::<Book>(&json).unwrap(), book);
}
