//! A pool's life: disks join, are replaced while they are good or lost, are taken out, are pulled and return, with backups in between. The power fails at
//! every I/O step that changes a disk. After each crash, the loss of as many more disks as the guarantee covers then, and the return of some that were
//! lost before: every acknowledged snapshot comes back identical, none that was forgotten shows again, the change is completed by running it again, and the next backup is good.
//!
//! `KEEPWELL_SEEDS` and `KEEPWELL_FIRST_SEED` as in the crash test; a quarter of the seeds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keepwell_format::DiskId;
use keepwell_storage::{
    Access, Change, Condition, Departure, Disk, DiskHealth, DiskState, FaultyDisk, Io, Layout, Machine, MemoryDisk, Pool, PoolError,
    Reserve, Role,
};
use keepwell_vault::{Env, MemoryIndex, NoProgress, Sealed, Unlock, Vault, VaultError};
use zeroize::Zeroizing;

use crate::promised::{Promised, forgettable};
use crate::random::Random;
use crate::tree::Tree;
use crate::world::{PASSPHRASE, backup, difference, env, fresh, new_disk_id};

const LAYOUTS: [&str; 2] = ["2+1", "1+1"];
/// Steps of a scenario at least.
const STEPS: usize = 150;

struct Crash {
    step: u64,
    op: String,
    images: Vec<MemoryDisk>,
    now: Promise,
}

/// What holds at one moment.
#[derive(Clone, Default)]
struct Promise {
    /// Snapshots that were acknowledged, or are forgotten.
    snapshots: Promised,
    /// Disks that may be lost on top of those that are gone.
    spare: usize,
    /// Disks that are gone, and may return.
    gone: Vec<usize>,
    /// What is being done to the disks.
    change: Option<Change>,
}

#[derive(Default)]
struct Shared {
    now: Promise,
    crashes: Vec<Crash>,
}

struct Scenario {
    seed: u64,
    trees: Vec<Tree>,
    crashes: Vec<Crash>,
    acts: Vec<String>,
    digest: [u8; 32],
}

/// One run, and what it is made of.
struct Life {
    random: Random,
    seed: u64,
    machine: Arc<Machine>,
    disks: Vec<Arc<FaultyDisk>>,
    shared: Arc<Mutex<Shared>>,
    env: Env,
    trees: Vec<Tree>,
    acts: Vec<String>,
    ids: u64,
}

impl Life {
    fn new(seed: u64) -> Self {
        let layout: Layout = LAYOUTS[(seed % LAYOUTS.len() as u64) as usize].parse().unwrap();
        let mut random = Random::new(seed ^ 0x11fe);
        let machine = Machine::new();
        let blank = fresh(layout, layout.width().into());
        let disks = blank.iter().map(|image| Arc::new(FaultyDisk::from_image(&machine, image))).collect();
        let now = Promise { spare: layout.m.into(), ..Promise::default() };
        let shared = Arc::new(Mutex::new(Shared { now, crashes: Vec::new() }));
        let trees = vec![Tree::new(&mut random)];
        Self { random, seed, machine, disks, shared, env: env(), trees, acts: Vec::new(), ids: 0 }
    }

    fn state(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an image of all disks before every call that changes one.
    fn watch(&self) {
        let (disks, shared, seed) = (self.disks.clone(), Arc::clone(&self.shared), self.seed);
        self.machine.set_hook(move |op| {
            if op.kind.changes() {
                let luck = Random::new(seed ^ op.number.wrapping_mul(0x9e37_79b9)).next();
                let images = disks.iter().map(|disk| disk.crash_image(luck)).collect();
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let (step, now) = (shared.crashes.len() as u64, shared.now.clone());
                shared.crashes.push(Crash { step, op: format!("{:?} {} {}", op.kind, op.disk, op.path), images, now });
            }
        });
    }

    fn open(&self) -> (Arc<Pool>, Vault) {
        let disks = self.disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Disk>).collect();
        open(disks, &self.env).unwrap_or_else(|error| panic!("{}: does not open: {error:?}", self.case()))
    }

    fn case(&self) -> String {
        format!("seed {}, after {:?}", self.seed, self.acts)
    }

