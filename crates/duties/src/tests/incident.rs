//! One thread for one thing, and nothing said twice.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{DAY, HOUR, MONDAY, policy, share};
use crate::time::{BoxTime, Now};
use crate::{Announcement, At, Book, Closing, Duty, DutyKind, Incidents, Numbers, Said, Severity, Tier};

const MINUTE: i64 = 60;

/// A box with one disk that is owed, and its incidents.
struct Scene {
    book: Book,
    incidents: Incidents,
    now: At,
    said: Vec<Announcement>,
}

impl Scene {
    fn new() -> Self {
        let mut book = Book::default();
        book.owe(disk(), MONDAY);
        Self { book, incidents: Incidents::default(), now: MONDAY, said: Vec::new() }
    }

    fn fail(&mut self, code: &str) -> &mut Self {
        self.book.fail(&disk(), self.now, code, Numbers::new());
        self
    }

    fn prove(&mut self) -> &mut Self {
        self.book.prove(&disk(), self.now, Numbers::new());
        self
    }

    /// Minute by minute; what was said, with the minute.
    fn minutes(&mut self, count: i64) -> Vec<(Said, i64)> {
        let from = self.now;
        let mut said = Vec::new();
        for _ in 0..count {
            self.now = self.now.plus(MINUTE);
            let new = self.incidents.review(&self.book, self.now);
            said.extend(new.iter().map(|one| (one.kind, self.now.since(from) / MINUTE)));
            self.said.extend(new);
        }
        said
    }
}

fn disk() -> Duty {
    Duty::disk("bay-2")
}

#[test]
fn opened_once_and_closed_by_proof_that_held_for_an_hour() {
    let mut scene = Scene::new();
    assert_eq!(scene.prove().minutes(10), []);
    assert_eq!(scene.fail("suspect").minutes(30), [(Said::Opened, 1)]);
    assert_eq!(scene.fail("suspect").minutes(30), [], "the same again");
    let proof = scene.now;
    assert_eq!(scene.prove().minutes(120), [(Said::Closed, 61)]);
    assert_eq!(scene.said[1].incident.closed_by, Some(Closing::Proof { at: proof }));
    assert!(scene.incidents.all().is_empty());
}

#[test]
fn silence_closes_nothing() {
    let mut scene = Scene::new();
    scene.prove();
    let said = scene.minutes(1_500);
    assert_eq!(said, [(Said::Opened, 1_441)], "the proof was good for a day");
    assert_eq!(scene.minutes(100), []);
    assert_eq!(scene.incidents.open_threads().len(), 1);
    assert_eq!(scene.incidents.open_threads()[0].code, "overdue");
}

#[test]
fn the_proof_there_was_before_closes_nothing() {
    let mut scene = Scene::new();
    scene.book.share(&share("s"), &policy(Tier::One), MONDAY);
    let copy = Duty::of_share(DutyKind::CopyAge, &share("s"));
    scene.book.prove(&copy, MONDAY, Numbers::new());
    assert_eq!(scene.prove().minutes(121), [(Said::Opened, 121)]);
    scene.book.share(&share("s"), &policy(Tier::Three), scene.now);
    assert!(scene.book.standing(&copy, scene.now).is_proven(), "a looser promise");
    scene.minutes(90);
    assert_eq!(scene.incidents.open_threads().len(), 1, "is no proof");
    scene.book.prove(&copy, scene.now, Numbers::new());
    scene.minutes(1);
    assert_eq!(scene.incidents.open_threads().len(), 0);
}

#[test]
fn flapping_is_one_thread() {
    let mut scene = Scene::new();
    let mut said = Vec::new();
    for _ in 0..20 {
        said.extend(scene.fail("suspect").minutes(5));
        said.extend(scene.prove().minutes(30));
        scene.incidents.acknowledge(1, "ann", scene.now);
    }
    assert_eq!(said, [(Said::Opened, 1)], "taken while it was good for a moment");
    assert_eq!(scene.incidents.all()[0].returned, 19);
    assert_eq!(scene.minutes(40), [(Said::Closed, 31)]);
    assert_eq!(scene.fail("suspect").minutes(1), [(Said::Opened, 1)], "later it is another one");
    assert_eq!(scene.said.iter().map(|one| one.incident.id).collect::<Vec<_>>(), [1, 1, 2]);
}

