//! A small practice's facts: one share of each kind of trouble, papers, disks; made into a status by the very function that boxes use.

use keepwell_duties::status::{DiskFacts, KeyFacts, PeopleFacts, PoolFacts, ShareFacts};
use keepwell_duties::{
    At, Book, Duty, DutyKind, Facts, Incidents, Outcome, Policy, ShareClock, ShareId, Status, Tier, schedule::Room, status,
};

use super::SHARE;

const DAY: i64 = 86_400;

/// Ids of the shares: fine, partial, held, failed, never run.
pub const SHARES: [(&str, &str, Tier); 5] = [
    ("00000000000000a1", "EHR", Tier::One),
    ("00000000000000a2", SHARE, Tier::Two),
    ("00000000000000a3", "SCANS", Tier::Two),
    ("00000000000000a4", "Billing", Tier::One),
    ("00000000000000a5", "Archive", Tier::Three),
];

/// The practice's status: not all is well.
pub fn practice(now: i64) -> Status {
    let now = At(now);
    let mut book = Book::begin(At(now.0 - 60 * DAY));
    let mut incidents = Incidents::default();
    let shares = shares(now, &mut book);
    for kind in [DutyKind::Scrub, DutyKind::Pool, DutyKind::Keys, DutyKind::Log, DutyKind::Time, DutyKind::Notices] {
        book.prove(&Duty::of_box(kind), At(now.0 - 600), Vec::new());
    }
    book.prove(&Duty::test_restore(Tier::One), At(now.0 - 19 * DAY), vec![("tested".into(), 299)]);
    book.owe(Duty::rehearsal("7F2A"), At(now.0 - 60 * DAY));
    book.prove(&Duty::rehearsal("7F2A"), At(now.0 - 49 * DAY), Vec::new());
    book.owe(Duty::disk("2"), At(now.0 - 9 * DAY));
    book.fail(&Duty::disk("2"), At(now.0 - 3_600), "suspect", Vec::new());
    incidents.review(&book, now);
    let pool =
        PoolFacts { readable: true, redundant: true, room: Room::Ample, free_bytes: 5_900_000_000_000, total_bytes: 8_000_000_000_000 };
    let disk = |name: &str, state: &str| DiskFacts { name: name.into(), state: state.into() };
    let facts = Facts {
        gathered: now,
        shares,
        book,
        incidents,
        pool: Some(pool),
        disks: vec![disk("1", "healthy"), disk("2", "suspect"), disk("3", "healthy")],
        keys: Some(KeyFacts { unlocked: true, ways: 2, kit: true }),
        people: Some(PeopleFacts { can_restore: 3, mfa_used: Some(At(now.0 - DAY)), drill: None }),
        offsite: None,
        doubt: None,
    };
    status(&facts, now)
}

fn shares(now: At, book: &mut Book) -> Vec<ShareFacts> {
    let outcomes = [
        Some((1_500, Outcome::Complete)),
        Some((5_000, Outcome::Partial { gaps: 3 })),
        Some((4_000, Outcome::Held { code: "collapsed".into() })),
        Some((900, Outcome::Failed { code: "password".into() })),
        None,
    ];
    let facts = SHARES.iter().zip(outcomes).map(|((id, label, tier), outcome)| {
        let (id, policy) = (ShareId((*id).into()), Policy::of(*tier));
        let mut clock = ShareClock::new(At(now.0 - 60 * DAY));
        book.share(&id, &policy, At(now.0 - 60 * DAY));
        if let Some((ago, outcome)) = outcome {
            clock.started(At(now.0 - ago - 10_000));
            clock.finished(At(now.0 - ago - 9_000), Outcome::Complete);
            book.run_ended(&id, &clock, At(now.0 - ago - 9_000));
            clock.started(At(now.0 - ago));
            clock.finished(At(now.0 - ago + 240), outcome);
            book.run_ended(&id, &clock, At(now.0 - ago + 240));
        }
        ShareFacts { id, label: (*label).into(), policy, clock }
    });
    facts.collect()
}

/// One share, all proven as far as one box can.
pub fn calm(now: i64) -> Status {
    let now = At(now);
    let (id, policy) = (ShareId(SHARES[0].0.into()), Policy::of(Tier::One));
    let mut book = Book::begin(At(now.0 - 60 * DAY));
    book.share(&id, &policy, At(now.0 - 60 * DAY));
    let mut clock = ShareClock::new(At(now.0 - 60 * DAY));
    clock.started(At(now.0 - 1_500));
    clock.finished(At(now.0 - 1_200), Outcome::Complete);
    book.run_ended(&id, &clock, At(now.0 - 1_200));
    book.prove(&Duty::test_restore(Tier::One), At(now.0 - 19 * DAY), Vec::new());
    book.prove(&Duty::of_box(DutyKind::Pool), now, Vec::new());
    let facts = Facts {
        gathered: now,
        shares: vec![ShareFacts { id, label: "EHR".into(), policy, clock }],
        book,
        incidents: Incidents::default(),
        pool: None,
        disks: Vec::new(),
        keys: None,
        people: None,
        offsite: None,
        doubt: None,
    };
    status(&facts, now)
}

/// A box of which nothing is proven yet.
pub fn untried(now: i64) -> Status {
    let now = At(now);
    let facts = Facts {
        gathered: now,
        shares: Vec::new(),
        book: Book::begin(now),
        incidents: Incidents::default(),
        pool: None,
        disks: Vec::new(),
        keys: None,
        people: None,
        offsite: None,
        doubt: None,
    };
    status(&facts, now)
}
