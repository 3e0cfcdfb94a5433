//! All that a box owes. Owns the list of duties, what proves or breaks them, and what of it is worth an incident; announces nothing.

use serde::{Deserialize, Serialize};

use crate::duty::{Duty, DutyKind, Failure, Numbers, Owed, Proof, Standing, Subject, deadline_s};
use crate::incident::{Severity, Sight};
use crate::policy::{Policy, ShareId, Tier};
use crate::schedule::{Outcome, ShareClock};
use crate::time::{At, BoxTime, Judgement};

/// After the box was off, what got old meanwhile may be made up for so long, seconds, before it is an incident.
pub const GRACE_S: i64 = 3_600;
/// Less time without power, seconds, is a restart.
const SHORT_OFF_S: i64 = 900;
/// So many failures in a row are an incident; the first ones are tried again within minutes.
const FAILURES: u32 = 4;
/// Failures that no waiting mends.
const NEEDS_A_PERSON: [&str; 5] = ["password", "access-denied", "identity", "writable", "address"];

const OF_SHARE: [DutyKind; 4] = [DutyKind::CopyAge, DutyKind::Runs, DutyKind::Gaps, DutyKind::Held];
const OF_BOX: [DutyKind; 8] =
    [DutyKind::Scrub, DutyKind::Time, DutyKind::Power, DutyKind::Pool, DutyKind::Keys, DutyKind::Log, DutyKind::State, DutyKind::Notices];

/// All duties of a box. State.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Book {
    owed: Vec<Owed>,
    /// What is late by silence alone is no incident until then.
    grace_until: Option<At>,
}

impl Book {
    /// What every box owes from its first minute.
    pub fn begin(now: At) -> Self {
        let mut book = Self::default();
        OF_BOX.iter().for_each(|kind| book.owe(Duty::of_box(*kind), now));
        book
    }

    /// Owes it from now on, with the usual deadline. Nothing changes when it is owed already.
    pub fn owe(&mut self, duty: Duty, now: At) {
        let within_s = deadline_s(duty.kind, None);
        self.put(duty, now, within_s, None);
    }

    /// Owes it no longer: a disk was removed, a paper replaced. [`crate::Incidents::review`] closes its thread.
    pub fn drop(&mut self, duty: &Duty) {
        self.owed.retain(|owed| owed.duty != *duty);
    }

    /// A share was added, or its policy changed: what it is owed, and its tier's test restore.
    pub fn share(&mut self, share: &ShareId, policy: &Policy, now: At) {
        for kind in OF_SHARE {
            self.put(Duty::of_share(kind, share), now, deadline_s(kind, Some(policy)), Some(policy.tier));
        }
        self.tier(policy.tier, now);
        self.drop_empty_tiers();
    }

    /// A share was removed: nothing about it is owed.
    pub fn without_share(&mut self, share: &ShareId) {
        self.owed.retain(|owed| owed.duty.subject != Subject::Share(share.clone()));
        self.drop_empty_tiers();
    }

    /// It was done, as of `at`. What is not owed is ignored, and an older proof never displaces a newer one.
    pub fn prove(&mut self, duty: &Duty, at: At, numbers: Numbers) {
        let Some(owed) = self.find(duty) else { return };
        if owed.proven.as_ref().is_none_or(|proven| at >= proven.at) {
            owed.proven = Some(Proof { at, numbers });
        }
        owed.failed = None;
    }

    /// It was tried or looked at, and is not done. What is not owed is ignored.
    pub fn fail(&mut self, duty: &Duty, at: At, code: &str, numbers: Numbers) {
        let Some(owed) = self.find(duty) else { return };
        owed.failed = Some(Failure { at, code: code.into(), numbers });
    }

