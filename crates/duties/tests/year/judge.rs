//! What must hold, judged from outside: keeps its own books of what was proven and what was said, with its own arithmetic.

use std::collections::{BTreeMap, BTreeSet};

use keepwell_duties::status::{Facts, ShareState, status};
use keepwell_duties::{
    Announcement, At, Book, Closing, Duty, DutyKind, Headline, Judgement, Now, Outcome, Room, Said, ShareId, Snapshot, Subject, forget,
};

use crate::appliance::Share;
use crate::world::{DAY, HOUR, MINUTE, SHARES, World};

/// What is known of one duty.
#[derive(Clone, Debug)]
struct Line {
    since: At,
    within: Option<i64>,
    proven: Option<At>,
    failed: bool,
    /// The thread that people were told of.
    told: Option<u64>,
    /// The last proof when it was last broken.
    stale: Option<At>,
    /// When it was last broken, beyond the grace.
    broken: Option<At>,
}

impl Line {
    fn late(&self, duty: &Duty, now: At) -> bool {
        let Some(within) = self.within else { return false };
        let first = if duty.kind == DutyKind::CopyAge { within.max(DAY) } else { within };
        self.proven.map_or(now.0 - self.since.0 > first, |at| now.0 - at.0 > within)
    }
}

/// What is known of one share.
#[derive(Clone, Debug, Default)]
struct ShareLine {
    /// True time of the newest start, unless box time was moved since.
    last_start: Option<i64>,
    /// True time at which the newest run that gave a copy began; None: there is none.
    copy_of: Option<i64>,
    started: i64,
    ended: i64,
    failures: u32,
    /// True time since when nothing kept it from running.
    well_since: i64,
    /// True time since when it is due and has no place.
    waits_since: Option<i64>,
    all: Vec<Snapshot<u64>>,
    left: BTreeSet<u64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    starts: u64,
    opened: u64,
    closed: u64,
    withdrawn: u64,
    escalated: u64,
    reminders: u64,
    late_minutes: u64,
    yes: u64,
    other: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { starts, opened, closed, withdrawn, escalated, reminders, late_minutes, yes, other } = self;
        write!(
            f,
            "{starts} runs; {opened} threads opened, {closed} closed by proof, {withdrawn} withdrawn, {escalated} escalated, {reminders} reminders; "
        )?;
        write!(f, "{late_minutes} share minutes late, all of them alarmed; status yes {yes}, other {other}")
    }
}

#[derive(Debug)]
pub(crate) struct Judge {
    lines: BTreeMap<Duty, Line>,
    /// Threads of what is owed no longer, which have to be closed in the same minute.
    gone: BTreeMap<Duty, u64>,
    shares: Vec<ShareLine>,
    grace_until: At,
    power_failed: Option<At>,
    last: Option<(At, Now)>,
    /// True time since when it has had power.
    on_since: i64,
    t: i64,
    pub(crate) counts: Counts,
}

fn within(kind: DutyKind) -> Option<i64> {
    match kind {
        DutyKind::Scrub | DutyKind::TestRestore => Some(35 * DAY),
        DutyKind::KitRehearsal => Some(95 * DAY),
        DutyKind::Disk | DutyKind::Time | DutyKind::Pool | DutyKind::Keys => Some(DAY),
        DutyKind::Log => Some(2 * DAY),
        _ => None,
    }
}

impl Judge {
    pub(crate) fn new(now: At, t: i64, book: &Book) -> Self {
        let mut judge = Self {
            lines: BTreeMap::new(),
            gone: BTreeMap::new(),
            shares: vec![ShareLine { well_since: t, ..ShareLine::default() }; SHARES],
            grace_until: now,
            power_failed: None,
            last: None,
            on_since: t,
            t,
            counts: Counts::default(),
        };
        book.owed().iter().for_each(|owed| judge.owe(&owed.duty, within(owed.duty.kind), now));
        judge
    }

    fn owe(&mut self, duty: &Duty, within: Option<i64>, now: At) {
        let line = Line { since: now, within, proven: None, failed: false, told: None, stale: None, broken: None };
        self.lines.entry(duty.clone()).or_insert(line);
    }

