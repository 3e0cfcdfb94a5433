//! Disks that join, drain, leave and return: each operation to its end, with crashes at every call, and what is refused.

use std::sync::{Arc, Mutex};

use keepwell_storage::{
    Access, Change, Class, Condition, Departure, Disk, DiskState, FaultyDisk, LABEL_FILE, Label, Machine, MemoryDisk, ObjectName, Pool,
    PoolError, RepairOutcome, Role, Spread,
};

use super::disks::{bytes, create, dynamic, faulty, layout, memory, name, open};

const NEW: [[u8; 16]; 3] = [[101; 16], [102; 16], [103; 16]];

fn add(disks: &[&str], layout: Option<&str>) -> Change {
    Change::Add { disks: disks.iter().map(|d| (*d).to_owned()).collect(), layout: layout.map(super::disks::layout) }
}

fn replace(old: &str, new: &str) -> Change {
    Change::Replace { old: old.into(), new: new.into() }
}

fn remove(disk: &str) -> Change {
    Change::Remove { disk: disk.into() }
}

fn objects() -> Vec<(Class, Vec<u8>)> {
    let pack = |n: u8| (Class::Pack, bytes(if n % 3 == 2 { 700 } else { 262_144 + usize::from(n) }, n));
    (0..5).map(pack).chain([(Class::Keyring, bytes(99, 50)), (Class::Manifest, bytes(500, 51))]).collect()
}

fn fill(pool: &Pool) {
    for (class, object) in objects() {
        pool.put(class, class.spread(), &object).unwrap();
    }
}

/// A change to its end, as its caller does it: begin, repair what is not settled, let drained disks go, rebalance.
fn carry_out(pool: &Pool, change: &Change, ids: &[[u8; 16]]) -> Result<Vec<Departure>, PoolError> {
    pool.begin_change(change, ids)?;
    for name in pool.unsettled() {
        pool.repair_object(name)?;
    }
    let departures = pool.finish_drains()?;
    for name in pool.unsettled().into_iter().chain(pool.displaced()) {
        pool.repair_object(name)?;
        pool.rebalance_object(name)?;
    }
    Ok(departures)
}

fn all_there(pool: &Pool, case: &str) {
    for (class, object) in objects() {
        let read = pool.read_object(name(class, &object));
        assert!(read.as_ref().is_ok_and(|(bytes, _)| *bytes == object), "{case}: {:?}", read.err());
    }
}

fn label(disk: &MemoryDisk) -> Label {
    Label::parse(&disk.contents()[LABEL_FILE]).unwrap()
}

fn shards(disk: &MemoryDisk) -> usize {
    disk.paths().iter().filter(|path| path.contains('/')).count()
}

#[test]
fn a_pool_grows_and_new_disks_are_used() {
    let disks = memory(5);
    fill(&create(&disks[..2], layout("1+1")));
    let pool = open(&disks);
    assert_eq!(pool.health().disks[3].state, DiskState::Empty);
    assert!(pool.health().is_whole(), "an empty disk without a place is nobody's trouble");
    let plan = pool.check_change(&add(&["disk-3", "disk-4"], Some("2+2"))).unwrap();
    assert_eq!((plan.active_disks, plan.is_done), (4, false));
    assert!(shards(&disks[2]) == 0 && label(&disks[0]).generation == 1, "a check changes nothing");
    assert!(carry_out(&pool, &add(&["disk-3", "disk-4"], Some("2+2")), &NEW[..2]).unwrap().is_empty());
    assert!(pool.health().is_whole());
    let written = disks[..4].iter().flat_map(|d| d.paths()).filter(|p| p.ends_with("-2-2")).count();
    assert_eq!(written, 4 * 4, "each large object has a shard on each disk");
    assert!(disks[4].paths().is_empty());
    assert!(disks[..4].iter().all(|d| label(d).generation == 2 && label(d).layout == layout("2+2")));
    let again = pool.begin_change(&add(&["disk-3", "disk-4"], Some("2+2")), &[[99; 16]]).unwrap();
    assert!(again.is_done);
    drop(pool);
    let pool = Pool::open(dynamic(&disks[2..]), Access::Read).unwrap();
    all_there(&pool, "without both old disks");
}

