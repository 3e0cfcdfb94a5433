//! What each state of another box makes of the promises, and what people hear of it.

use keepwell_api::offsite::{ChallengeTold, Failure, OrderState, OrderTold, Signed};
use keepwell_duties::{Announcement, Incidents, Said, Severity, words};

use super::super::Newest;
use super::*;

const NOW: i64 = 1_800_000_000;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
const PLACE: &str = "The other house";

fn share(tier: u8, newest: Newest) -> ShareHere {
    ShareHere { name: "EHR".into(), tier, added_at: NOW - 90 * DAY, newest }
}

/// A share and the box's own state, both of an hour ago.
fn here() -> BTreeMap<String, ShareHere> {
    [("a1".to_owned(), share(1, Newest::At(NOW - HOUR))), ("keepwell-state".to_owned(), share(1, Newest::Some))].into()
}

fn signed(share: &str, taken_at: i64) -> Signed {
    Signed { share: share.into(), tier: 1, snapshot: "5a".into(), taken_at, received_at: taken_at + 600 }
}

/// All is well with it.
fn well() -> Receiver {
    Receiver {
        name: "0123456789abcdef".into(),
        place: PLACE.into(),
        address: "backup.example.org:8484".into(),
        words: "one two three four".into(),
        paired_at: NOW - 60 * DAY,
        quota_bytes: 1_000,
        floor_s: 90 * DAY.unsigned_abs(),
        receipt_key: "00".repeat(32),
        busy: false,
        signed: vec![signed("a1", NOW - HOUR), signed("keepwell-state", NOW - HOUR)],
        receipts: 20,
        waiting: 0,
        backlog: Vec::new(),
        rate: None,
        held_to: None,
        contact_at: Some(NOW - 600),
        failure: None,
        challenge: Some(ChallengeTold { at: NOW - 10 * HOUR, asked: 40, lost: 0, mended: 0, lost_at: None }),
        second_key: None,
        orders: Vec::new(),
    }
}

fn failing(code: &str) -> Receiver {
    Receiver { failure: Some(Failure { at: NOW - 60, code: code.into(), text: "it failed".into() }), ..well() }
}

fn challenged(lost: u64, mended: u64, lost_at: Option<i64>) -> Receiver {
    Receiver { challenge: Some(ChallengeTold { at: NOW - HOUR, asked: 40, lost, mended, lost_at }), ..well() }
}

