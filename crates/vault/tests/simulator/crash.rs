//! The power fails at every I/O step that changes a disk, in a run of backup, disk loss, repair, second backup, forgetting, and more of both until
//! there are 200 steps. After each crash, and the loss of as many more disks as the layout allows, with an index that is absent, older or current: every acknowledged snapshot comes
//! back identical, every snapshot that can be seen comes back at all, none that was forgotten is seen again, and the next run completes.
//! Besides, the process alone is killed at every such step, and the power fails after the next run.
//!
//! `KEEPWELL_SEEDS=N` says how many seeds (40 by default), `KEEPWELL_FIRST_SEED=N` where to begin; a seed gives the same run each time.

use std::sync::{Arc, Mutex, PoisonError};

use keepwell_storage::{Access, Disk, FaultyDisk, Layout, Machine, MemoryDisk, Op};
use keepwell_vault::{Env, MemoryIndex, NoProgress, VaultError};

use crate::journal::JournaledIndex;
use crate::promised::{Promised, forgettable};
use crate::random::Random;
use crate::salts::Salts;
use crate::tree::Tree;
use crate::world::{backup, difference, env, fresh, new_disk_id, open, open_images};

const LAYOUTS: [&str; 4] = ["2+1", "1+1", "1+0", "4+2"];

/// Steps of a scenario at least.
const STEPS: usize = 200;

/// What a crash at one step leaves, and what has been promised by then.
struct Crash {
    step: u64,
    op: String,
    images: Vec<MemoryDisk>,
    index: MemoryIndex,
    promised: Promised,
    /// Disks that may be lost on top.
    spare: usize,
}

/// What the hook shares with the scenario.
#[derive(Default)]
struct Promises {
    promised: Promised,
    spare: usize,
    crashes: Vec<Crash>,
}

/// One seed's run, with all its crashes.
struct Scenario {
    seed: u64,
    layout: Layout,
    /// What each snapshot holds, oldest first.
    trees: Vec<Tree>,
    crashes: Vec<Crash>,
    digest: [u8; 32],
}

/// Runs the scenario once, and takes an image of the disks before every step.
fn play(seed: u64) -> Scenario {
    let layout: Layout = LAYOUTS[(seed % LAYOUTS.len() as u64) as usize].parse().unwrap();
    let mut random = Random::new(seed);
    let machine = Machine::new();
    let blank = fresh(layout, usize::from(layout.width()));
    let mut disks: Vec<Arc<FaultyDisk>> = blank.iter().map(|image| Arc::new(FaultyDisk::from_image(&machine, image))).collect();
    let index = JournaledIndex::default();
    let shared = Arc::new(Mutex::new(Promises { spare: usize::from(layout.m), ..Promises::default() }));
    let (env, mut tree) = (env(), Tree::new(&mut random));
    let mut trees = vec![tree.clone()];

    watch(&machine, &disks, &index, &shared, seed);
    let vault = must(seed, &shared, open(dynamic(&disks), Access::Write, index.share(), &env));
    must(seed, &shared, backup(&vault, &tree));
    drop(vault);
    let state = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    state().promised.made = 1;

    if layout.m > 0 {
        let gone = random.below(disks.len() as u64) as usize;
        disks[gone] = Arc::new(FaultyDisk::new(&machine, format!("disk-{}", gone + 1)));
        state().spare = usize::from(layout.m) - 1;
        watch(&machine, &disks, &index, &shared, seed);
        let mut vault = must(seed, &shared, open(dynamic(&disks), Access::Write, index.share(), &env));
        let report = must(seed, &shared, vault.repair(&mut || new_disk_id(seed), &NoProgress));
        assert_eq!(report.remaining, Vec::<String>::new(), "seed {seed}, after a repair");
        drop(vault);
        state().spare = usize::from(layout.m);
    }

    while trees.len() < 2 || state().crashes.len() < STEPS {
        tree.change(&mut random);
        trees.push(tree.clone());
        let vault = must(seed, &shared, open(dynamic(&disks), Access::Write, index.share(), &env));
        must(seed, &shared, backup(&vault, &tree));
        state().promised.made += 1;
        if let Some(old) = forgettable(&vault, &mut random) {
            state().promised.forgetting = Some(old.sequence);
            let report = must(seed, &shared, vault.forget(&[old.id], "the simulator's", 7));
            assert_eq!(report.forgotten.len(), 1, "seed {seed}");
            let mut state = state();
            let promised = &mut state.promised;
            promised.forgotten.extend(promised.forgetting.take());
        }
    }
    let end = Op { number: machine.ops(), disk: String::new(), kind: keepwell_storage::OpKind::List, path: "the end".to_owned() };
    take(&disks, &index, &shared, seed, &end);
    machine.clear_hook();
    let crashes = std::mem::take(&mut state().crashes);
    Scenario { seed, layout, trees, crashes, digest: machine.digest() }
}