#[test]
fn a_bigger_disk_gets_more_and_nothing_is_out_of_place_after() {
    let disks = memory(4);
    disks.iter().for_each(|disk| disk.set_capacity(1 << 30));
    disks[3].set_capacity(8 << 30);
    let pool = create(&disks[..3], layout("1+1"));
    for n in 0..40 {
        pool.put(Class::Pack, Spread::Layout, &bytes(900, n)).unwrap();
    }
    drop(pool);
    let pool = open(&disks);
    carry_out(&pool, &add(&["disk-4"], None), &NEW).unwrap();
    assert!(pool.displaced().is_empty() && pool.health().is_whole());
    let counts: Vec<usize> = disks.iter().map(|disk| shards(disk)).collect();
    assert_eq!(counts.iter().sum::<usize>(), 80);
    assert!(counts[3] >= 34 && counts[..3].iter().all(|count| *count < 25), "{counts:?}");
}

#[test]
fn a_good_disk_is_replaced_without_a_moment_of_less_redundancy_and_never_comes_back() {
    let disks = memory(4);
    fill(&create(&disks[..3], layout("2+1")));
    let pool = open(&disks);
    pool.begin_change(&replace("disk-2", "disk-4"), &NEW).unwrap();
    assert!(matches!(&pool.finish_drains().unwrap()[..], [Departure::Stays { disk, .. }] if disk == "disk-2"));
    pool.put(Class::Pack, Spread::Layout, &bytes(270_000, 77)).unwrap();
    let held = |object: &[u8]| disks[1].paths().iter().any(|path| path.contains(&name(Class::Pack, object).id.to_string()));
    assert!(!held(&bytes(270_000, 77)), "a draining disk takes no new shards");
    drop(pool);
    let pool = open(&disks);
    assert_eq!(pool.health().disks[1].role, Role::Draining, "a drain survives");
    assert!(!pool.health().is_whole());
    let left = carry_out(&pool, &replace("disk-2", "disk-4"), &[[99; 16]]).unwrap();
    assert_eq!(left, [Departure::Left { disk: "disk-2".into() }]);
    assert!(pool.health().is_whole());
    assert_eq!(shards(&disks[1]), 0);
    all_there(&pool, "after");
    drop(pool);
    let before = disks[1].contents();
    let pool = open(&disks);
    let stray = pool.health().disks.into_iter().find(|d| d.name == "disk-2").unwrap();
    assert_eq!((stray.slot, stray.state, stray.id), (None, DiskState::Retired, Some([2; 16])));
    assert!(matches!(pool.begin_change(&add(&["disk-2"], None), &[[98; 16]]), Err(PoolError::Refused(_))));
    pool.unsettled().into_iter().for_each(|name| drop(pool.repair_object(name).unwrap()));
    assert_eq!(disks[1].contents(), before, "it is never written");
    // Its place goes to the next disk.
    let mut fresh = disks.clone();
    fresh[1] = Arc::new(MemoryDisk::new("disk-2"));
    drop(pool);
    let pool = open(&fresh);
    carry_out(&pool, &add(&["disk-2"], None), &[[97; 16]]).unwrap();
    assert_eq!(label(&fresh[1]).members.len(), 4);
    assert!(pool.health().is_whole());
}

#[test]
fn a_disk_that_was_to_leave_can_stay_after_all() {
    let disks = memory(3);
    fill(&create(&disks, layout("1+1")));
    let pool = open(&disks);
    pool.begin_change(&remove("disk-2"), &[]).unwrap();
    assert!(!pool.health().is_whole());
    drop(pool);
    let pool = open(&disks);
    carry_out(&pool, &add(&["disk-2"], None), &NEW).unwrap();
    assert!(pool.health().is_whole());
    assert!(disks.iter().all(|disk| label(disk).generation == 3 && shards(disk) > 0));
}