    /// A run ended, and `clock` knows how ([`ShareClock::finished`]): proves and breaks what it proves and breaks.
    pub fn run_ended(&mut self, share: &ShareId, clock: &ShareClock, now: At) {
        let duty = |kind| Duty::of_share(kind, share);
        let Some(outcome) = &clock.last_outcome else { return };
        match outcome {
            Outcome::Complete | Outcome::Partial { .. } => {
                self.prove(&duty(DutyKind::CopyAge), clock.last_good.unwrap_or(now), Numbers::new());
                self.prove(&duty(DutyKind::Runs), now, Numbers::new());
                self.prove(&duty(DutyKind::Held), now, Numbers::new());
            }
            Outcome::Held { code } => self.fail(&duty(DutyKind::Held), now, code, Numbers::new()),
            Outcome::Failed { code } => self.failed_run(share, clock, code, now),
            Outcome::Cut => self.failed_run(share, clock, "cut", now),
            Outcome::Cancelled => {}
        }
        match outcome {
            Outcome::Complete => self.prove(&duty(DutyKind::Gaps), now, Numbers::new()),
            Outcome::Partial { gaps } => {
                let gaps = i64::try_from(*gaps).unwrap_or(i64::MAX);
                self.fail(&duty(DutyKind::Gaps), now, "gaps", vec![("gaps".into(), gaps)]);
            }
            _ => {}
        }
    }

    /// After each look at the clocks ([`BoxTime::tick`], [`BoxTime::wake`]), at least once a minute: what it proves about clock and power. After time without power, what got
    /// old meanwhile is no incident until the grace is over.
    pub fn ticked(&mut self, time: &BoxTime, judged: Judgement) {
        let now = time.at();
        if let Judgement::WasOff { off_s } = judged {
            self.grace_until = Some(now.plus(GRACE_S));
            if off_s >= SHORT_OFF_S {
                self.fail(&Duty::of_box(DutyKind::Power), now, "was-off", vec![("off_s".into(), off_s)]);
            }
        }
        match time.doubt() {
            Some(doubt) => self.fail(&Duty::of_box(DutyKind::Time), now, "clock", vec![("ahead_s".into(), doubt.ahead_s)]),
            None => self.prove(&Duty::of_box(DutyKind::Time), now, Numbers::new()),
        }
        let power = Duty::of_box(DutyKind::Power);
        if self.get(&power).and_then(|owed| owed.failed.as_ref()).is_none_or(|failed| now.since(failed.at) >= GRACE_S) {
            self.prove(&power, now, Numbers::new());
        }
    }

    /// Box time was moved by a person ([`crate::BoxTime::confirm`]). Back: all moments move with it, so that nothing lies in the future. Forward: proofs are that much older
    /// than they seemed, and get the grace to be repeated.
    pub fn moved(&mut self, by: i64, now: At) {
        if by >= 0 {
            self.grace_until = Some(now.plus(GRACE_S));
            return;
        }
        for owed in &mut self.owed {
            owed.since = owed.since.plus(by);
            owed.proven.iter_mut().for_each(|proof| proof.at = proof.at.plus(by));
            owed.failed.iter_mut().for_each(|failed| failed.at = failed.at.plus(by));
        }
        self.grace_until = self.grace_until.map(|until| until.plus(by));
    }

    /// Whether what got old while the box was off may still be made up for.
    pub fn is_in_grace(&self, now: At) -> bool {
        self.grace_until.is_some_and(|until| now < until && until.since(now) <= GRACE_S)
    }

    /// All duties.
    pub fn owed(&self) -> &[Owed] {
        &self.owed
    }

    /// One of them.
    pub fn get(&self, duty: &Duty) -> Option<&Owed> {
        self.owed.iter().find(|owed| owed.duty == *duty)
    }

    /// How one stands; what is not owed is unknown.
    pub fn standing(&self, duty: &Duty, now: At) -> Standing {
        self.get(duty).map_or(Standing::Unknown, |owed| owed.standing(now))
    }

    /// What incidents are made of ([`crate::Incidents::review`]): every duty of which something can be said, good or bad.
    pub fn sights(&self, now: At) -> impl Iterator<Item = (&Duty, Sight)> {
        let grace = self.is_in_grace(now);
        self.owed.iter().filter_map(move |owed| Some((&owed.duty, sight(owed, now, grace)?)))
    }

    fn failed_run(&mut self, share: &ShareId, clock: &ShareClock, code: &str, now: At) {
        let numbers = vec![("in_a_row".into(), i64::from(clock.failures_in_row))];
        self.fail(&Duty::of_share(DutyKind::Runs, share), now, code, numbers);
    }

    fn tier(&mut self, tier: Tier, now: At) {
        self.put(Duty::test_restore(tier), now, deadline_s(DutyKind::TestRestore, None), Some(tier));
    }