/// What has to work whenever no more disks are lost than the layout allows.
fn must<T>(seed: u64, shared: &Mutex<Promises>, result: Result<T, VaultError>) -> T {
    result.unwrap_or_else(|error| {
        let step = shared.lock().unwrap_or_else(PoisonError::into_inner).crashes.len();
        panic!("seed {seed}, after step {step}, without a crash: {error:?}")
    })
}

fn dynamic(disks: &[Arc<FaultyDisk>]) -> Vec<Arc<dyn Disk>> {
    disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Disk>).collect()
}

fn watch(machine: &Arc<Machine>, disks: &[Arc<FaultyDisk>], index: &JournaledIndex, shared: &Arc<Mutex<Promises>>, seed: u64) {
    let (disks, index, shared) = (disks.to_vec(), index.clone(), Arc::clone(shared));
    machine.set_hook(move |op| {
        if op.kind.changes() {
            take(&disks, &index, &shared, seed, op);
        }
    });
}

fn take(disks: &[Arc<FaultyDisk>], index: &JournaledIndex, shared: &Arc<Mutex<Promises>>, seed: u64, op: &Op) {
    let mut random = Random::new(seed ^ op.number.wrapping_mul(0x9e37_79b9));
    let luck = random.next();
    let images = disks.iter().map(|disk| disk.crash_image(luck)).collect();
    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let (promised, spare) = (state.promised.clone(), state.spare);
    let op = format!("{:?} {} {}", op.kind, op.disk, op.path);
    let step = state.crashes.len() as u64;
    state.crashes.push(Crash { step, op, images, index: index.after_crash(&mut random), promised, spare });
}