    fn blank(&mut self) -> String {
        let name = format!("disk-{}", self.disks.len() + 1);
        self.disks.push(Arc::new(FaultyDisk::new(&self.machine, name.clone())));
        self.watch();
        name
    }

    fn id(&mut self) -> DiskId {
        self.ids += 1;
        new_disk_id((self.seed << 8) | self.ids)
    }

    fn backup(&mut self, vault: &Vault) {
        let mut tree = self.trees.last().unwrap().clone();
        if self.state().now.snapshots.made > 0 {
            tree.change(&mut self.random);
            self.trees.push(tree.clone());
        }
        backup(vault, &tree).unwrap_or_else(|error| panic!("{}: backup: {error:?}", self.case()));
        self.state().now.snapshots.made += 1;
    }

    /// Not by the run's own luck, so that the rest of it is as it was. Where too few disks are there for it, nothing is changed.
    fn forget(&mut self, vault: &Vault) {
        let Some(old) = forgettable(vault, &mut Random::new(self.seed ^ self.machine.ops())) else { return };
        self.acts.push(format!("snapshot {} is forgotten", old.sequence));
        self.state().now.snapshots.forgetting = Some(old.sequence);
        let forgotten = vault.forget(&[old.id], "the simulator's", 7);
        let mut state = self.state();
        let snapshots = &mut state.now.snapshots;
        match forgotten {
            Ok(_) => snapshots.forgotten.extend(snapshots.forgetting.take()),
            Err(VaultError::NotForgotten(_)) => snapshots.forgetting = None,
            Err(error) => panic!("seed {}, {:?}: forget: {error:?}", self.seed, self.acts),
        }
    }

    /// A change in three parts, with a backup in the middle.
    fn change(&mut self, change: Change) {
        self.acts.push(format!("{change:?}"));
        self.state().now.change = Some(change.clone());
        let (pool, vault) = self.open();
        let ids: Vec<[u8; 16]> = (0..pool.joining_disks(&change)).map(|_| self.id().0).collect();
        pool.begin_change(&change, &ids).unwrap_or_else(|error| panic!("{}: {error}", self.case()));
        if self.random.below(2) == 0 {
            self.backup(&vault);
        }
        let (pool, vault) = if self.vanishes(&change) { self.vanish(pool, vault, &change) } else { (pool, vault) };
        let sealed = Sealed::open(Arc::clone(&pool), self.env.clone()).unwrap();
        let report = sealed.settle_disks(&NoProgress).unwrap_or_else(|error| panic!("{}: {error:?}", self.case()));
        assert!(report.is_done(), "{}: {report:?}", self.case());
        assert!(pool.health().is_whole(), "{}: {:?}", self.case(), pool.health());
        drop(vault);
        let mut state = self.state();
        (state.now.change, state.now.spare) = (None, pool.layout().m.into());
    }

    /// Whether the old disk goes while it is emptied. Not by the run's own luck, so that the rest of it is as it was.
    fn vanishes(&self, change: &Change) -> bool {
        matches!(change, Change::Replace { .. }) && !(self.seed + self.acts.len() as u64).is_multiple_of(2)
    }

    /// A part of the objects is moved, then the disk does not answer at the next open.
    fn vanish(&mut self, pool: Arc<Pool>, vault: Vault, change: &Change) -> (Arc<Pool>, Vault) {
        let Change::Replace { old, .. } = change else { return (pool, vault) };
        let leaving = pool.health().disks.into_iter().find(|disk| disk.id.is_some_and(|id| hex(id) == *old)).unwrap();
        if leaving.state != DiskState::Present {
            return (pool, vault);
        }
        let unsettled = pool.unsettled();
        unsettled[..unsettled.len() / 2].iter().for_each(|name| drop(pool.repair_object(*name).unwrap()));
        drop((pool, vault));
        self.acts.push(format!("{} goes before it is empty", leaving.name));
        self.lose(&leaving.name);
        self.open()
    }

    fn active(&self) -> (Layout, Vec<DiskHealth>) {
        let (pool, _) = self.open();
        let health = pool.health();
        let active = |disk: &DiskHealth| disk.role == Role::Active && disk.state == DiskState::Present;
        (health.layout, health.disks.into_iter().filter(active).collect())
    }

