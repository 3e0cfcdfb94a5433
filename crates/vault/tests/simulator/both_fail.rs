//! Two places that fail both, day after day: bits flip, files are cut short and vanish, within redundancy and beyond it, at the vault and at the receiver, and the line is cut
//! again and again. What one of them lost comes back from the other; what both lost is named, and nothing else is lost by it.
//!
//! `KEEPWELL_SEEDS` and `KEEPWELL_FIRST_SEED` as in the crash test.

use std::collections::BTreeSet;
use std::sync::Arc;

use keepwell_storage::{Access, Class, Damage, Io, MemoryDisk, ObjectName, Pool, ScrubVerdict};

use crate::promised::forgettable;
use crate::random::Random;
use crate::second_site::{DAY, Sites, name};
use crate::tree::Tree;
use crate::world::{dynamic, env};

const DAYS: u64 = 3;
const LAYOUTS: [&str; 3] = ["1+1", "2+1", "2+2"];

/// One seed's places.
struct Scenario {
    random: Random,
    sites: Sites,
    trees: Vec<Tree>,
    forgotten: BTreeSet<u64>,
}

/// What a day destroyed beyond redundancy.
#[derive(Debug, Default)]
struct Destroyed {
    near: BTreeSet<ObjectName>,
    far: BTreeSet<ObjectName>,
}

/// Objects that lie on disks, with their files: disk and path.
fn objects(disks: &[Arc<MemoryDisk>], classes: &[Class]) -> Vec<(ObjectName, Vec<(usize, String)>)> {
    let mut found = std::collections::BTreeMap::<ObjectName, Vec<(usize, String)>>::new();
    for (number, disk) in disks.iter().enumerate() {
        for path in disk.paths() {
            let name = path.split_once('.').and_then(|(name, _)| ObjectName::parse(name)).filter(|name| classes.contains(&name.class));
            if let Some(name) = name {
                found.entry(name).or_default().push((number, path));
            }
        }
    }
    found.into_iter().collect()
}

/// An object on disks, whatever a program that has them open knows of it.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Whole,
    Harmed,
    Lost,
}

fn looked_at(disks: &[Arc<MemoryDisk>]) -> Pool {
    Pool::open(dynamic(disks), Access::Read).unwrap().with_io(Io::Sequential)
}

fn state(pool: &Pool, name: ObjectName) -> State {
    match pool.scrub(name).map(|found| found.verdict) {
        Ok(ScrubVerdict::Whole) => State::Whole,
        Ok(ScrubVerdict::Degraded) => State::Harmed,
        Ok(ScrubVerdict::Lost { .. }) | Err(_) => State::Lost,
    }
}