#[test]
fn a_spare_disk_does_not_take_the_place_of_one_that_is_expected() {
    let disks = memory(5);
    fill(&create(&disks[..3], layout("2+1")));
    let pool = open(&[Arc::clone(&disks[0]), Arc::clone(&disks[1]), Arc::clone(&disks[2]), Arc::clone(&disks[4])]);
    carry_out(&pool, &replace("disk-2", "disk-5"), &NEW).unwrap();
    drop(pool);
    let mut given = dynamic(&disks);
    given[4] = Arc::new(keepwell_storage::DirectoryDisk::new("disk-5", "/nowhere"));
    let pool = Pool::open(given, Access::Write).unwrap();
    let health = pool.health();
    let of = |name: &str| health.disks.iter().find(|disk| disk.name == name).unwrap();
    assert_eq!((of("disk-5").state, of("disk-4").state, of("disk-4").slot), (DiskState::Missing, DiskState::Empty, None));
    assert_eq!(pool.empty_disks(), 0);
}

#[test]
fn labels_that_a_cut_change_left_behind_are_written_again() {
    let mut between = 0;
    for calls in (0..60).step_by(3) {
        let machine = Machine::new();
        let disks = faulty(&machine, 4);
        fill(&create(&disks[..3], layout("2+1")));
        let pool = open(&disks);
        machine.crash_at(machine.ops() + calls);
        let _ = carry_out(&pool, &replace("disk-2", "disk-4"), &NEW[..1]);
        drop(pool);
        machine.restart();
        disks.iter().for_each(|disk| disk.power_cycle(calls));
        let generations = || -> Vec<u64> {
            let labels = disks.iter().map(|disk| disk.live_image().contents().get(LABEL_FILE).map(|bytes| Label::parse(bytes).unwrap()));
            labels.map(|label| label.map_or(0, |label| label.generation)).collect()
        };
        between += usize::from(generations().contains(&1) && generations().contains(&2));
        let pool = open(&disks);
        pool.begin_change(&replace("disk-2", "disk-4"), &NEW[1..2]).unwrap();
        pool.finish_drains().unwrap();
        assert_eq!(generations(), [2; 4], "crash after {calls} calls");
    }
    assert!(between > 2);
}

#[test]
fn a_lost_disk_is_replaced_by_rebuilding_and_returns_to_a_taken_place() {
    for (text, lost) in [("2+1", 1), ("4+2", 2), ("1+1", 1)] {
        let width = usize::from(layout(text).width());
        let disks = memory(width + lost);
        fill(&create(&disks[..width], layout(text)));
        let there = &disks[lost..];
        let pool = open(there);
        for n in 0..lost {
            // Not all lost ones have a successor yet.
            let change = replace(&format!("disk-{}", n + 1), &format!("disk-{}", width + n + 1));
            let departures = carry_out(&pool, &change, &NEW[n..=n]).unwrap();
            let left = departures.iter().filter(|d| matches!(d, Departure::Left { .. })).count();
            assert_eq!(left, if n + 1 == lost { lost } else { 0 }, "{text}: {departures:?}");
        }
        assert!(pool.health().is_whole(), "{text}: {:?}", pool.health());
        drop(pool);
        let pool = open(&disks);
        let back = pool.health().disks.into_iter().filter(|d| d.state == DiskState::Retired).count();
        assert_eq!(back, lost, "{text}");
        drop(pool);
        let pool = Pool::open(dynamic(&there[..there.len() - usize::from(layout(text).m)]), Access::Read).unwrap();
        all_there(&pool, text);
    }
}

