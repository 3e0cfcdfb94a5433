//! A box that does what vaultd does, with the rules of the crate and nothing else: takes every decision through it, keeps its state as JSON over restarts.

use keepwell_duties::status::{Facts, KeyFacts, PeopleFacts, PoolFacts, ShareFacts};
use keepwell_duties::{
    At, Book, BoxTime, Candidate, Duty, DutyKind, Incidents, Judgement, Numbers, Outcome, Policy, Room, Running, ShareClock, ShareId,
    Snapshot, Standing, Tier, Weekly, Worth, forget, next_due, pick,
};
use serde::{Deserialize, Serialize};

use crate::judge::Judge;
use crate::people::People;
use crate::world::{DAY, HOUR, MINUTE, Power, SHARES, World, tier_of};

const SLOTS: usize = 4;

/// What is written down.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct State {
    time: BoxTime,
    book: Book,
    incidents: Incidents,
    shares: Vec<Share>,
    room: Room,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) id: ShareId,
    pub(crate) policy: Policy,
    pub(crate) clock: ShareClock,
}

/// A run that goes on.
#[derive(Clone, Debug)]
struct Job {
    share: usize,
    started: At,
    ends: i64,
    outcome: Outcome,
}

#[derive(Debug)]
pub(crate) struct Appliance {
    state: State,
    jobs: Vec<Job>,
    /// Not due before that: what is due later need not be asked again until something changes.
    not_before: Vec<At>,
    kept: Vec<Vec<Snapshot<u64>>>,
    people: People,
    pub(crate) judge: Judge,
    ids: u64,
}

pub(crate) const DISKS: [&str; 4] = ["bay-1", "bay-2", "bay-3", "bay-4"];
pub(crate) const PAPERS: [&str; 3] = ["A", "B", "C"];

impl Appliance {
    pub(crate) fn new(world: &mut World) -> Self {
        let time = BoxTime::begin(world.now());
        let now = time.at();
        let mut book = Book::begin(now);
        DISKS.iter().for_each(|disk| book.owe(Duty::disk(disk), now));
        PAPERS.iter().for_each(|paper| book.owe(Duty::rehearsal(paper), now));
        let mut judge = Judge::new(now, world.t, &book);
        let shares: Vec<_> = (0..SHARES).map(|n| new_share(world, n, 0, now)).collect();
        shares.iter().for_each(|share| {
            book.share(&share.id, &share.policy, now);
            judge.share(share, now);
        });
        let state = State { time, book, incidents: Incidents::default(), shares, room: Room::Ample };
        Self {
            state,
            jobs: Vec::new(),
            not_before: vec![At(i64::MIN); SHARES],
            kept: vec![Vec::new(); SHARES],
            people: People::default(),
            judge,
            ids: 0,
        }
    }

    /// What the box does in a minute, if it has power.
    pub(crate) fn minute(&mut self, world: &mut World) {
        let judged = match world.power() {
            Power::Off => return self.jobs.clear(),
            Power::Back => {
                let judged = self.state.time.wake(world.now());
                self.cut_all();
                judged
            }
            Power::On => self.state.time.tick(world.now()),
        };
        self.clock(world, judged);
        if world.chance.once_in(2 * 24 * 60) {
            self.restart();
        }
        self.room(world);
        self.end_runs(world);
        self.start_runs(world);
        self.other_duties(world);
        self.change_shares(world);
        self.announce(world);
    }

    fn now(&self) -> At {
        self.state.time.at()
    }

    fn clock(&mut self, world: &mut World, judged: Judgement) {
        let now = self.now();
        self.judge.ticked(now, world, judged, self.state.time.doubt().is_some());
        self.state.book.ticked(&self.state.time, judged);
        if self.people.confirm_the_time(world, self.state.time.doubt(), now) {
            let by = self.state.time.confirm(world.now());
            let now = self.now();
            self.state.book.moved(by, now);
            self.state.incidents.moved(by);
            if by < 0 {
                self.state.shares.iter_mut().for_each(|share| share.clock.shift(by));
                self.jobs.iter_mut().for_each(|job| job.started = job.started.plus(by));
                self.people.moved(by);
            }
            self.not_before.fill(At(i64::MIN));
            self.judge.moved(by, now);
            self.state.book.ticked(&self.state.time, Judgement::Steady);
            self.judge.ticked(now, world, Judgement::Steady, false);
        }
    }

    /// The program is killed and started again: its state goes through what it wrote.
    fn restart(&mut self) {
        let json = serde_json::to_string(&self.state).unwrap();
        let back: State = serde_json::from_str(&json).unwrap();
        assert_eq!(back, self.state);
        self.state = back;
        self.cut_all();
    }

    fn cut_all(&mut self) {
        self.jobs.clear();
        for n in 0..SHARES {
            if self.state.shares[n].clock.running {
                self.end(n, Outcome::Cut);
            }
        }
    }