    /// A disk is gone from now on.
    fn lose(&mut self, name: &str) -> usize {
        let number = self.disks.iter().position(|disk| disk.name() == name).unwrap();
        self.disks[number].set_condition(Condition::Gone);
        let mut state = self.state();
        state.now.gone.push(number);
        state.now.spare -= 1;
        number
    }

    fn act(&mut self) {
        let (layout, active) = self.active();
        let chosen = self.random.pick(&active).clone();
        let (name, id) = (chosen.name.clone(), hex(chosen.id.unwrap()));
        match self.random.below(6) {
            0 if active.len() < 5 => {
                let mut wider = ["2+1", "2+2", "3+2"].map(|text| text.parse::<Layout>().unwrap()).into_iter();
                let fits =
                    |new: &Layout| usize::from(new.width()) <= active.len() + 1 && new.m >= layout.m && new.k >= layout.k && *new != layout;
                let layout = wider.rfind(fits).filter(|_| self.random.below(2) == 0);
                let disks = vec![self.blank()];
                self.change(Change::Add { disks, layout });
            }
            1 => {
                let new = self.blank();
                self.change(Change::Replace { old: id, new });
            }
            2 | 3 => {
                self.acts.push(format!("{name} is lost"));
                self.lose(&name);
                let new = self.blank();
                self.change(Change::Replace { old: id, new });
            }
            4 if active.len() > usize::from(layout.width()) => self.change(Change::Remove { disk: id }),
            _ => self.pull(&name),
        }
    }

    /// A wrong disk is pulled, a backup runs without it, and it returns.
    fn pull(&mut self, name: &str) {
        self.acts.push(format!("{name} is pulled"));
        let number = self.lose(name);
        let (_, vault) = self.open();
        self.backup(&vault);
        self.forget(&vault);
        drop(vault);
        self.disks[number].set_condition(Condition::Healthy);
        self.state().now.gone.retain(|gone| *gone != number);
        let (pool, mut vault) = self.open();
        let report = vault.repair(&mut || unreachable!("no disk is new"), &NoProgress).unwrap();
        assert_eq!(report.remaining, Vec::<String>::new(), "{}", self.case());
        assert!(pool.health().is_whole(), "{}", self.case());
        self.state().now.spare += 1;
    }
}

fn play(seed: u64) -> Scenario {
    let mut life = Life::new(seed);
    life.watch();
    let (_, vault) = life.open();
    life.backup(&vault);
    drop(vault);
    while life.acts.len() < 3 || life.state().crashes.len() < STEPS {
        life.act();
    }
    life.machine.clear_hook();
    let crashes = std::mem::take(&mut life.state().crashes);
    Scenario { seed, trees: life.trees, crashes, acts: life.acts, digest: life.machine.digest() }
}

fn open(disks: Vec<Arc<dyn Disk>>, env: &Env) -> Result<(Arc<Pool>, Vault), VaultError> {
    let mut pool = Pool::open(disks, Access::Write)?.with_io(Io::Sequential);
    pool.set_reserve(Reserve::Bytes(0));
    let pool = Arc::new(pool);
    let unlock = Unlock::Passphrase(Zeroizing::new(PASSPHRASE.to_vec()));
    let vault = Sealed::open(Arc::clone(&pool), env.clone())?.unlock_with(&unlock, Arc::new(MemoryIndex::default()), &NoProgress)?;
    Ok((pool, vault))
}

/// A place where a disk was and is not.
fn nothing(name: &str) -> Arc<dyn Disk> {
    let disk = FaultyDisk::new(&Machine::new(), name);
    disk.set_condition(Condition::Gone);
    Arc::new(disk)
}