    pub(crate) fn share(&mut self, share: &Share, now: At) {
        self.owe(&Duty::of_share(DutyKind::CopyAge, &share.id), Some(i64::from(share.policy.copy_age_goal_s)), now);
        [DutyKind::Runs, DutyKind::Gaps, DutyKind::Held].iter().for_each(|kind| self.owe(&Duty::of_share(*kind, &share.id), None, now));
        self.owe(&Duty::test_restore(share.policy.tier), within(DutyKind::TestRestore), now);
    }

    pub(crate) fn without_share(&mut self, n: usize, id: &ShareId) {
        let of_share = |duty: &Duty| duty.subject == Subject::Share(id.clone());
        let gone = self.lines.extract_if(.., |duty, _| of_share(duty));
        self.gone.extend(gone.filter_map(|(duty, line)| Some((duty, line.told?))));
        self.shares[n] = ShareLine { well_since: self.t, ..ShareLine::default() };
    }

    /// Box time goes like the steady clock, and is the wall clock's as long as that is not doubted.
    pub(crate) fn ticked(&mut self, now: At, world: &World, judged: Judgement, doubt: bool) {
        let clocks = world.now();
        let woke = world.t - self.t > MINUTE;
        if woke {
            // It was off, whatever its clock says.
            (self.t, self.on_since) = (world.t, world.t);
            self.forget_starts();
        }
        if let Some((before, then)) = self.last {
            let ran = clocks.steady.saturating_sub(then.steady) as i64;
            let ran = if woke { 0 } else { ran };
            let off = if let Judgement::WasOff { off_s } = judged { off_s } else { 0 };
            let wrong = now.since(before) - ran - off;
            // A clock that tells late how long the box was off is not followed second by second.
            assert!(wrong.abs() <= 1 + ran / 1_000 || (off > 0 && wrong.abs() <= 120), "{wrong} s wrong: {judged:?}");
        }
        assert!(doubt || (clocks.wall - now.0).abs() <= 121, "box time {now:?}, wall clock {}, and no doubt", clocks.wall);
        self.last = Some((now, clocks));
        if let Judgement::WasOff { off_s } = judged {
            self.grace_until = now.plus(HOUR);
            self.forget_starts();
            if off_s >= 900 {
                self.power_failed = Some(now);
                self.failed(&Duty::of_box(DutyKind::Power));
            }
        }
        if doubt {
            self.failed(&Duty::of_box(DutyKind::Time))
        } else {
            self.proven(&Duty::of_box(DutyKind::Time), now)
        }
        if self.power_failed.is_none_or(|at| now.since(at) >= HOUR) {
            self.proven(&Duty::of_box(DutyKind::Power), now);
        }
    }

    pub(crate) fn moved(&mut self, by: i64, now: At) {
        self.last = None;
        self.forget_starts();
        if by >= 0 {
            self.grace_until = now.plus(HOUR);
            return;
        }
        for line in self.lines.values_mut() {
            line.since = line.since.plus(by);
            line.proven = line.proven.map(|at| at.plus(by));
            line.stale = line.stale.map(|at| at.plus(by));
            line.broken = line.broken.map(|at| at.plus(by));
        }
        self.grace_until = self.grace_until.plus(by);
        self.power_failed = self.power_failed.map(|at| at.plus(by));
    }

    fn forget_starts(&mut self) {
        let t = self.t;
        self.shares.iter_mut().for_each(|share| (share.last_start, share.waits_since, share.well_since) = (None, None, t));
    }

    pub(crate) fn proven(&mut self, duty: &Duty, at: At) {
        let Some(line) = self.lines.get_mut(duty) else { return };
        line.proven = line.proven.max(Some(at));
        line.failed = false;
    }

    pub(crate) fn failed(&mut self, duty: &Duty) {
        self.lines.get_mut(duty).unwrap().failed = true;
    }