#[test]
fn nobody_took_it() {
    let mut scene = Scene::new();
    assert_eq!(scene.fail("suspect").minutes(600), [(Said::Opened, 1), (Said::Escalated, 241)]);
    let mut scene = Scene::new();
    assert_eq!(scene.fail("failing").minutes(600), [(Said::Opened, 1), (Said::Escalated, 61)]);
    let mut scene = Scene::new();
    scene.fail("suspect").minutes(10);
    assert!(scene.incidents.acknowledge(1, "ann", scene.now));
    assert!(!scene.incidents.acknowledge(2, "ann", scene.now));
    assert_eq!(scene.minutes(1_440 * 7), [(Said::Reminder, 1_440 * 7 - 9)], "taken: one reminder a week");
}

#[test]
fn worse_is_said_once_and_better_is_not() {
    let mut scene = Scene::new();
    assert_eq!(scene.fail("suspect").minutes(10), [(Said::Opened, 1)]);
    assert_eq!(scene.fail("failing").minutes(10), [(Said::Worse, 1)]);
    assert_eq!(scene.fail("suspect").minutes(10), []);
    assert_eq!(scene.fail("failing").minutes(10), []);
    let thread = scene.incidents.open_threads()[0];
    assert_eq!((thread.severity, thread.worst, thread.id), (Severity::Critical, Severity::Critical, 1));
    assert_eq!(scene.minutes(60), [(Said::Escalated, 31)], "an hour after it got worse");
}

#[test]
fn a_reminder_a_day() {
    let mut scene = Scene::new();
    let said = scene.fail("suspect").minutes(1_440 * 3 + 300);
    let days: Vec<_> = said.iter().filter(|(kind, _)| *kind == Said::Reminder).map(|(_, minute)| minute).collect();
    assert_eq!(days, [&1_681, &3_121, &4_561], "a day after the last that was said");
}

#[test]
fn what_is_owed_no_longer_is_closed_and_said() {
    let mut scene = Scene::new();
    scene.fail("suspect").minutes(10);
    scene.book.drop(&disk());
    assert_eq!(scene.minutes(100), [(Said::Closed, 1)]);
    assert_eq!(scene.said[1].incident.closed_by, Some(Closing::Withdrawn));
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    let mut scene = Scene::new();
    scene.fail("suspect").minutes(10);
    scene.now = scene.now.plus(-30 * DAY);
    scene.book.moved(-30 * DAY, scene.now);
    scene.incidents.moved(-30 * DAY);
    assert_eq!(scene.minutes(400), [(Said::Escalated, 231)]);
    assert_eq!(scene.prove().minutes(100), [(Said::Closed, 61)]);
}

#[test]
fn nothing_is_said_to_be_over_while_it_is_broken_again_in_the_hour_of_grace() {
    let mut scene = Scene::new();
    scene.book.owe(Duty::of_box(DutyKind::Power), MONDAY);
    scene.fail("suspect").minutes(10);
    scene.prove().minutes(10);
    let mut time = BoxTime::begin(Now { wall: scene.now.0, steady: 0 });
    let woke = time.wake(Now { wall: scene.now.0 + 2 * DAY, steady: 0 });
    scene.book.ticked(&time, woke);
    scene.now = time.at();
    let said = scene.minutes(50);
    assert_eq!(said, [(Said::Opened, 1)], "of the power: {:?}", scene.said);
    scene.minutes(60);
    assert_eq!(
        scene.incidents.open_threads().iter().find(|thread| thread.duty == disk()).map(|thread| (thread.id, thread.returned)),
        Some((1, 1))
    );
}

#[derive(Clone, Debug)]
enum Act {
    Fail(usize, &'static str),
    Prove(usize),
    Take,
    Pass(i64),
    Restart,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0usize..3, prop::sample::select(vec!["suspect", "failing", "silent"])).prop_map(|(disk, code)| Act::Fail(disk, code)),
        (0usize..3).prop_map(Act::Prove),
        Just(Act::Take),
        (1i64..3_000).prop_map(Act::Pass),
        Just(Act::Restart),
    ]
}

/// What was said of one disk, against the rules.
#[derive(Default)]
struct Heard {
    open: Option<u64>,
    said: Vec<(Said, At)>,
}

