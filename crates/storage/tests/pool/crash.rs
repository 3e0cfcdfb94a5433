//! The power fails at every call of a run of writes and a repair, with many seeds of what the media make of it.
//!
//! After each: the pool opens, what was acknowledged is read with m further disks gone, what was not is whole or not there.

use std::sync::{Arc, Mutex};

use keepwell_storage::{
    Access, Class, Damage, FaultyDisk, Layout, Machine, MemoryDisk, ObjectName, Pool, PoolError, RepairOutcome, Spread, encode_object,
};

use super::disks::{bytes, create, dynamic, faulty, layout, name, open};

/// Images at one moment: what was acknowledged by then (its number), and the disks.
struct Moment {
    call: String,
    acknowledged: usize,
    disks: Vec<MemoryDisk>,
}

fn object(number: usize) -> Vec<u8> {
    bytes(if number % 3 == 2 { 700 } else { 270_000 + number }, number as u8)
}

/// Writes six objects in groups and alone, then repairs all.
fn run(pool: &Pool, acknowledged: &Mutex<usize>) {
    for group in [0..3, 3..5] {
        let encode = |number| encode_object(pool.plan(object(number).len()), pool.vault(), Class::Pack, object(number));
        let staged = group.clone().map(|number| pool.stage(encode(number)).unwrap()).collect();
        pool.commit(staged).unwrap();
        *acknowledged.lock().unwrap() = group.end;
    }
    pool.put(Class::Pack, Spread::Layout, &object(5)).unwrap();
    *acknowledged.lock().unwrap() = 6;
    for id in pool.objects(Class::Pack) {
        pool.repair_object(ObjectName { class: Class::Pack, id }).unwrap();
    }
}

/// Runs once and takes `seeds` crash images before each call.
fn moments(layout: Layout, degraded: bool, seeds: u64) -> (Vec<Moment>, [u8; 32]) {
    let machine = Machine::new();
    let disks = faulty(&machine, layout.width().into());
    let mut pool = create(&disks, layout);
    if degraded {
        // Written without the first disk, repaired with it: the repair changes the layout of everything.
        drop(pool);
        let without = open(&disks[1..]);
        (0..2).for_each(|number| drop(without.put(Class::Pack, Spread::Layout, &object(number))));
        drop(without);
        pool = open(&disks);
    }
    let (taken, acknowledged) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(if degraded { 2 } else { 0 })));
    machine.set_hook({
        let (taken, acknowledged, disks) = (Arc::clone(&taken), Arc::clone(&acknowledged), disks.clone());
        move |op| {
            for seed in 0..if op.kind.changes() { seeds } else { 1 } {
                let disks = disks.iter().map(|d| d.crash_image(op.number * 1000 + seed)).collect();
                let call = format!("before {} {} {:?} {}, seed {seed}", op.number, op.disk, op.kind, op.path);
                taken.lock().unwrap().push(Moment { call, acknowledged: *acknowledged.lock().unwrap(), disks });
            }
        }
    });
    run(&pool, &acknowledged);
    machine.clear_hook();
    drop(pool);
    (std::mem::take(&mut *taken.lock().unwrap()), machine.digest())
}

fn check(layout: Layout, moment: &Moment) {
    let images: Vec<Arc<MemoryDisk>> = moment.disks.iter().map(|d| Arc::new(d.image())).collect();
    // Without m disks, read only: nothing has been settled yet.
    for gone in 0..images.len() {
        let left: Vec<_> =
            (0..images.len()).filter(|n| (n + gone) % images.len() >= layout.m.into()).map(|n| Arc::clone(&images[n])).collect();
        let pool = Pool::open(dynamic(&left), Access::Read).unwrap();
        for number in 0..moment.acknowledged {
            let name = name(Class::Pack, &object(number));
            let read = pool.read_object(name);
            assert!(read.is_ok_and(|(bytes, _)| bytes == object(number)), "{}: object {number} is lost without {gone}", moment.call);
        }
    }
    let pool = open(&images);
    for id in pool.objects(Class::Pack) {
        let name = ObjectName { class: Class::Pack, id };
        assert!(pool.read_object(name).is_ok(), "{}: {name} is half visible", moment.call);
        let outcome = pool.repair_object(name).unwrap().outcome;
        assert!(matches!(outcome, RepairOutcome::Whole | RepairOutcome::Healed), "{}: {name}: {outcome:?}", moment.call);
    }
    assert!(pool.health().is_whole(), "{}", moment.call);
    assert!(images.iter().all(|d| d.paths().iter().all(|p| !p.contains(".tmp-"))), "{}", moment.call);
}

#[test]
fn a_crash_at_any_call_loses_nothing_acknowledged_and_leaves_nothing_half_visible() {
    for (text, degraded, seeds) in [("2+1", false, 6), ("1+1", false, 3), ("2+1", true, 4), ("4+2", false, 1)] {
        let layout = layout(text);
        let (moments, _) = moments(layout, degraded, seeds);
        assert!(moments.len() > 100);
        moments.iter().for_each(|moment| check(layout, moment));
    }
}