    fn end(&mut self, n: usize, outcome: Outcome) {
        let now = self.now();
        let Share { id, clock, .. } = &mut self.state.shares[n];
        self.judge.run_ended(n, id, clock.last_started, &outcome, now);
        if let (Some(received), Some(worth)) = (clock.last_started, worth(&outcome)) {
            self.ids += 1;
            let one = Snapshot { id: self.ids, received, worth };
            self.kept[n].push(one.clone());
            self.judge.snapshot(n, one);
        }
        clock.finished(now, outcome);
        self.not_before[n] = At(i64::MIN);
        self.state.book.run_ended(id, clock, now);
    }

    fn room(&mut self, world: &mut World) {
        let now = self.now();
        self.state.room = self.state.room.step(world.free as u64, 1_000);
        let pool = Duty::of_box(DutyKind::Pool);
        match self.state.room {
            Room::Ample => self.prove(&pool, now),
            Room::Short => self.fail(&pool, now, "short"),
            Room::Scarce => self.fail(&pool, now, "scarce"),
            Room::Full => self.fail(&pool, now, "full"),
        }
        self.people.add_a_disk(world, self.state.room);
    }

    pub(crate) fn prove(&mut self, duty: &Duty, at: At) {
        self.state.book.prove(duty, at, Numbers::new());
        self.judge.proven(duty, at);
    }

    pub(crate) fn fail(&mut self, duty: &Duty, at: At, code: &str) {
        self.state.book.fail(duty, at, code, Numbers::new());
        self.judge.failed(duty);
    }

    fn end_runs(&mut self, world: &mut World) {
        let now = self.now();
        for job in &mut self.jobs {
            if world.t < world.servers[job.share].away_until && !matches!(job.outcome, Outcome::Failed { .. }) {
                job.ends = job.ends.min(world.t + 2 * MINUTE);
                job.outcome = Outcome::Failed { code: "silent".into() };
            }
        }
        let ended: Vec<Job> = self.jobs.extract_if(.., |job| world.t >= job.ends).collect();
        for job in ended {
            self.end(job.share, job.outcome);
            let share = &self.state.shares[job.share];
            if now.since(share.clock.added) > 0 && world.chance.once_in(4) {
                let gone = forget(&self.kept[job.share], &share.policy.keep, now);
                self.kept[job.share].retain(|one| gone.binary_search(&one.id).is_err() && !gone.contains(&one.id));
                self.judge.forgot(job.share, &gone);
            }
        }
    }

    fn start_runs(&mut self, world: &mut World) {
        let now = self.now();
        let mut due = Vec::new();
        for (n, share) in self.state.shares.iter().enumerate().filter(|(_, share)| !share.clock.running) {
            if self.not_before[n] > now {
                continue;
            }
            let Share { id, policy, clock } = share;
            let next = next_due(id, policy, clock, now);
            self.not_before[n] = next.at;
            let could = next.at <= now && !self.state.room.pauses(policy.tier);
            self.judge.waits(n, could, world.t);
            if could {
                due.push(Candidate { share: id.clone(), tier: policy.tier, due: next.at, slow: clock.was_slow });
            }
        }
        if due.is_empty() {
            return;
        }
        let shares = &self.state.shares;
        let running: Vec<_> = self
            .jobs
            .iter()
            .map(|job| &shares[job.share])
            .map(|share| Running { share: share.id.clone(), slow: share.clock.is_slow(now) })
            .collect();
        for picked in pick(&due, &running, SLOTS, self.state.room, now) {
            let n = self.state.shares.iter().position(|share| share.id == picked).unwrap();
            let share = &mut self.state.shares[n];
            self.judge.starts(n, share, world.t);
            share.clock.started(now);
            let (minutes, outcome) = fate(world, n, self.state.room);
            self.jobs.push(Job { share: n, started: now, ends: world.t + minutes * MINUTE, outcome });
        }
        assert!(self.jobs.len() <= 2 * SLOTS, "{} runs at once", self.jobs.len());
    }

    /// What the box proves by itself when its time has come, and what people do for it.
    fn other_duties(&mut self, world: &mut World) {
        let now = self.now();
        if world.chance.once_in(30) {
            for disk in DISKS {
                let duty = Duty::disk(disk);
                match self.people.disk(world, disk) {
                    None => self.prove(&duty, now),
                    Some(code) => self.fail(&duty, now, code),
                }
            }
        }
        if world.chance.once_in(6 * 60) {
            self.prove(&Duty::of_box(DutyKind::Keys), now);
            self.prove(&Duty::of_box(DutyKind::Log), now);
        }
        for (duty, code) in [
            (Duty::of_box(DutyKind::Scrub), "lost"),
            (Duty::test_restore(Tier::One), "differs"),
            (Duty::test_restore(Tier::Two), "differs"),
        ] {
            self.monthly(world, &duty, code);
        }
        if let Some(paper) = self.people.rehearse(world, now) {
            self.prove(&Duty::rehearsal(paper), now);
        }
        // The people of this box forget tier 3's test restores for months.
        if world.chance.once_in(60 * 24 * 60) {
            self.prove(&Duty::test_restore(Tier::Three), now);
        }
    }