/// Opens what a crash left, and holds it against what was promised. Answers what is wrong.
fn judge(scenario: &Scenario, crash: &Crash, env: &Env, salts: &mut Salts) -> Option<String> {
    let mut random = Random::new(scenario.seed ^ (crash.step << 20));
    let mut disks: Vec<Arc<dyn Disk>> = crash.images.iter().map(|image| Arc::new(image.image()) as Arc<dyn Disk>).collect();
    for _ in 0..random.below(crash.spare as u64 + 1) {
        let gone = random.below(disks.len() as u64) as usize;
        disks[gone] = Arc::new(MemoryDisk::new(format!("disk-{}", gone + 1)));
    }
    let vault = match open(disks.clone(), Access::Write, Arc::new(crash.index.clone()), env) {
        Ok(vault) => vault,
        Err(error) => return Some(format!("the vault does not open: {error:?}")),
    };
    if let Some(wrong) = crash.promised.broken(&vault, &scenario.trees) {
        return Some(wrong);
    }
    let before = vault.snapshots().ok()?.last().map_or(0, |newest| newest.sequence);
    let tree = scenario.trees.get(crash.promised.made).or(scenario.trees.last())?;
    if let Err(error) = backup(&vault, tree) {
        return Some(format!("the next run fails: {error:?}"));
    }
    let newest = vault.snapshots().ok()?.pop()?;
    if newest.sequence != before + 1 || newest.sequence <= crash.promised.made as u64 {
        return Some(format!("the next run is snapshot {} after {before}", newest.sequence));
    }
    difference(&vault, &newest, tree).map(|wrong| format!("the next run: {wrong}")).or_else(|| salts.collect(&vault))
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn every_crash_keeps_every_promise() {
    let (first, count) = (setting("KEEPWELL_FIRST_SEED", 0), setting("KEEPWELL_SEEDS", 40));
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let steps: Vec<u64> = std::thread::scope(|scope| {
        let work = |thread: u64| move || (first..first + count).filter(|seed| seed % threads == thread).map(simulate).collect::<Vec<u64>>();
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(work(thread))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a seed failed; its panic is above")).collect()
    });
    let (least, sum) = (steps.iter().min().copied().unwrap_or(0), steps.iter().sum::<u64>());
    println!("{count} seeds from {first}, {sum} crashes, at least {least} steps a seed");
    assert!(least >= STEPS as u64, "a scenario has only {least} steps");
}

/// One seed: every crash of it. Answers the number of steps.
fn simulate(seed: u64) -> u64 {
    let (scenario, env) = (play(seed), env());
    let mut salts = Salts::default();
    for crash in &scenario.crashes {
        if let Some(wrong) = judge(&scenario, crash, &env, &mut salts) {
            let (layout, step, op) = (scenario.layout, crash.step, &crash.op);
            panic!("seed {seed} ({layout}), crash before step {step} ({op}): {wrong}");
        }
    }
    scenario.crashes.len() as u64
}

/// What the system still had to write when the process died is lost later, after another run has leaned on it.
#[test]
fn a_killed_run_and_then_no_power_keep_every_promise() {
    let (first, count) = (setting("KEEPWELL_FIRST_SEED", 0), setting("KEEPWELL_SEEDS", 40).div_ceil(5));
    for seed in first..first + count {
        for layout in ["1+0", "2+1"].map(|text| text.parse().unwrap()) {
            let steps = changes(seed, layout);
            for (number, op) in &steps {
                if let Some(wrong) = kill(seed, layout, *number) {
                    panic!("seed {seed} ({layout}), killed before step {number} ({op}): {wrong}");
                }
            }
            println!("seed {seed} ({layout}): {} kills", steps.len());
        }
    }
}

/// The calls of an undisturbed first run that change a disk.
fn changes(seed: u64, layout: Layout) -> Vec<(u64, String)> {
    let (machine, disks) = boot(layout);
    let (steps, env) = (Arc::new(Mutex::new(Vec::new())), env());
    let heard = Arc::clone(&steps);
    machine.set_hook(move |op| {
        if op.kind.changes() {
            let line = format!("{:?} {} {}", op.kind, op.disk, op.path);
            heard.lock().unwrap_or_else(PoisonError::into_inner).push((op.number, line));
        }
    });
    let vault = open(dynamic(&disks), Access::Write, Arc::new(MemoryIndex::default()), &env).unwrap();
    backup(&vault, &Tree::new(&mut Random::new(seed))).unwrap();
    machine.clear_hook();
    std::mem::take(&mut steps.lock().unwrap_or_else(PoisonError::into_inner))
}

fn boot(layout: Layout) -> (Arc<Machine>, Vec<Arc<FaultyDisk>>) {
    let machine = Machine::new();
    let blank = fresh(layout, usize::from(layout.width()));
    let disks = blank.iter().map(|image| Arc::new(FaultyDisk::from_image(&machine, image))).collect();
    (machine, disks)
}

/// A run is killed before call `number`, the next one completes, the power fails, and as many disks are lost as may be. Answers what is wrong.
fn kill(seed: u64, layout: Layout, number: u64) -> Option<String> {
    let (machine, disks) = boot(layout);
    let mut random = Random::new(seed ^ number << 20);
    let (index, env, mut tree) = (Arc::new(MemoryIndex::default()), env(), Tree::new(&mut Random::new(seed)));
    machine.crash_at(number);
    let killed = open(dynamic(&disks), Access::Write, Arc::clone(&index) as _, &env).and_then(|vault| backup(&vault, &tree));
    // The process is gone. The disks are not: what was written is in their caches.
    machine.restart();
    if killed.is_ok() || random.below(4) == 0 {
        tree.change(&mut random);
    }
    let index = if random.below(2) == 0 { index } else { Arc::default() };
    let next = open(dynamic(&disks), Access::Write, index, &env).and_then(|vault| backup(&vault, &tree));
    if let Err(error) = next {
        return Some(format!("the next run fails: {error:?}"));
    }
    (0..2).find_map(|_| {
        let luck = random.next();
        let mut left: Vec<MemoryDisk> = disks.iter().map(|disk| disk.crash_image(luck)).collect();
        for _ in 0..layout.m {
            let gone = random.below(left.len() as u64) as usize;
            left[gone] = MemoryDisk::new(format!("disk-{}", gone + 1));
        }
        let vault = match open_images(&left, Access::Read, &env) {
            Ok(vault) => vault,
            Err(error) => return Some(format!("the vault does not open: {error:?}")),
        };
        let newest = vault.snapshots().ok().and_then(|mut all| all.pop());
        newest.map_or(Some("no snapshot".to_owned()), |newest| difference(&vault, &newest, &tree))
    })
}

#[test]
fn the_same_seed_makes_the_same_calls() {
    for seed in 0..4 {
        assert_eq!(play(seed).digest, play(seed).digest, "seed {seed}");
    }
}