#[test]
fn the_same_run_makes_the_same_calls() {
    let digests = [(); 2].map(|()| moments(layout("2+1"), true, 1).1);
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_crash_while_a_disk_is_adopted_loses_nothing() {
    let machine = Machine::new();
    let disks = faulty(&machine, 3);
    let pool = create(&disks, layout("2+1"));
    pool.put(Class::Pack, Spread::Layout, &object(0)).unwrap();
    drop(pool);
    let mut disks = disks;
    disks[0] = Arc::new(FaultyDisk::new(&machine, "disk-1"));
    let pool = open(&disks);
    let taken = Arc::new(Mutex::new(Vec::new()));
    machine.set_hook({
        let (taken, disks) = (Arc::clone(&taken), disks.clone());
        move |op| {
            for seed in 0..8 {
                let disks: Vec<_> = disks.iter().map(|d| Arc::new(d.crash_image(op.number * 1000 + seed))).collect();
                taken.lock().unwrap().push((format!("{op:?}"), disks));
            }
        }
    });
    assert_eq!(pool.adopt_empty_disks(&[[50; 16]]).unwrap().len(), 1);
    machine.clear_hook();
    for (call, images) in taken.lock().unwrap().iter() {
        let pool = open(images);
        pool.adopt_empty_disks(&[[51; 16]]).unwrap();
        let name = name(Class::Pack, &object(0));
        assert_ne!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Lost, "{call}");
        assert!(pool.health().is_whole(), "{call}: {:?}", pool.health());
    }
}

#[test]
fn after_a_power_cycle_the_machine_goes_on() {
    let machine = Machine::new();
    let disks = faulty(&machine, 3);
    let pool = create(&disks, layout("2+1"));
    pool.put(Class::Pack, Spread::Layout, &object(0)).unwrap();
    machine.crash_at(machine.ops() + 5);
    assert!(pool.put(Class::Pack, Spread::Layout, &object(1)).is_err());
    assert!(machine.has_crashed());
    assert!(Pool::open(dynamic(&disks), Access::Read).is_err());
    disks.iter().for_each(|disk| disk.power_cycle(1));
    machine.restart();
    let after = open(&disks);
    assert_eq!(after.read_object(name(Class::Pack, &object(0))).unwrap().0, object(0));
}

/// An object is put back that was damaged beyond parity, or is gone; the others are in nobody's way, and stay as they were.
fn putting_back(layout: Layout, damage: Damage) -> usize {
    let machine = Machine::new();
    let disks = faulty(&machine, layout.width().into());
    let pool = create(&disks, layout);
    (0..3).for_each(|number| {
        pool.put(Class::Pack, Spread::Layout, &object(number)).unwrap();
    });
    drop(pool);
    let lost = name(Class::Pack, &object(1));
    for disk in &disks[..usize::from(layout.m) + 1] {
        let path = disk.paths().into_iter().find(|path| path.contains(&lost.id.to_string())).unwrap();
        assert!(disk.damage(&path, damage));
    }
    let pool = open(&disks);
    let taken = Arc::new(Mutex::new(Vec::new()));
    machine.set_hook({
        let (taken, disks) = (Arc::clone(&taken), disks.clone());
        move |op| {
            let images: Vec<MemoryDisk> = disks.iter().map(|d| d.crash_image(op.number)).collect();
            taken.lock().unwrap().push((format!("{layout}, {damage:?}, before {} {:?} {}", op.number, op.kind, op.path), images));
        }
    });
    assert_eq!(pool.put_back(lost, &object(1)).unwrap(), RepairOutcome::Healed);
    machine.clear_hook();
    drop(pool);
    let mut moments = std::mem::take(&mut *taken.lock().unwrap());
    let count = moments.len();
    moments.push(("after it".into(), disks.iter().map(|d| d.crash_image(1)).collect()));
    for (number, (call, images)) in moments.iter().enumerate() {
        let images: Vec<Arc<MemoryDisk>> = images.iter().map(|d| Arc::new(d.image())).collect();
        let pool = open(&images);
        for other in [0, 2] {
            assert_eq!(pool.read_object(name(Class::Pack, &object(other))).unwrap().0, object(other), "{call}");
        }
        match pool.read_object(lost) {
            Ok((bytes, _)) => assert_eq!(bytes, object(1), "{call}"),
            // Whoever looks finds it lost still, unless nothing was left of it before.
            Err(PoolError::Lost { .. }) => assert!(number < count, "{call}"),
            Err(PoolError::NoObject(_)) => assert!(number < count && layout.k == 1 && damage == Damage::Delete, "{call}"),
            Err(other) => panic!("{call}: {other}"),
        }
        pool.put_back(lost, &object(1)).unwrap();
        pool.repair_object(lost).unwrap();
        assert!(pool.health().is_whole(), "{call}");
        assert!(images.iter().all(|d| d.paths().iter().all(|p| !p.contains(".tmp-"))), "{call}");
    }
    count
}

#[test]
fn a_crash_while_something_is_put_back_leaves_it_lost_or_whole() {
    for text in ["1+1", "2+1", "2+2"] {
        for damage in [Damage::FlipBit(20_000), Damage::Delete] {
            assert!(putting_back(layout(text), damage) > 10);
        }
    }
}
