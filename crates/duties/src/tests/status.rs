//! The one answer, and its words.

use super::{DAY, HOUR, MONDAY, failed, policy, run, share};
use crate::status::{DiskFacts, Facts, Headline, KeyFacts, Mark, PeopleFacts, PoolFacts, Question, ShareFacts, ShareState, status};
use crate::words::{duration, text};
use crate::{At, Book, Duty, DutyKind, Incidents, Numbers, Outcome, Room, Severity, ShareClock, Standing, Status, Tier};

/// A box of which everything is proven, a minute before noon.
pub(super) fn fine() -> Facts {
    let now = noon();
    let mut book = Book::begin(MONDAY);
    let mut shares = Vec::new();
    for (name, tier) in [("ehr", Tier::One), ("scans", Tier::Two)] {
        let policy = policy(tier);
        let mut clock = ShareClock::new(MONDAY);
        run(&mut clock, now.plus(-1_200), 60, Outcome::Complete);
        book.share(&share(name), &policy, MONDAY);
        book.run_ended(&share(name), &clock, now);
        book.prove(&Duty::test_restore(tier), now.plus(-5 * DAY), Numbers::new());
        shares.push(ShareFacts { id: share(name), label: name.to_uppercase(), policy, clock });
    }
    let kinds = [DutyKind::Scrub, DutyKind::Time, DutyKind::Pool, DutyKind::Keys, DutyKind::Log];
    kinds.iter().for_each(|kind| book.prove(&Duty::of_box(*kind), now.plus(-HOUR), Numbers::new()));
    book.owe(Duty::rehearsal("7F2A"), MONDAY);
    book.prove(&Duty::rehearsal("7F2A"), now.plus(-30 * DAY), Numbers::new());
    Facts {
        gathered: now,
        shares,
        book,
        incidents: Incidents::default(),
        pool: Some(PoolFacts { readable: true, redundant: true, room: Room::Ample, free_bytes: 500, total_bytes: 1_000 }),
        disks: vec![DiskFacts { name: "bay-1".into(), state: "healthy".into() }],
        keys: Some(KeyFacts { unlocked: true, ways: 2, kit: true }),
        people: Some(PeopleFacts { can_restore: 2, mfa_used: Some(now.plus(-DAY)), drill: Some(now.plus(-100 * DAY)) }),
        offsite: Some(Standing::Proven { at: now, until: None }),
        doubt: None,
    }
}

pub(super) fn noon() -> At {
    MONDAY.plus(200 * DAY + 12 * HOUR)
}

fn with(change: impl FnOnce(&mut Facts)) -> Status {
    let mut facts = fine();
    change(&mut facts);
    status(&facts, noon())
}

/// The newest run of the first share ended like this.
pub(super) fn ended(facts: &mut Facts, outcome: Outcome) {
    let ShareFacts { id, clock, .. } = &mut facts.shares[0];
    run(clock, noon().plus(-120), 60, outcome);
    facts.book.run_ended(&id.clone(), &clock.clone(), noon().plus(-60));
}

fn mark(status: &Status, question: Question) -> Mark {
    status.answers.iter().find(|answer| answer.question == question).unwrap().mark
}

#[test]
fn all_proven_is_yes() {
    let status = with(|_| {});
    assert_eq!((status.headline, status.words.as_str()), (Headline::Yes, "Everything is proven."));
    assert!(status.answers.iter().all(|answer| answer.mark == Mark::Proven), "{:?}", status.answers);
    assert_eq!(status.shares[0].words, "Complete. The newest copy is 20 minutes old.");
}

#[test]
fn silence_decays_to_not_proven() {
    let facts = fine();
    let later = status(&facts, noon().plus(301));
    assert_eq!(later.headline, Headline::NotProven);
    assert!(later.answers.iter().all(|answer| answer.mark == Mark::Unknown));
    assert!(later.shares.iter().all(|share| share.state == ShareState::Unknown));
    assert_eq!(later.pool, None);
    let earlier = status(&facts, noon().plus(-HOUR));
    assert_eq!(earlier.headline, Headline::NotProven, "facts from the future say nothing");
}

#[test]
fn here_loses_its_proof_36_days_after_the_last_test() {
    let mut facts = fine();
    facts.gathered = noon().plus(31 * DAY);
    let status = status(&facts, facts.gathered);
    assert_eq!(mark(&status, Question::Here), Mark::Overdue);
    assert_eq!(status.headline, Headline::NotProven);
}