#[test]
fn an_empty_disk_in_the_place_of_a_lost_one_can_replace_it() {
    let mut disks = memory(3);
    fill(&create(&disks, layout("2+1")));
    let lost = std::mem::replace(&mut disks[1], Arc::new(MemoryDisk::new("disk-2")));
    let pool = open(&disks);
    pool.begin_change(&replace("disk-2", "disk-2"), &NEW).unwrap();
    drop(pool);
    // The lost one is found again before the new one is filled: both are of use.
    let pool = open(&[disks.clone(), vec![lost]].concat());
    all_there(&pool, "with both");
    let left = carry_out(&pool, &replace("disk-2", "disk-2"), &NEW[1..]);
    assert!(left.is_ok() || pool.finish_drains().is_ok());
    pool.unsettled().into_iter().for_each(|name| drop(pool.repair_object(name).unwrap()));
    pool.finish_drains().unwrap();
    assert!(pool.health().is_whole(), "{:?}", pool.health());
}

#[test]
fn what_would_lose_data_or_leave_too_few_disks_is_refused_and_changes_nothing() {
    type Case = (&'static str, &'static [usize], Change, &'static str);
    let table: [Case; 10] = [
        ("2+1", &[0, 1, 2], remove("disk-2"), "2 disks would be left"),
        ("2+1", &[0, 1, 2], remove("disk-9"), "is not known"),
        ("2+1", &[0, 1, 2], add(&["disk-9"], None), "no empty disk disk-9"),
        ("2+1", &[0, 1, 2, 3], add(&["disk-4"], Some("2+2")), ""),
        ("2+1", &[0, 1, 2, 3], add(&["disk-4"], Some("4+2")), "needs 6"),
        ("2+1", &[0, 1, 2, 3], add(&["disk-4"], Some("1+0")), "fewer disks may fail"),
        ("2+1", &[0, 1, 2, 3], add(&["disk-4", "disk-4"], None), "named twice"),
        ("2+1", &[1, 2, 3], remove("disk-1"), "2 disks would be left"),
        ("1+0", &[1, 3], replace("disk-1", "disk-4"), "would be lost"),
        ("2+1", &[1, 2, 3], add(&["disk-1"], None), "no empty disk"),
    ];
    for (text, there, change, message) in table {
        let disks = memory(4);
        fill(&create(&disks[..3], layout(text)));
        let given: Vec<_> = there.iter().map(|n| Arc::clone(&disks[*n])).collect();
        let before: Vec<_> = disks.iter().map(|d| d.contents()).collect();
        let pool = open(&given);
        // A missing member may stand where an empty disk was given.
        match pool.begin_change(&change, &NEW[..pool.joining_disks(&change)]) {
            Err(error) => {
                assert!(!message.is_empty() && error.to_string().contains(message), "{change:?}: {error}");
                assert!(disks.iter().map(|d| d.contents()).eq(before), "{change:?}");
            }
            Ok(plan) => assert!(message.is_empty() && !plan.is_done, "{change:?}"),
        }
    }
}

#[test]
fn what_has_no_room_elsewhere_is_not_drained() {
    let disks = memory(4);
    let pool = create(&disks, layout("2+1"));
    for n in 0..20 {
        pool.put(Class::Pack, Spread::Layout, &bytes(300_000, n)).unwrap();
    }
    for disk in &disks {
        let used: u64 = disk.contents().values().map(|bytes| bytes.len() as u64).sum();
        disk.set_capacity(used + 100_000);
    }
    let error = pool.begin_change(&remove("disk-1"), &[]).unwrap_err().to_string();
    assert!(error.contains("have to go to the other disks, which have room for"), "{error}");
}

#[test]
fn a_disk_that_takes_no_changes_can_still_leave() {
    let machine = Machine::new();
    let disks = faulty(&machine, 4);
    fill(&create(&disks[..3], layout("2+1")));
    disks[0].set_condition(Condition::ReadOnly);
    let pool = open(&disks);
    let left = carry_out(&pool, &replace("disk-1", "disk-4"), &NEW).unwrap();
    assert_eq!(left, [Departure::Left { disk: "disk-1".into() }]);
    drop(pool);
    disks[0].set_condition(Condition::Healthy);
    let pool = open(&disks);
    assert!(pool.health().is_whole(), "{:?}", pool.health());
    all_there(&pool, "without it");
    drop(pool);
    disks[0].set_condition(Condition::Gone);
    disks[1].set_condition(Condition::Gone);
    all_there(&open(&disks), "with one more lost");
}

#[test]
fn a_wrong_disk_that_was_pulled_needs_nothing_but_repair() {
    let disks = memory(3);
    fill(&create(&disks, layout("2+1")));
    let pool = open(&disks[..2]);
    pool.put(Class::Pack, Spread::Layout, &bytes(400_000, 90)).unwrap();
    drop(pool);
    let pool = open(&disks);
    assert!(pool.adopt_empty_disks(&[]).unwrap().is_empty());
    pool.unsettled().into_iter().for_each(|name| assert_eq!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Healed));
    assert!(pool.health().is_whole());
}