impl Scenario {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x0ff5_17e5);
        let (near, far) = (LAYOUTS[(seed % 3) as usize].parse().unwrap(), LAYOUTS[(seed / 3 % 2) as usize].parse().unwrap());
        let trees = vec![Tree::new(&mut random)];
        Self { random, sites: Sites::new(near, far, env()), trees, forgotten: BTreeSet::new() }
    }

    fn back_up_and_send(&mut self) {
        self.sites.back_up(self.trees.last().unwrap());
        let random = &mut self.random;
        // Three in four lines are cut, sooner or later.
        let round = self.sites.send(|| (random.below(4) > 0).then(|| 300 + random.below(30_000)));
        assert_eq!((round.lost.len(), round.unread.len()), (0, 0), "{round:?}");
    }

    fn harm(&mut self, disks: &[Arc<MemoryDisk>], files: &[(usize, String)], is_beyond: bool, may_vanish: bool) {
        let least = if is_beyond { files.len() } else { self.random.below(files.len() as u64) as usize };
        let kind = self.random.below(if may_vanish { 3 } else { 2 });
        for (disk, path) in &files[..least] {
            let damage = match kind {
                0 => Damage::FlipBit(self.random.below(80_000)),
                1 => Damage::Truncate(self.random.below(200)),
                _ => Damage::Delete,
            };
            assert!(disks[*disk].damage(path, damage));
        }
    }

    /// A bad day at both places. `spared` is not destroyed beyond redundancy.
    fn destroy(&mut self, is_near: bool, is_open: bool, spared: &BTreeSet<ObjectName>) -> BTreeSet<ObjectName> {
        let disks = if is_near { self.sites.near.clone() } else { self.sites.far.clone() };
        // Without its keys a vault is not opened again: those are lost while it is open.
        let classes: &[Class] = match (is_near, is_open) {
            (true, true) | (false, _) => &[Class::Pack, Class::Manifest, Class::Keyring, Class::Slots, Class::Tombstone],
            (true, false) => &[Class::Pack, Class::Manifest],
        };
        let all = objects(&disks, classes);
        let mut harmed = BTreeSet::new();
        for _ in 0..2 + self.random.below(5) {
            let (name, files) = self.random.pick(&all).clone();
            if files.len() < 2 || !harmed.insert(name) {
                continue;
            }
            let is_beyond = self.random.below(3) > 0 && !spared.contains(&name);
            self.harm(&disks, &files, is_beyond, true);
        }
        let pool = looked_at(&disks);
        all.into_iter().map(|(name, _)| name).filter(|name| state(&pool, *name) == State::Lost).collect()
    }

    fn day(&mut self, case: &str) {
        self.sites.now += DAY;
        let mut tree = self.trees.last().unwrap().clone();
        tree.change(&mut self.random);
        self.trees.push(tree);
        self.back_up_and_send();
        self.forget();
        let is_open = self.random.below(2) == 0;
        let far = self.destroy(false, true, &BTreeSet::new());
        // Never the same one beyond both redundancies: what is not quite whole there is spared here.
        let far_disks = self.sites.far.clone();
        let pool = looked_at(&far_disks);
        let spared = objects(&far_disks, &Class::ALL).into_iter().map(|(name, _)| name).filter(|name| state(&pool, *name) != State::Whole);
        let spared: BTreeSet<ObjectName> = spared.chain(far.iter().copied()).collect();
        let near = self.destroy(true, is_open, &spared);
        let lost = Destroyed { near, far };
        if !is_open {
            self.sites.restart_near();
        }
        if self.random.below(2) == 0 {
            self.sites.start_far();
        }
        let found = self.mend(case, &lost);
        let signed: BTreeSet<ObjectName> = self.signed();
        let unseen: Vec<_> = lost.far.difference(&found).filter(|name| signed.contains(name)).collect();
        assert!(unseen.is_empty(), "{case}: {unseen:?} were lost there and not found, {lost:?}");
        assert_eq!(self.sites.not_given_back(), BTreeSet::new(), "{case}: {lost:?}");
        assert_eq!(self.wrong(), [""; 0], "{case}: {lost:?}");
    }

    /// Packs and manifests that a receipt covers.
    fn signed(&self) -> BTreeSet<ObjectName> {
        self.sites.own().covered(self.sites.signed.keys()).into_iter().map(|known| name(known.class, known.id)).collect()
    }

    /// Both look after what they have, in one order or the other. Answers what was found lost at the receiver.
    fn mend(&mut self, case: &str, lost: &Destroyed) -> BTreeSet<ObjectName> {
        let mut found = BTreeSet::new();
        let near_first = self.random.below(2) == 0;
        for turn in [near_first, !near_first] {
            if turn {
                let (healed, left) = self.sites.heal();
                assert_eq!(left, BTreeSet::new(), "{case}: {lost:?}");
                let missed: Vec<_> = lost.near.difference(&healed).filter(|name| !self.is_forgotten(name)).collect();
                assert!(missed.is_empty(), "{case}: {missed:?} are not healed, {lost:?}");
            } else {
                let mut seed = [0; 32];
                self.random.fill(&mut seed);
                found.extend(self.sites.challenge(seed));
                found.extend(self.sites.send(|| None).lost);
                self.sites.tend_far();
            }
        }
        // The day after: what the one could not ask for, or send, before it was healed itself.
        let mut seed = [0; 32];
        self.random.fill(&mut seed);
        found.extend(self.sites.challenge(seed));
        let last = self.sites.send(|| None);
        assert_eq!(last.unread, BTreeSet::new(), "{case}: {lost:?}");
        found.extend(last.lost);
        found
    }

    fn is_forgotten(&self, name: &ObjectName) -> bool {
        name.class == Class::Manifest && !self.sites.vault().lacks(*name).unwrap()
    }

    /// Now and then an old snapshot is forgotten: it must not come back from where it still lies.
    fn forget(&mut self) {
        if self.random.below(2) == 0 {
            return;
        }
        let Some(old) = forgettable(self.sites.vault(), &mut self.random) else { return };
        self.sites.vault().forget(&[old.id], "the simulator's", 7).unwrap();
        self.forgotten.insert(old.sequence);
        self.sites.send(|| None);
    }

    fn wrong(&self) -> Vec<String> {
        let shown: BTreeSet<u64> = self.sites.vault().snapshots().unwrap().iter().map(|snapshot| snapshot.sequence).collect();
        let back = self.forgotten.intersection(&shown).map(|number| format!("snapshot {number} was forgotten and shows again"));
        let gone: Vec<String> = self.forgotten.iter().map(|number| format!("snapshot {number} is gone")).collect();
        let wrong = self.sites.not_restored(&self.trees).into_iter().filter(|why| !gone.contains(why));
        back.chain(wrong).collect()
    }

    /// One object is destroyed at both places: that is said, day after day, and all else is healed.
    fn lost_at_both(&mut self, case: &str) {
        let signed = self.signed();
        let there = objects(&self.sites.far.clone(), &[Class::Pack]);
        let here = objects(&self.sites.near.clone(), &[Class::Pack]);
        let candidates: Vec<_> = here.iter().filter(|(name, _)| signed.contains(name)).collect();
        let (lost, files) = (*self.random.pick(&candidates)).clone();
        let (_, far_files) = there.into_iter().find(|(name, _)| *name == lost).unwrap();
        let (near, far) = (self.sites.near.clone(), self.sites.far.clone());
        self.harm(&near, &files, true, false);
        self.harm(&far, &far_files, true, false);
        let other = candidates.iter().find(|(name, _)| *name != lost).unwrap();
        self.harm(&near, &other.1, true, false);
        for _ in 0..2 {
            let (healed, left) = self.sites.heal();
            assert_eq!(left, BTreeSet::from([lost]), "{case}: it is said");
            assert!(healed.is_empty() || healed == BTreeSet::from([other.0]), "{case}: {healed:?}");
            self.sites.challenge([7; 32]);
            self.sites.send(|| None);
            let report = self.sites.verify().unwrap();
            assert!(report.damage.lost.contains(&lost.to_string()), "{case}: {:?}", report.damage.lost);
        }
        let not_there = self.sites.not_given_back();
        assert!(not_there.iter().all(|name| *name == lost), "{case}: all else is there: {not_there:?}");
    }
}

fn simulate(seed: u64) {
    let mut scenario = Scenario::new(seed);
    scenario.back_up_and_send();
    for day in 1..=DAYS {
        scenario.day(&format!("seed {seed}, day {day}"));
    }
    if seed.is_multiple_of(5) {
        scenario.lost_at_both(&format!("seed {seed}, at both"));
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn what_one_place_loses_comes_back_from_the_other() {
    let (first, count) = (setting("KEEPWELL_FIRST_SEED", 0), setting("KEEPWELL_SEEDS", 40));
    (first..first + count).for_each(simulate);
    println!("two places: {count} seeds from {first}");
}