    pub(crate) fn starts(&mut self, n: usize, share: &Share, t: i64) {
        self.counts.starts += 1;
        let line = &mut self.shares[n];
        let cadence = i64::from(share.policy.cadence_s);
        let rest = match line.failures {
            0 => cadence / 2 - cadence / 500 - 60,
            1..=5 => 60,
            _ => cadence.min(2 * HOUR) - 120,
        };
        let rested = line.last_start.map_or(i64::MAX, |last| t - last);
        assert!(rested >= rest, "{} started {rested} s after its last start, with {} failures", share.id, line.failures);
        (line.last_start, line.started, line.waits_since) = (Some(t), t, None);
    }

    pub(crate) fn waits(&mut self, n: usize, could: bool, t: i64) {
        let line = &mut self.shares[n];
        if !could {
            line.waits_since = None;
            return;
        }
        let since = *line.waits_since.get_or_insert(t);
        assert!(t - since <= 8 * HOUR, "share {n} waits for {} s", t - since);
    }

    pub(crate) fn run_ended(&mut self, n: usize, id: &ShareId, started: Option<At>, outcome: &Outcome, now: At) {
        let duty = |kind| Duty::of_share(kind, id);
        let line = &mut self.shares[n];
        line.ended = self.t;
        match outcome {
            Outcome::Complete | Outcome::Partial { .. } => {
                line.failures = 0;
                line.copy_of = Some(line.started);
                self.proven(&duty(DutyKind::CopyAge), started.unwrap());
                self.proven(&duty(DutyKind::Runs), now);
                self.proven(&duty(DutyKind::Held), now);
                if *outcome == Outcome::Complete { self.proven(&duty(DutyKind::Gaps), now) } else { self.failed(&duty(DutyKind::Gaps)) }
            }
            Outcome::Held { .. } => {
                (line.failures, line.well_since) = (0, self.t);
                self.failed(&duty(DutyKind::Held));
            }
            Outcome::Failed { .. } | Outcome::Cut | Outcome::Cancelled => {
                line.failures += 1;
                line.well_since = self.t;
                let password = *outcome == Outcome::Failed { code: "password".into() };
                if password || line.failures >= 4 {
                    self.failed(&duty(DutyKind::Runs));
                }
            }
        }
    }

    pub(crate) fn snapshot(&mut self, n: usize, one: Snapshot<u64>) {
        self.shares[n].left.insert(one.id);
        self.shares[n].all.push(one);
    }

    pub(crate) fn forgot(&mut self, n: usize, gone: &[u64]) {
        gone.iter().for_each(|id| assert!(self.shares[n].left.remove(id), "forgotten twice"));
        assert!(gone.is_empty() || !self.shares[n].left.is_empty(), "the last one was forgotten");
    }

    pub(crate) fn said(&mut self, one: &Announcement, now: At) {
        let duty = &one.incident.duty;
        let grace = now < self.grace_until;
        if one.kind == Said::Closed && one.incident.closed_by == Some(Closing::Withdrawn) || !self.lines.contains_key(duty) {
            assert_eq!((one.kind, self.gone.remove(duty)), (Said::Closed, Some(one.incident.id)), "{duty:?}");
            self.counts.withdrawn += 1;
            return;
        }
        let line = self.lines.get_mut(duty).unwrap();
        let late = line.late(duty, now);
        match one.kind {
            Said::Opened => {
                assert_eq!(line.told.replace(one.incident.id), None, "{duty:?} was opened twice");
                assert!(line.failed || (late && !grace), "{duty:?} was opened for nothing");
                self.counts.opened += 1;
            }
            Said::Closed => {
                assert_eq!(line.told.take(), Some(one.incident.id), "{duty:?}");
                assert!(!line.failed && !late, "{duty:?} is said to be over and is not");
                assert!(line.proven > line.stale, "{duty:?} was closed without a new proof");
                assert!(line.broken.is_none_or(|at| now.since(at) >= HOUR), "{duty:?} was said to be over too early");
                self.counts.closed += 1;
            }
            Said::Escalated => self.counts.escalated += 1,
            Said::Reminder => self.counts.reminders += 1,
            Said::Worse => {}
        }
        assert!(one.kind == Said::Closed || line.told == Some(one.incident.id), "{duty:?}: {:?} of another thread", one.kind);
    }