    fn monthly(&mut self, world: &mut World, duty: &Duty, code: &'static str) {
        let now = self.now();
        let Some(owed) = self.state.book.get(duty) else { return };
        let last = owed.proven.as_ref().map_or(owed.since, |proof| proof.at);
        let wait = if owed.failed.is_some() { DAY } else { 28 * DAY };
        if now.since(last) < wait || !world.chance.once_in(12 * 60) {
            return;
        }
        if world.chance.once_in(15) { self.fail(duty, now, code) } else { self.prove(duty, now) }
    }

    /// Once in a while a share is removed, and another one added.
    fn change_shares(&mut self, world: &mut World) {
        if !world.chance.once_in(2 * 24 * 60) {
            return;
        }
        let now = self.now();
        let n = world.chance.between(0, SHARES as i64 - 1) as usize;
        if world.chance.once_in(2) {
            return self.change_promise(world, n);
        }
        self.jobs.retain(|job| job.share != n);
        self.state.book.without_share(&self.state.shares[n].id);
        self.judge.without_share(n, &self.state.shares[n].id);
        self.kept[n].clear();
        self.ids += 1;
        let share = new_share(world, n, self.ids, now);
        self.state.book.share(&share.id, &share.policy, now);
        self.judge.share(&share, now);
        self.state.shares[n] = share;
        self.not_before[n] = At(i64::MIN);
    }

    /// A looser or a tighter promise.
    fn change_promise(&mut self, world: &mut World, n: usize) {
        let now = self.now();
        let share = &mut self.state.shares[n];
        share.policy.copy_age_goal_s = share.policy.cadence_s * world.chance.one_of(&[2, 4, 12]);
        self.state.book.share(&share.id, &share.policy, now);
        self.judge.promised(n, share);
        self.not_before[n] = At(i64::MIN);
    }

    fn announce(&mut self, world: &mut World) {
        let now = self.now();
        let said = self.state.incidents.review(&self.state.book, now);
        said.iter().for_each(|one| self.judge.said(one, now));
        self.judge.minute(now, world, &self.state.shares, self.state.room);
        self.people.hear(world, &said);
        let State { shares, incidents, .. } = &mut self.state;
        self.people.act(world, shares, incidents, now);
        if world.t % (6 * HOUR) == 0 {
            let facts = self.facts(world);
            self.judge.status(&facts, now);
        }
    }
}

impl Appliance {
    fn facts(&self, world: &World) -> Facts {
        let State { time, book, incidents, shares, room } = self.state.clone();
        let now = time.at();
        let facts = |share: Share| ShareFacts { label: share.id.0.to_uppercase(), id: share.id, policy: share.policy, clock: share.clock };
        Facts {
            gathered: now,
            shares: shares.into_iter().map(facts).collect(),
            book,
            incidents,
            pool: Some(PoolFacts { readable: true, redundant: true, room, free_bytes: world.free as u64, total_bytes: 1_000 }),
            disks: Vec::new(),
            keys: Some(KeyFacts { unlocked: true, ways: 2, kit: true }),
            people: Some(PeopleFacts { can_restore: 2, mfa_used: Some(now), drill: Some(now) }),
            offsite: Some(Standing::Proven { at: now, until: None }),
            doubt: time.doubt(),
        }
    }

    pub(crate) fn at_the_end(&self) {
        self.judge.at_the_end(&self.state.shares);
    }
}

fn new_share(world: &mut World, n: usize, generation: u64, now: At) -> Share {
    let mut policy = Policy::of(Tier::ALL[tier_of(n)]);
    if world.chance.once_in(2) {
        let tz = world.chance.one_of(&["America/Chicago", "Europe/Berlin", "Australia/Sydney", "UTC"]).to_owned();
        policy.clinic_hours = Some(Weekly { days: vec![0, 1, 2, 3, 4], from_min: 480, to_min: 1_080, tz, spared: true });
    }
    Share { id: ShareId(format!("share-{n}-{generation}")), policy, clock: ShareClock::new(now) }
}

/// How long a run that starts now will take, minutes, and how it will end if its server stays.
fn fate(world: &mut World, n: usize, room: Room) -> (i64, Outcome) {
    let failed = |code: &str| Outcome::Failed { code: code.into() };
    let server = &world.servers[n];
    if world.t < server.away_until {
        return (1, failed("unreachable"));
    }
    if server.locked_out {
        return (1, failed("password"));
    }
    if room == Room::Full {
        return (1, failed("no-room"));
    }
    let slow = if world.t < server.slow_until { 20 } else { 1 };
    let minutes = (server.minutes * slow * world.chance.between(50, 150) / 100).max(1);
    let outcome = match world.chance.between(0, 2_999) {
        0 => Outcome::Held { code: "collapsed".into() },
        1..=10 => Outcome::Partial { gaps: 3 },
        11..=20 => failed("silent"),
        _ => Outcome::Complete,
    };
    (minutes, outcome)
}

fn worth(outcome: &Outcome) -> Option<Worth> {
    match outcome {
        Outcome::Complete => Some(Worth::Complete),
        Outcome::Partial { .. } => Some(Worth::Partial),
        Outcome::Held { .. } => Some(Worth::Held),
        _ => None,
    }
}