type Change = Box<dyn FnOnce(&mut Facts)>;

#[test]
fn headlines() {
    let cases: [(&str, Headline, Change); 14] = [
        ("There is no second site: one fire loses everything.", Headline::Partly, Box::new(|facts| facts.offsite = None)),
        (
            "Only one person can restore. Add a second one.",
            Headline::Partly,
            Box::new(|facts| facts.people.as_mut().unwrap().can_restore = 1),
        ),
        ("There is only one way to unlock the keys.", Headline::Partly, Box::new(|facts| facts.keys.as_mut().unwrap().ways = 1)),
        ("The disks can't be read.", Headline::No, Box::new(|facts| facts.pool.as_mut().unwrap().readable = false)),
        (
            "The keys are locked: nothing can be restored until they are unlocked.",
            Headline::No,
            Box::new(|facts| facts.keys.as_mut().unwrap().unlocked = false),
        ),
        ("Nothing is protected yet. Add a share.", Headline::No, Box::new(|facts| facts.shares.clear())),
        ("There is no copy yet of what you need first.", Headline::No, Box::new(|facts| facts.shares[0].clock = ShareClock::new(noon()))),
        (
            "A promise is broken; see the list of duties.",
            Headline::Partly,
            Box::new(|facts| facts.book.fail(&Duty::of_box(DutyKind::Log), noon(), "broken", Numbers::new())),
        ),
        ("Nobody can say whether the disks can be read.", Headline::NotProven, Box::new(|facts| facts.pool = None)),
        (
            "A test restore was not equal.",
            Headline::NotProven,
            Box::new(|facts| facts.book.fail(&Duty::test_restore(Tier::One), noon(), "differs", Numbers::new())),
        ),
        (
            "EHR: 3 files or folders could not be read; all others are copied. The newest copy is 2 minutes old.",
            Headline::Partly,
            Box::new(|facts| ended(facts, Outcome::Partial { gaps: 3 })),
        ),
        (
            "EHR: The last backup failed: the password was refused. The newest copy is 20 minutes old.",
            Headline::Partly,
            Box::new(|facts| ended(facts, failed("password"))),
        ),
        (
            "EHR: The newest copy looks wrong and is held; the older ones stay. The newest copy is 20 minutes old.",
            Headline::Partly,
            Box::new(|facts| ended(facts, Outcome::Held { code: "collapsed".into() })),
        ),
        (
            "The papers were never tested: after a fire they may not open the box.",
            Headline::Partly,
            Box::new(|facts| facts.book.drop(&Duty::rehearsal("7F2A"))),
        ),
    ];
    for (words, headline, change) in cases {
        let status = with(change);
        assert_eq!((status.headline, status.words.as_str()), (headline, words));
    }
}

#[test]
fn a_copy_that_is_too_old_is_still_a_copy() {
    let mut facts = fine();
    facts.gathered = noon().plus(3 * HOUR);
    let status = status(&facts, facts.gathered);
    assert_eq!((status.headline, mark(&status, Question::Here)), (Headline::Partly, Mark::Overdue));
    assert_eq!(status.words, "EHR: The copy is older than promised. The newest copy is 3 hours old.");
    assert_eq!(status.shares[0].state, ShareState::Overdue);
}

#[test]
fn a_share_is_never_better_than_it_is() {
    let state = |change: &dyn Fn(&mut Facts)| {
        let status = with(change);
        status.shares.iter().find(|line| line.id == share("ehr")).unwrap().state
    };
    assert_eq!(state(&|_| {}), ShareState::Fine);
    assert_eq!(state(&|facts| ended(facts, Outcome::Partial { gaps: 1 })), ShareState::Partial);
    assert_eq!(state(&|facts| ended(facts, Outcome::Cut)), ShareState::Failed);
    let rerun = |facts: &mut Facts| {
        ended(facts, Outcome::Partial { gaps: 1 });
        facts.shares[0].clock.started(noon());
    };
    assert_eq!(state(&rerun), ShareState::Partial, "a run that goes on makes nothing good");
    assert_eq!(state(&|facts| facts.shares[0].clock.started(noon())), ShareState::Running);
    let future = |facts: &mut Facts| facts.shares[0].clock.last_good = Some(noon().plus(DAY));
    assert_eq!(state(&future), ShareState::Unknown);
    let missed = |facts: &mut Facts| {
        facts.shares[0].policy.copy_age_goal_s = 40 * 3_600;
        facts.shares[0].clock.shift(-3 * HOUR);
    };
    assert_eq!(state(&missed), ShareState::DidNotRun);
    let paused = |facts: &mut Facts| {
        missed(facts);
        facts.shares[0].policy.tier = Tier::Three;
        facts.pool.as_mut().unwrap().room = Room::Short;
    };
    assert_eq!(state(&paused), ShareState::Paused);
}