    /// A share's promise has changed.
    pub(crate) fn promised(&mut self, n: usize, share: &Share) {
        self.shares[n].well_since = self.t;
        self.lines.get_mut(&Duty::of_share(DutyKind::CopyAge, &share.id)).unwrap().within = Some(i64::from(share.policy.copy_age_goal_s));
    }

    /// After all of a minute was done and said.
    pub(crate) fn minute(&mut self, now: At, world: &World, shares: &[Share], room: Room) {
        assert!(self.gone.is_empty(), "not closed: {:?}", self.gone);
        self.t = world.t;
        let grace = now < self.grace_until;
        for (duty, line) in &mut self.lines {
            let late = line.late(duty, now);
            if late || line.failed {
                line.stale = line.proven;
                line.broken = if grace && !line.failed { line.broken } else { Some(now) };
                assert!(line.told.is_some() || (grace && !line.failed), "{duty:?} is broken, and nobody was told: {line:?}");
                self.counts.late_minutes += u64::from(duty.kind == DutyKind::CopyAge);
            }
        }
        for (n, share) in shares.iter().enumerate() {
            let goal = i64::from(share.policy.copy_age_goal_s);
            let line = &mut self.shares[n];
            if !world.servers[n].is_well(world.t) || room.pauses(share.policy.tier) || room == Room::Full {
                line.well_since = world.t;
            }
            let age = world.t - line.copy_of.unwrap_or(i64::MIN / 2);
            let well_s = world.t - line.well_since;
            assert!(
                well_s <= goal + 2 * HOUR || age <= goal + 120,
                "{} could be copied for {well_s} s, and its copy is {age} s old",
                share.id
            );
            let idle = !share.clock.running && line.waits_since.is_none() && share.policy.clinic_hours.is_none() && line.failures > 0;
            let patience = (2 * HOUR).max(line.ended - line.started) + 300;
            let rested = world.t - line.ended.max(self.on_since);
            assert!(
                !idle || room.pauses(share.policy.tier) || rested <= patience,
                "{} failed, and is not tried again for {rested} s",
                share.id
            );
        }
    }

    /// The one answer is never better than the judge's own books.
    pub(crate) fn status(&mut self, facts: &Facts, now: At) {
        let said = status(facts, now);
        for share in &said.shares {
            let line = &self.lines[&Duty::of_share(DutyKind::CopyAge, &share.id)];
            let good = !line.late(&Duty::of_share(DutyKind::CopyAge, &share.id), now) && line.proven.is_some();
            let whole = share.outcome == Some(Outcome::Complete);
            assert!(share.state > ShareState::Running || (good && whole), "{share:?}");
            assert!(!share.words.is_empty());
        }
        let broken = self.lines.iter().any(|(duty, line)| line.failed || line.late(duty, now));
        assert!(said.headline != Headline::Yes || !broken, "all is said to be proven");
        let owed: BTreeSet<_> = facts.book.owed().iter().map(|owed| &owed.duty).collect();
        assert_eq!(owed, self.lines.keys().collect::<BTreeSet<_>>(), "what is owed");
        if said.headline == Headline::Yes { self.counts.yes += 1 } else { self.counts.other += 1 }
    }

    /// Forgetting after each run left all that forgetting once would have left, whatever the clock said meanwhile.
    pub(crate) fn at_the_end(&self, shares: &[Share]) {
        for (line, share) in self.shares.iter().zip(shares) {
            let gone: BTreeSet<u64> = forget(&line.all, &share.policy.keep, At(i64::MAX)).into_iter().collect();
            let lost = line.all.iter().find(|one| !gone.contains(&one.id) && !line.left.contains(&one.id));
            assert!(lost.is_none(), "{}: {lost:?} should have been kept", share.id);
        }
        assert!(self.counts.opened > 0 && self.counts.closed > 0 && self.counts.other > 0, "{}", self.counts);
    }
}
