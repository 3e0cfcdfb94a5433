//! What must not be given up while disks leave or are missing, and what is not worth writing while one is.

use std::sync::Arc;

use keepwell_storage::{
    Access, Change, Class, Condition, Departure, DirectoryDisk, Disk, DiskState, Machine, MemoryDisk, Narrowing, Pool, PoolError,
    RepairOutcome, Role, Spread,
};

use super::disks::{bytes, create, dynamic, faulty, layout, memory, name, open};

const NEW: [[u8; 16]; 2] = [[101; 16], [102; 16]];

fn replace(old: &str, new: &str) -> Change {
    Change::Replace { old: old.into(), new: new.into() }
}

fn remove(disk: &str) -> Change {
    Change::Remove { disk: disk.into() }
}

fn nowhere(name: &str) -> Arc<dyn Disk> {
    Arc::new(DirectoryDisk::new(name, "/nowhere"))
}

fn shards(disk: &MemoryDisk) -> usize {
    disk.paths().iter().filter(|path| path.contains('/')).count()
}

fn refused(result: Result<impl std::fmt::Debug, PoolError>) -> String {
    match result {
        Err(PoolError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_only_copy_does_not_leave_because_its_disk_hangs() {
    let disks = memory(2);
    let (moved, left) = (bytes(300_000, 1), bytes(300_000, 2));
    let pool = create(&disks[..1], layout("1+0"));
    [&moved, &left].iter().for_each(|object| assert!(pool.put(Class::Pack, Spread::Layout, object).is_ok()));
    drop(pool);
    let pool = open(&disks);
    pool.begin_change(&replace("disk-1", "disk-2"), &NEW[..1]).unwrap();
    pool.repair_object(name(Class::Pack, &moved)).unwrap();
    drop(pool);
    // It hangs at the next open: what was moved is all that is listed, and is whole.
    let pool = Pool::open(vec![nowhere("disk-1"), Arc::clone(&disks[1]) as Arc<dyn Disk>], Access::Write).unwrap();
    assert_eq!(pool.health().degraded_objects, 0);
    let departures = pool.finish_drains().unwrap();
    assert!(matches!(&departures[..], [Departure::Stays { .. }]), "{departures:?}");
    drop(pool);
    let pool = open(&disks);
    pool.unsettled().into_iter().for_each(|name| drop(pool.repair_object(name).unwrap()));
    assert!(matches!(&pool.finish_drains().unwrap()[..], [Departure::Left { .. }]));
    assert_eq!(pool.read_object(name(Class::Pack, &left)).unwrap().0, left);
}

#[test]
fn a_disk_with_single_copies_is_not_told_to_leave_before_they_are_doubled() {
    let disks = memory(3);
    let (early, alone) = (bytes(300_000, 1), bytes(300_000, 2));
    create(&disks[..2], layout("1+1")).put(Class::Pack, Spread::Layout, &early).unwrap();
    Pool::open(dynamic(&disks[..1]), Access::Write).unwrap().put(Class::Pack, Spread::Layout, &alone).unwrap();
    let pool = open(&disks);
    let why = refused(pool.begin_change(&replace("disk-1", "disk-3"), &NEW[..1]));
    assert!(why.contains("repair"), "{why}");
    pool.repair_object(name(Class::Pack, &alone)).unwrap();
    pool.begin_change(&replace("disk-1", "disk-3"), &NEW[..1]).unwrap();
    drop(pool);
    // Now it may vanish: the other copies are known.
    let there = [1, 2].map(|n| Arc::clone(&disks[n]) as Arc<dyn Disk>);
    let pool = Pool::open([vec![nowhere("disk-1")], there.to_vec()].concat(), Access::Write).unwrap();
    assert!(matches!(&pool.finish_drains().unwrap()[..], [Departure::Stays { .. }]));
    pool.unsettled().into_iter().for_each(|name| drop(pool.repair_object(name).unwrap()));
    assert!(matches!(&pool.finish_drains().unwrap()[..], [Departure::Left { .. }]));
    for object in [early, alone] {
        assert_eq!(pool.read_object(name(Class::Pack, &object)).unwrap().0, object);
    }
}

#[test]
fn more_missing_disks_than_the_layout_allows_are_waited_for() {
    let disks = memory(5);
    let pool = create(&disks[..4], layout("2+1"));
    (0..6).for_each(|n| assert!(pool.put(Class::Pack, Spread::Layout, &bytes(300_000, n)).is_ok()));
    drop(pool);
    open(&disks).begin_change(&remove("disk-1"), &[]).unwrap();
    let pool = Pool::open(dynamic(&disks[2..4]), Access::Write).unwrap();
    pool.unsettled().into_iter().for_each(|name| drop(pool.repair_object(name)));
    let departures = pool.finish_drains().unwrap();
    assert!(matches!(&departures[..], [Departure::Stays { .. }]), "{departures:?}");
}

#[test]
fn an_empty_disk_takes_no_place_whose_data_would_be_lost() {
    let mut disks = memory(3);
    let object = bytes(300_000, 1);
    let pool = create(&disks[..2], layout("1+0"));
    (0..8).for_each(|n| assert!(pool.put(Class::Pack, Spread::Layout, &bytes(300_000, n)).is_ok()));
    drop(pool);
    let lost = std::mem::replace(&mut disks[1], Arc::new(MemoryDisk::new("disk-2")));
    let pool = open(&disks[..2]);
    assert_eq!(pool.health().disks[1].state, DiskState::Empty);
    let why = refused(pool.adopt_empty_disks(&NEW[..1]));
    assert!(why.contains("would be lost"), "{why}");
    assert!(disks[1].paths().is_empty());
    drop(pool);
    disks[1] = lost;
    assert_eq!(open(&disks[..2]).read_object(name(Class::Pack, &object)).unwrap().0, object);
}

#[test]
fn while_a_disk_is_missing_only_what_gains_by_it_is_written() {
    for (text, urgent) in [("1+1", false), ("2+1", false), ("4+2", false), ("4+2", true)] {
        let disks = memory(layout(text).width().into());
        let object = bytes(600_000, 1);
        create(&disks, layout(text)).put(Class::Pack, Spread::Layout, &object).unwrap();
        let there = &disks[1..];
        if urgent {
            let shard = there[0].paths().into_iter().find(|path| path.starts_with("packs/")).unwrap();
            there[0].remove(&shard).unwrap();
        }
        let before: Vec<usize> = there.iter().map(|disk| shards(disk)).collect();
        let pool = Pool::open(dynamic(there), Access::Write).unwrap();
        let report = pool.repair_with(name(Class::Pack, &object), Narrowing::ToSave).unwrap();
        let after: Vec<usize> = there.iter().map(|disk| shards(disk)).collect();
        let gained = after.iter().sum::<usize>() - before.iter().sum::<usize>();
        assert_eq!((report.outcome, gained), (RepairOutcome::Degraded, usize::from(urgent)), "{text}");
        assert!(!pool.is_mendable(name(Class::Pack, &object), Narrowing::ToSave).unwrap(), "{text}");
        let report = pool.repair_object(name(Class::Pack, &object)).unwrap();
        assert_eq!(report.shards_written > 0, text != "1+1", "{text}: a second copy on the same disk is worth nothing");
        let again = pool.repair_object(name(Class::Pack, &object)).unwrap();
        assert_eq!(again.shards_written, 0, "{text}");
        assert_eq!(pool.read_object(name(Class::Pack, &object)).unwrap().0, object);
    }
}

#[test]
fn a_failing_disk_is_read_out_into_a_narrower_layout_when_another_one_is_missing() {
    let disks = memory(4);
    let object = bytes(600_000, 1);
    create(&disks[..3], layout("2+1")).put(Class::Pack, Spread::Layout, &object).unwrap();
    open(&disks).begin_change(&replace("disk-1", "disk-4"), &NEW[..1]).unwrap();
    let there = [0, 2, 3].map(|n| Arc::clone(&disks[n]));
    let pool = Pool::open(dynamic(&there), Access::Write).unwrap();
    assert!(pool.is_mendable(name(Class::Pack, &object), Narrowing::ToSave).unwrap());
    let report = pool.repair_with(name(Class::Pack, &object), Narrowing::ToSave).unwrap();
    assert!(report.shards_written > 0, "{report:?}");
    drop(pool);
    assert_eq!(Pool::open(dynamic(&disks[2..]), Access::Read).unwrap().read_object(name(Class::Pack, &object)).unwrap().0, object);
}

#[test]
fn a_replacement_that_is_a_member_already_is_refused() {
    let disks = memory(4);
    create(&disks[..3], layout("2+1")).put(Class::Pack, Spread::Layout, &bytes(300_000, 1)).unwrap();
    let pool = open(&disks);
    let why = refused(pool.begin_change(&replace("disk-1", "disk-2"), &NEW[..1]));
    assert!(why.contains("disk-2"), "{why}");
    pool.begin_change(&replace("disk-1", "disk-4"), &NEW[..1]).unwrap();
    assert!(pool.begin_change(&replace("disk-1", "disk-4"), &NEW[1..]).unwrap().is_done, "the same again is carried on");
}

#[test]
fn an_empty_disk_where_another_one_is_missing_replaces_the_one_that_is_named() {
    let mut disks = memory(4);
    create(&disks, layout("2+1")).put(Class::Pack, Spread::Layout, &bytes(300_000, 1)).unwrap();
    disks[1] = Arc::new(MemoryDisk::new("disk-2"));
    let pool = open(&disks);
    let plan = pool.begin_change(&replace("disk-1", "disk-2"), &NEW[..1]).unwrap();
    assert_eq!((plan.joining, plan.leaving[0].0.as_str()), (vec!["disk-2".to_owned()], "disk-1"));
    let health = pool.health();
    let role = |name: &str| health.disks.iter().find(|disk| disk.name == name && disk.state == DiskState::Present).map(|disk| disk.role);
    assert_eq!((role("disk-2"), role("disk-1")), (Some(Role::Active), Some(Role::Draining)));
}

#[test]
fn a_disk_that_can_not_tell_its_size_moves_nothing() {
    let machine = Machine::new();
    let disks = faulty(&machine, 4);
    let pool = create(&disks, layout("1+1"));
    (0..12).for_each(|n| assert!(pool.put(Class::Pack, Spread::Layout, &bytes(900, n)).is_ok()));
    assert!(pool.displaced().is_empty());
    disks[2].set_condition(Condition::Gone);
    assert!(pool.displaced().is_empty(), "{:?}", pool.displaced());
}