/// What is seen of another box, by a name, and which promises that breaks.
type Case = (&'static str, Receiver, &'static [(DutyKind, &'static str)]);

/// Its promises that are broken, with the word for why.
fn broken(receiver: &Receiver) -> Vec<(DutyKind, &'static str)> {
    let seen = of_receiver(PLACE, receiver, Some(&here()), NOW);
    seen.into_iter().filter_map(|(duty, seen)| if let Seen::Broken(code, _) = seen { Some((duty.kind, code)) } else { None }).collect()
}

#[test]
fn each_trouble_breaks_its_own_promise_and_no_other() {
    use DutyKind::{OffsiteContact, OffsiteCopy, OffsiteLoss, OffsiteReceipts, OffsiteRoom};
    let old = |days| vec![signed("a1", NOW - days * DAY), signed("keepwell-state", NOW - HOUR)];
    let asked = |days: i64| Some(ChallengeTold { at: NOW - days * DAY, asked: 40, lost: 0, mended: 0, lost_at: None });
    let cases: [Case; 17] = [
        ("well", well(), &[]),
        ("paired a moment ago", Receiver { signed: Vec::new(), challenge: None, contact_at: None, paired_at: NOW, ..well() }, &[]),
        ("another key", failing("other-key"), &[(OffsiteContact, "other-key")]),
        ("another box in its place", failing("replaced"), &[(OffsiteContact, "replaced")]),
        ("not known there", failing("stranger"), &[(OffsiteContact, "stranger")]),
        ("a line that is down", failing("unreachable"), &[]),
        ("a handshake that failed once", failing("handshake"), &[]),
        ("no handshake for hours", Receiver { contact_at: Some(NOW - 3 * HOUR), ..failing("handshake") }, &[(OffsiteContact, "handshake")]),
        ("nonsense", failing("nonsense"), &[(OffsiteReceipts, "nonsense")]),
        ("no room", failing("quota"), &[(OffsiteRoom, "quota")]),
        ("lost", challenged(3, 0, Some(NOW - HOUR)), &[(OffsiteLoss, "lost")]),
        ("lost and sent again", challenged(3, 3, Some(NOW - HOUR)), &[(OffsiteLoss, "mended")]),
        ("lost, found by a survey", challenged(0, 0, Some(NOW - 60)), &[(OffsiteLoss, "mended")]),
        ("lost long ago", challenged(0, 0, Some(NOW - 9 * DAY)), &[]),
        ("late", Receiver { waiting: 2, signed: old(3), ..well() }, &[(OffsiteCopy, "overdue")]),
        ("never there", Receiver { waiting: 2, signed: vec![signed("keepwell-state", NOW)], ..well() }, &[(OffsiteCopy, "never")]),
        ("not asked", Receiver { challenge: asked(3), ..well() }, &[(OffsiteCopy, "unproven")]),
    ];
    for (what, receiver, expected) in cases {
        assert_eq!(broken(&receiver), expected, "{what}");
    }
    // A server that is off for a month has its newest copy there all the same.
    assert_eq!(broken(&Receiver { signed: old(30), ..well() }), []);
    // Who can't be reached is told of as that.
    assert_eq!(broken(&Receiver { waiting: 2, signed: old(9), contact_at: Some(NOW - 8 * DAY), ..failing("unreachable") }), []);
    // What is to be there was not said yet.
    let unknown = of_receiver(PLACE, &Receiver { signed: Vec::new(), ..well() }, None, NOW);
    assert!(unknown.iter().all(|(_, seen)| !matches!(seen, Seen::Broken(..))));
}

/// A look a minute with this at the other end; what is said of it.
fn lives(book: &mut Book, incidents: &mut Incidents, minutes: std::ops::Range<i64>, at: impl Fn(i64) -> Receiver) -> Vec<Announcement> {
    let mut said = Vec::new();
    for minute in minutes {
        let now = NOW + minute * 60;
        enter(book, of_receiver(PLACE, &at(now), Some(&here()), now), At(now));
        said.extend(incidents.review(book, At(now)));
    }
    said
}

fn kinds(said: &[Announcement]) -> Vec<(Said, DutyKind, Severity)> {
    said.iter().map(|one| (one.kind, one.incident.duty.kind, one.incident.severity)).collect()
}

#[test]
fn somebody_in_between_is_told_at_once_and_is_over_when_the_right_box_answers() {
    let (mut book, mut incidents) = (Book::default(), Incidents::default());
    let normal = |now| Receiver { contact_at: Some(now - 30), ..well() };
    assert_eq!(lives(&mut book, &mut incidents, 0..60, normal), []);
    let said = lives(&mut book, &mut incidents, 60..70, |_| failing("other-key"));
    assert_eq!(kinds(&said), [(Said::Opened, DutyKind::OffsiteContact, Severity::Critical)]);
    let text = words::text(&said[0].incident, &|_| None);
    assert!(text.happened.contains(PLACE) && text.for_your_data.contains("nothing is lost") && text.to_do.contains("Call"), "{text:?}");
    // That it is down for a while says nothing of who was there.
    assert_eq!(lives(&mut book, &mut incidents, 70..90, |_| failing("unreachable")), []);
    assert_eq!(incidents.open_threads().len(), 1);
    let said = lives(&mut book, &mut incidents, 90..200, normal);
    assert_eq!(kinds(&said), [(Said::Closed, DutyKind::OffsiteContact, Severity::Critical)]);
}

#[test]
fn silence_is_told_after_two_days_once_and_ends_with_an_answer() {
    let (mut book, mut incidents) = (Book::default(), Incidents::default());
    let gone =
        |_| Receiver { waiting: 3, signed: vec![signed("a1", NOW - HOUR), signed("keepwell-state", NOW - HOUR)], ..failing("unreachable") };
    assert_eq!(lives(&mut book, &mut incidents, 0..2 * 1_440 - 11, gone), []);
    let said = lives(&mut book, &mut incidents, 2 * 1_440 - 11..2 * 1_440 + 60, gone);
    assert_eq!(kinds(&said), [(Said::Opened, DutyKind::OffsiteContact, Severity::Warning)]);
    assert!(words::text(&said[0].incident, &|_| None).happened.contains("not reached for 2 days"));
    let back = |now| Receiver {
        contact_at: Some(now - 30),
        signed: vec![signed("a1", now), signed("keepwell-state", now)],
        challenge: Some(ChallengeTold { at: now, asked: 40, lost: 0, mended: 0, lost_at: None }),
        ..well()
    };
    assert_eq!(kinds(&lives(&mut book, &mut incidents, 3_000..3_100, back)), [(Said::Closed, DutyKind::OffsiteContact, Severity::Warning)]);
}

#[test]
fn a_loss_stays_told_until_a_challenge_finds_nothing() {
    let (mut book, mut incidents) = (Book::default(), Incidents::default());
    let said = lives(&mut book, &mut incidents, 0..5, |_| challenged(4, 0, Some(NOW - HOUR)));
    assert_eq!(kinds(&said), [(Said::Opened, DutyKind::OffsiteLoss, Severity::Critical)]);
    assert!(words::text(&said[0].incident, &|_| None).happened.contains("4 pieces"));
    assert_eq!(lives(&mut book, &mut incidents, 5..20, |_| challenged(4, 4, Some(NOW - HOUR))), []);
    let open = incidents.open_threads();
    assert_eq!((open.len(), open[0].severity, open[0].code.as_str()), (1, Severity::Warning, "mended"));
    let passed = |_| Receiver {
        challenge: Some(ChallengeTold { at: NOW + 60, asked: 40, lost: 0, mended: 0, lost_at: Some(NOW - HOUR) }),
        ..well()
    };
    assert_eq!(kinds(&lives(&mut book, &mut incidents, 20..100, passed)), [(Said::Closed, DutyKind::OffsiteLoss, Severity::Warning)]);
}

#[test]
fn who_keeps_for_this_box_no_more_owes_nothing() {
    let mut book = Book::begin(At(NOW));
    let others = book.owed().len();
    enter(&mut book, of_receiver(PLACE, &well(), Some(&here()), NOW), At(NOW));
    book.owe(Duty::of_box(DutyKind::OffsiteDoor), At(NOW));
    assert_eq!(book.owed().len(), others + 7);
    enter(&mut book, Vec::new(), At(NOW));
    assert_eq!(book.owed().len(), others + 1, "what happened at the door stays until somebody looks");
}

#[test]
fn a_tenant_is_told_of_before_it_is_refused() {
    let tenant = |used| TenantTold {
        vault: "ab".into(),
        practice: "Elm Street".into(),
        words: "w".into(),
        since: NOW,
        quota_bytes: 1_000,
        used_bytes: used,
        snapshots: None,
        received_at: None,
        second_key: None,
        orders: Vec::new(),
        ended_at: None,
    };
    assert_eq!(of_tenant(&tenant(Some(949)), NOW), Seen::Kept(NOW));
    assert_eq!(of_tenant(&tenant(Some(950)), NOW), Seen::Broken("tenant", vec![("percent".into(), 95)]));
    assert_eq!(of_tenant(&tenant(None), NOW), Seen::Silent);
}

#[test]
fn names_that_others_chose_fit_into_a_sentence() {
    let names = names([("North\u{202e}side\n", "0123456789", 1), ("Northside", "abcdef0123", 2), ("  ", "77", 3)].into_iter());
    let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Northside (01234567)", "Northside (abcdef01)", "The other box"]);
    assert_eq!(shown(&"x".repeat(500)).len(), NAME_MAX);
}

#[test]
fn what_happens_at_the_door_is_told_and_a_scan_does_not_hide_a_theft() {
    let event = |code: &str, why: Option<&str>| Event {
        id: 1,
        at: NOW,
        code: code.into(),
        fields: why.map(|why| ("why".to_owned(), why.to_owned())).into_iter().collect(),
    };
    assert_eq!(door(&event("tenant-replaced", None)), Some("replaced"));
    assert_eq!(door(&event("tenant-refused", Some("papers"))), Some("papers"));
    assert_eq!(door(&event("tenant-refused", Some("invitation"))), Some("invitation"));
    assert_eq!(door(&event("tenant-refused", Some("replaced"))), Some("returned"));
    for quiet in ["tenant-paired", "receipt", "challenge", "failure"] {
        assert_eq!(door(&event(quiet, None)), None);
    }
    assert!(worse("replaced", "returned") && worse("returned", "papers"));
    assert!(worse("replaced", "papers") && worse("papers", "invitation") && !worse("invitation", "papers") && !worse("papers", "papers"));
}

#[test]
fn an_order_is_told_until_it_counts_or_was_cancelled() {
    let order = |state| OrderTold {
        id: "01".repeat(16),
        state,
        snapshots: 3,
        floor_s: None,
        given_at: NOW - HOUR,
        counts_at: NOW + 7 * DAY,
        oldest_at: NOW - 60 * DAY,
        newest_at: NOW - 50 * DAY,
    };
    let with = |states: &[OrderState]| Receiver { orders: states.iter().map(|state| order(*state)).collect(), ..well() };
    use OrderState::{Cancelled, Counts, Pending};
    assert_eq!(broken(&with(&[Counts, Cancelled])), []);
    assert_eq!(broken(&with(&[Cancelled, Pending])), [(DutyKind::OffsiteOrders, "pending")]);
    let (mut book, mut incidents) = (Book::begin(At(NOW - 90 * DAY)), Incidents::default());
    enter(&mut book, of_receiver(PLACE, &with(&[Pending]), Some(&here()), NOW), At(NOW));
    let said: Vec<Announcement> = incidents.review(&book, At(NOW));
    let told = said.iter().find(|one| one.incident.duty.kind == DutyKind::OffsiteOrders).unwrap();
    assert_eq!((told.kind, told.incident.severity), (Said::Opened, Severity::Critical));
    let text = words::text(&told.incident, &|_| None);
    let all = format!("{text:?}");
    assert!(all.contains(PLACE) && all.contains("2027-01-22") && all.contains("keepwell offsite cancel"), "{all}");
    let heard = Receiver { contact_at: Some(NOW + HOUR - 60), ..with(&[Cancelled]) };
    enter(&mut book, of_receiver(PLACE, &heard, Some(&here()), NOW + HOUR), At(NOW + HOUR));
    let owed = book.get(&Duty::of_peer(DutyKind::OffsiteOrders, PLACE)).unwrap();
    assert!(owed.failed.is_none(), "it is over");
}