#[test]
fn the_share_that_needs_somebody_comes_first_and_the_work_to_do_is_listed() {
    let mut facts = fine();
    let mut clock = facts.shares[1].clock.clone();
    run(&mut clock, noon().plus(-60), 30, failed("password"));
    facts.book.run_ended(&share("scans"), &clock, noon());
    facts.shares[1].clock = clock;
    facts.incidents.review(&facts.book, noon());
    facts.incidents.acknowledge(1, "ann", noon());
    let status = status(&facts, noon());
    assert_eq!(status.shares[0].id, share("scans"));
    assert_eq!(status.todo.len(), 1);
    assert_eq!((status.todo[0].severity, status.todo[0].taken_by.as_deref()), (Severity::Warning, Some("ann")));
    assert_eq!(status.todo[0].text.happened, "The backup of SCANS failed once: the password was refused");
    assert_eq!(status.todo[0].text.to_do, "Enter the password");
}

#[test]
fn every_incident_has_three_sentences() {
    let mut book = fine().book;
    book.owe(Duty::disk("bay-2"), MONDAY);
    let duties: Vec<Duty> = book.owed().iter().map(|owed| owed.duty.clone()).collect();
    let codes = [
        "overdue",
        "never",
        "unknown",
        "failing",
        "missing",
        "suspect",
        "suspect:pending-sectors",
        "silent",
        "unusable",
        "short",
        "scarce",
        "full",
        "degraded",
        "unreadable",
        "lost",
        "differs",
        "wrong",
        "locked",
        "broken",
        "gaps",
        "some-code",
    ];
    for code in codes {
        duties
            .iter()
            .for_each(|duty| book.fail(duty, noon(), code, vec![("in_a_row".into(), 9), ("gaps".into(), 1), ("ahead_s".into(), i64::MIN)]));
        let mut incidents = Incidents::default();
        incidents.review(&book, noon());
        assert_eq!(incidents.all().len(), duties.len());
        for incident in incidents.all() {
            let text = text(incident, &|_| None);
            for sentence in [&text.happened, &text.for_your_data, &text.to_do] {
                assert!(
                    sentence.len() > 5 && sentence.starts_with(|first: char| first.is_uppercase() || first.is_numeric()),
                    "{sentence:?}"
                );
                assert!(!sentence.contains("_s") && !sentence.ends_with('.'), "{sentence:?}");
            }
        }
    }
}

#[test]
fn an_unlabelled_share_is_called_by_its_id_and_others_by_their_label() {
    let mut book = Book::default();
    book.share(&share("s1"), &policy(Tier::One), MONDAY);
    book.fail(&Duty::of_share(DutyKind::Held, &share("s1")), MONDAY, "collapsed", Numbers::new());
    let mut incidents = Incidents::default();
    incidents.review(&book, MONDAY);
    assert_eq!(text(&incidents.all()[0], &|_| None).happened, "Share s1 is suddenly empty or another one");
    assert_eq!(text(&incidents.all()[0], &|_| Some("EHR".into())).happened, "EHR is suddenly empty or another one");
}

#[test]
fn lengths_of_time_as_people_say_them() {
    let cases = [
        (-5, "a minute"),
        (119, "a minute"),
        (120, "2 minutes"),
        (7_199, "119 minutes"),
        (7_200, "2 hours"),
        (51 * HOUR, "2 days"),
        (47 * HOUR, "47 hours"),
        (i64::MAX, "106751991167300 days"),
    ];
    for (seconds, words) in cases {
        assert_eq!(duration(seconds), words);
    }
}

#[test]
fn a_status_can_be_sent() {
    let status = with(|facts| ended(facts, Outcome::Partial { gaps: 3 }));
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["headline"], "partly");
    assert_eq!(json["shares"][0]["state"], "partial");
    assert_eq!(json["shares"][0]["outcome"]["gaps"], 3);
    let back: Status = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&back).unwrap(), json);
}