#[test]
fn a_disk_that_was_away_during_a_change_is_checked_and_labelled_again() {
    let disks = memory(4);
    fill(&create(&disks[..3], layout("2+1")));
    let without: Vec<_> = [0, 1, 3].map(|n| Arc::clone(&disks[n])).to_vec();
    let pool = open(&without);
    assert_eq!(pool.health().disks[2].state, DiskState::Empty, "the empty disk stands where the other is missing");
    drop(pool);
    let machine_order: Vec<Arc<dyn Disk>> = [Arc::clone(&disks[0]), Arc::clone(&disks[1])].map(|d| d as Arc<dyn Disk>).to_vec();
    let gone: Vec<Arc<dyn Disk>> =
        vec![Arc::new(keepwell_storage::DirectoryDisk::new("disk-3", "/nowhere")), Arc::clone(&disks[3]) as Arc<dyn Disk>];
    let pool = Pool::open([machine_order, gone].concat(), Access::Write).unwrap();
    carry_out(&pool, &add(&["disk-4"], None), &NEW).unwrap();
    drop(pool);
    assert_eq!([2, 3].map(|n| label(&disks[n]).generation), [1, 2]);
    let pool = open(&disks);
    pool.adopt_empty_disks(&[]).unwrap();
    assert_eq!(label(&disks[2]).generation, 2);
    pool.unsettled().into_iter().for_each(|name| drop(pool.repair_object(name).unwrap()));
    assert!(pool.health().is_whole());
}

/// Crash images before each call of one operation, taken by a hook.
fn crashes(disks: &[Arc<FaultyDisk>], machine: &Arc<Machine>, seeds: u64, run: impl FnOnce()) -> Vec<(String, Vec<MemoryDisk>)> {
    let taken = Arc::new(Mutex::new(Vec::new()));
    machine.set_hook({
        let (taken, disks) = (Arc::clone(&taken), disks.to_vec());
        move |op| {
            for seed in 0..if op.kind.changes() { seeds } else { 0 } {
                let images = disks.iter().map(|disk| disk.crash_image(op.number * 1000 + seed)).collect();
                taken.lock().unwrap().push((format!("before {op:?}, seed {seed}"), images));
            }
        }
    });
    run();
    machine.clear_hook();
    std::mem::take(&mut *taken.lock().unwrap())
}