    fn drop_empty_tiers(&mut self) {
        let of = |owed: &Owed| (owed.duty.kind == DutyKind::CopyAge).then_some(owed.tier).flatten();
        let there: Vec<Tier> = self.owed.iter().filter_map(of).collect();
        self.owed.retain(|owed| !matches!(owed.duty.subject, Subject::Tier(tier) if !there.contains(&tier)));
    }

    fn put(&mut self, duty: Duty, since: At, within_s: Option<u64>, tier: Option<Tier>) {
        match self.find(&duty) {
            Some(owed) => (owed.within_s, owed.tier) = (within_s, tier),
            None => self.owed.push(Owed { duty, since, within_s, tier, proven: None, failed: None }),
        }
    }

    fn find(&mut self, duty: &Duty) -> Option<&mut Owed> {
        self.owed.iter_mut().find(|owed| owed.duty == *duty)
    }
}

/// None: nothing to say, neither good nor bad.
fn sight(owed: &Owed, now: At, grace: bool) -> Option<Sight> {
    let standing = owed.standing(now);
    let proven = owed.proven.as_ref().map(|proof| proof.at);
    match &standing {
        Standing::Proven { at, .. } => Some(Sight::Proven { at: *at }),
        Standing::Failed { code, .. } => {
            let numbers = owed.failed.as_ref().map(|failed| failed.numbers.clone()).unwrap_or_default();
            if owed.duty.kind == DutyKind::Runs && !is_serious(code, &numbers) {
                return None;
            }
            Some(Sight::Bad { severity: severity(owed, &standing, now), code: code.clone(), numbers, proven })
        }
        broken if broken.is_broken(now) && !grace => {
            let (code, numbers) = silence(broken, now);
            Some(Sight::Bad { severity: severity(owed, broken, now), code: code.into(), numbers, proven })
        }
        _ => None,
    }
}

fn is_serious(code: &str, numbers: &Numbers) -> bool {
    let in_a_row = numbers.iter().find(|(name, _)| name == "in_a_row").map_or(0, |(_, value)| *value);
    NEEDS_A_PERSON.contains(&code) || in_a_row >= i64::from(FAILURES)
}

fn silence(standing: &Standing, now: At) -> (&'static str, Numbers) {
    match standing {
        Standing::Overdue { at, .. } => ("overdue", vec![("age_s".into(), now.since(*at))]),
        Standing::NeverProven { since, .. } => ("never", vec![("age_s".into(), now.since(*since))]),
        _ => ("unknown", Numbers::new()),
    }
}

fn severity(owed: &Owed, standing: &Standing, now: At) -> Severity {
    use DutyKind::{CopyAge, Disk, Emergency, Gaps, Keys, Log, Pool, Power, Runs, Scrub, State, TestRestore};
    use DutyKind::{OffsiteContact, OffsiteDoor, OffsiteLoss, OffsiteOrders, OffsiteReceipts};
    let code = if let Standing::Failed { code, .. } = standing { code.split(':').next().unwrap_or_default() } else { "" };
    match (owed.duty.kind, code) {
        (CopyAge, _) => copy_age(owed, standing, now),
        (Gaps | Power, _) | (Runs, "cut") | (Pool, "short") => Severity::Notice,
        (State | Pool, "full")
        | (Pool, "unreadable")
        | (Disk, "failing" | "missing" | "unreadable" | "unusable")
        | (Log, "broken")
        | (Keys, "locked") => Severity::Critical,
        (TestRestore, "differs") | (Scrub, "lost") | (Emergency, _) => Severity::Critical,
        (OffsiteContact, "other-key" | "replaced") | (OffsiteLoss, "lost") | (OffsiteReceipts | OffsiteOrders, _) => Severity::Critical,
        (OffsiteDoor, "replaced" | "papers" | "returned") => Severity::Critical,
        _ => Severity::Warning,
    }
}

/// A tier 1 copy that is twice as old as promised is critical, others at four times.
fn copy_age(owed: &Owed, standing: &Standing, now: At) -> Severity {
    let goal = owed.within_s.unwrap_or(0).min(i64::MAX as u64 / 8) as i64;
    let times = if owed.tier == Some(Tier::One) { 2 } else { 4 };
    match standing {
        Standing::Overdue { at, .. } if now.since(*at) > times * goal => Severity::Critical,
        Standing::Failed { .. } => Severity::Critical,
        _ => Severity::Warning,
    }
}