impl Heard {
    fn hear(&mut self, one: &Announcement, now: At) {
        match one.kind {
            Said::Opened => {
                assert_eq!(self.open.replace(one.incident.id), None, "opened twice");
                self.said.clear();
            }
            Said::Closed => {
                assert_eq!(self.open.take(), Some(one.incident.id));
                assert!(matches!(one.incident.closed_by, Some(Closing::Proof { .. })));
            }
            _ => assert_eq!(self.open, Some(one.incident.id)),
        }
        let before = self.said.iter().rfind(|(kind, _)| matches!(kind, Said::Reminder | Said::Opened));
        assert!(one.kind != Said::Reminder || before.is_none_or(|(_, at)| now.since(*at) >= DAY), "two reminders a day");
        let worse = self.said.iter().filter(|(kind, _)| *kind == Said::Worse).count();
        let escalated = self.said.iter().filter(|(kind, _)| *kind == Said::Escalated).count();
        assert!(one.kind != Said::Worse || worse < 2);
        assert!(one.kind != Said::Escalated || escalated <= worse);
        self.said.push((one.kind, now));
    }
}

proptest! {
    #[test]
    fn threads_follow_the_rules_whatever_happens(acts in prop::collection::vec(any_act(), 1..60)) {
        let disks = ["a", "b", "c"].map(Duty::disk);
        let mut book = Book::default();
        disks.iter().for_each(|disk| book.owe(disk.clone(), MONDAY));
        let mut incidents = Incidents::default();
        let mut heard: BTreeMap<Duty, Heard> = BTreeMap::new();
        let mut now = MONDAY;
        for act in acts {
            let mut pass = 1;
            match act {
                Act::Fail(disk, code) => book.fail(&disks[disk], now, code, Numbers::new()),
                Act::Prove(disk) => book.prove(&disks[disk], now, Numbers::new()),
                Act::Take => { incidents.open_threads().first().map(|thread| thread.id).map(|id| incidents.clone().acknowledge(id, "ann", now)); }
                Act::Pass(minutes) => pass = minutes,
                Act::Restart => incidents = serde_json::from_str(&serde_json::to_string(&incidents).unwrap()).unwrap(),
            }
            for _ in 0..pass {
                now = now.plus(MINUTE);
                for one in incidents.review(&book, now) {
                    heard.entry(one.incident.duty.clone()).or_default().hear(&one, now);
                }
                for disk in &disks {
                    let told = heard.get(disk).is_some_and(|heard| heard.open.is_some());
                    let thread = incidents.all().iter().filter(|thread| thread.duty == *disk).count();
                    prop_assert_eq!(usize::from(told), thread, "told and known are the same");
                    let broken = book.standing(disk, now).is_broken(now);
                    let open = incidents.open_threads().iter().any(|thread| thread.duty == *disk);
                    prop_assert_eq!(broken, open);
                }
            }
        }
    }
}

#[test]
fn the_worst_and_oldest_come_first() {
    let mut book = Book::default();
    for (name, code) in [("a", "suspect"), ("b", "failing"), ("c", "failing")] {
        book.owe(Duty::disk(name), MONDAY);
        book.fail(&Duty::disk(name), MONDAY, code, Numbers::new());
    }
    let mut incidents = Incidents::default();
    incidents.review(&book, MONDAY.plus(HOUR));
    let order: Vec<_> = incidents.open_threads().iter().map(|thread| thread.duty.clone()).collect();
    assert_eq!(order, ["b", "c", "a"].map(Duty::disk));
}

#[test]
fn each_emergency_is_told_of_anew_and_stays_a_task_until_it_was_looked_at() {
    let (mut book, mut incidents, now) = (Book::default(), Incidents::default(), MONDAY);
    let mut told = Vec::new();
    for opening in [1, 2] {
        let (open, review) = (Duty::emergency(opening), Duty::emergency_review(opening));
        book.owe(open.clone(), now);
        book.fail(&open, now, "opened", vec![("hours".into(), 4)]);
        told.extend(incidents.review(&book, now));
        book.drop(&open);
        book.owe(review.clone(), now);
        book.fail(&review, now, "opened", vec![("files".into(), 2)]);
        told.extend(incidents.review(&book, now));
    }
    let told: Vec<_> = told.iter().map(|said| (said.kind, said.incident.duty.kind, said.incident.severity)).collect();
    let once = [
        (Said::Opened, DutyKind::Emergency, Severity::Critical),
        (Said::Closed, DutyKind::Emergency, Severity::Critical),
        (Said::Opened, DutyKind::EmergencyReview, Severity::Warning),
    ];
    assert_eq!(told, [once, once].concat());
    incidents.review(&book, now.plus(40 * 86_400));
    assert_eq!(incidents.open_threads().len(), 2, "time alone reviews nothing");
}