#[test]
fn a_crash_at_any_call_of_a_change_loses_nothing_and_running_again_completes_it() {
    type Case = (&'static str, usize, &'static [usize], Change);
    let table: [Case; 5] = [
        ("1+1", 2, &[], add(&["disk-3"], Some("2+1"))),
        ("1+1", 3, &[], add(&["disk-4"], None)),
        ("2+1", 3, &[], replace("disk-2", "disk-4")),
        ("2+1", 3, &[1], replace("disk-2", "disk-4")),
        ("1+1", 3, &[], remove("disk-1")),
    ];
    for (text, members, lost, change) in table {
        let machine = Machine::new();
        let disks = faulty(&machine, 4);
        fill(&create(&disks[..members], layout(text)));
        lost.iter().for_each(|n| disks[*n].set_condition(Condition::Gone));
        let pool = open(&disks);
        let moments = crashes(&disks, &machine, 2, || drop(carry_out(&pool, &change, &NEW[..pool.joining_disks(&change)]).unwrap()));
        assert!(moments.len() > 50, "{change:?}: only {}", moments.len());
        drop(pool);
        for (call, images) in moments {
            let case = format!("{change:?}, {call}");
            let images: Vec<Arc<MemoryDisk>> = images.into_iter().map(Arc::new).collect();
            let spare = usize::from(layout(text).m) - lost.len();
            for gone in (0..4).filter(|gone| !lost.contains(gone)) {
                let here = |n: &usize| !lost.contains(n) && (spare == 0 || *n != gone);
                let left: Vec<_> = (0..4).filter(here).map(|n| Arc::new(images[n].image())).collect();
                all_there(&Pool::open(dynamic(&left), Access::Read).unwrap(), &format!("{case}, without {gone}"));
            }
            let left: Vec<_> = (0..4).filter(|n| !lost.contains(n)).map(|n| Arc::clone(&images[n])).collect();
            complete(&left, &change, &case);
        }
    }
}

/// Runs a change again as often as its caller would, and finds the pool whole.
fn complete(disks: &[Arc<MemoryDisk>], change: &Change, case: &str) {
    let pool = open(disks);
    pool.adopt_empty_disks(&[]).unwrap();
    let ids: Vec<[u8; 16]> = (0..pool.joining_disks(change)).map(|n| [110 + n as u8; 16]).collect();
    match carry_out(&pool, change, &ids) {
        Ok(_) => {}
        // It was complete but for its last label.
        Err(PoolError::Refused(why)) if why.contains("has left already") || why.contains("is not known") => {
            pool.unsettled().into_iter().for_each(|name| drop(pool.repair_object(name).unwrap()));
        }
        Err(error) => panic!("{case}: {error}"),
    }
    assert!(pool.health().is_whole(), "{case}: {:?}", pool.health());
    assert!(pool.unsettled().is_empty() && pool.displaced().is_empty(), "{case}");
    all_there(&pool, case);
}

#[test]
fn superseded_key_slots_go_when_newer_ones_are_on_every_disk() {
    let disks = memory(3);
    let pool = create(&disks, layout("2+1"));
    let (old, new) = (bytes(300, 1), bytes(300, 2));
    pool.put(Class::Slots, Spread::Everywhere, &old).unwrap();
    drop(pool);
    let pool = open(&disks[..2]);
    pool.put(Class::Slots, Spread::Everywhere, &new).unwrap();
    let names: [ObjectName; 2] = [&old, &new].map(|object| name(Class::Slots, object));
    assert!(pool.remove_superseded_slots(names[1], names[1]).is_err());
    assert!(pool.remove_superseded_slots(names[0], names[1]).unwrap());
    assert!(!pool.contains(names[0]));
    drop(pool);
    let pool = open(&disks);
    assert!(pool.contains(names[0]), "the disk that was away brings it back");
    assert!(!pool.remove_superseded_slots(names[0], names[1]).unwrap(), "the new one is not on every disk");
    pool.repair_object(names[1]).unwrap();
    assert!(pool.remove_superseded_slots(names[0], names[1]).unwrap());
    let left: Vec<String> = disks.iter().flat_map(|disk| disk.paths()).filter(|path| path.starts_with("slots/")).collect();
    assert!(left.len() == 3 && left.iter().all(|path| path.contains(&names[1].id.to_string())), "{left:?}");
}