/// Opens what a crash left, and holds it against what was promised. Answers what is wrong.
fn judge(scenario: &Scenario, crash: &Crash, env: &Env) -> Option<String> {
    let mut random = Random::new(scenario.seed ^ (crash.step << 20));
    let mut disks: Vec<Arc<dyn Disk>> = crash.images.iter().map(|image| Arc::new(image.image()) as Arc<dyn Disk>).collect();
    for gone in &crash.now.gone {
        if random.below(3) > 0 {
            disks[*gone] = nothing(disks[*gone].name());
        }
    }
    let lost = random.below(crash.now.spare as u64 + 1);
    for _ in 0..lost {
        let gone = random.below(disks.len() as u64) as usize;
        disks[gone] = nothing(disks[gone].name());
    }
    let (pool, vault) = match open(disks, env) {
        Ok(opened) => opened,
        Err(error) => return Some(format!("the vault does not open: {error:?}")),
    };
    let all = |when: &str| crash.now.snapshots.broken(&vault, &scenario.trees).map(|wrong| format!("{when}: {wrong}"));
    if let Some(wrong) = all("after the crash") {
        return Some(wrong);
    }
    if lost == 0
        && let Some(wrong) = resume(scenario, crash, &pool, env).or_else(|| all("after the change"))
    {
        return Some(wrong);
    }
    let tree = scenario.trees.get(crash.now.snapshots.made).or(scenario.trees.last())?;
    let run = backup(&vault, tree);
    if matches!(&run, Err(VaultError::Pool(error)) if lost > 0 && matches!(**error, PoolError::TooFewWritable { .. })) {
        return None; // Rather no run than one that is not safe.
    }
    if let Err(error) = run {
        return Some(format!("the next run fails: {error:?}"));
    }
    let newest = vault.snapshots().ok()?.pop()?;
    difference(&vault, &newest, tree).map(|wrong| format!("the next run: {wrong}"))
}

/// Runs the change that was cut short again. Everything is whole then, unless a disk is away that nobody wants to replace.
fn resume(scenario: &Scenario, crash: &Crash, pool: &Arc<Pool>, env: &Env) -> Option<String> {
    let sealed = Sealed::open(Arc::clone(pool), env.clone()).ok()?;
    let mut ids = (0..).map(|n| new_disk_id((scenario.seed << 8) | (200 + n)));
    let repaired = sealed.repair(&mut || unreachable!("empty disks have no place"), &NoProgress);
    if let Err(error) = repaired {
        return Some(format!("repair: {error:?}"));
    }
    let changed = crash.now.change.as_ref().map(|change| sealed.change_disks(change, &mut || ids.next().unwrap(), &NoProgress));
    match changed {
        Some(Err(VaultError::Pool(error))) if is_complete(&error) => {}
        Some(Err(error)) => return Some(format!("the change can't be resumed: {error:?}")),
        Some(Ok(report)) if !report.is_done() => return Some(format!("the change is not complete: {report:?}")),
        Some(Ok(_)) | None => {}
    }
    let settled = match sealed.settle_disks(&NoProgress) {
        Ok(settled) => settled,
        Err(error) => return Some(format!("the disks don't settle: {error:?}")),
    };
    let stays = settled.departures.iter().any(|departure| matches!(departure, Departure::Stays { .. }));
    let health = pool.health();
    let away = health.disks.iter().any(|disk| disk.slot.is_some() && disk.state == DiskState::Missing);
    (!health.is_whole() && !away || stays).then(|| format!("not whole: {health:?}"))
}

/// Refused because it had come to its end, but for the answer.
fn is_complete(error: &PoolError) -> bool {
    matches!(error, PoolError::Refused(why) if why.contains("has left already") || why.contains("is not known"))
}

fn hex(id: [u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn a_crash_in_any_change_of_disks_keeps_every_promise() {
    let (first, count) = (setting("KEEPWELL_FIRST_SEED", 0), setting("KEEPWELL_SEEDS", 40).div_ceil(4));
    for seed in first..first + count {
        let (scenario, env) = (play(seed), env());
        for crash in &scenario.crashes {
            if let Some(wrong) = judge(&scenario, crash, &env) {
                panic!("seed {seed}, {:?}, crash before step {} ({}): {wrong}", scenario.acts, crash.step, crash.op);
            }
        }
        println!("seed {seed}: {} crashes in {:?}", scenario.crashes.len(), scenario.acts);
    }
}

#[test]
fn the_same_seed_changes_disks_by_the_same_calls() {
    assert_eq!(play(1).digest, play(1).digest);
}
