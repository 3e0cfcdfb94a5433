//! Disks that go and come while the pool is open: as if it had been opened again.

use std::sync::Arc;

use keepwell_storage::{Access, Change, Class, Departure, Disk, DiskState, MemoryDisk, Pool, PoolError, Spread};

use super::disks::{bytes, create, dynamic, layout, memory, name, open};

fn disk(disks: &[Arc<MemoryDisk>], n: usize) -> Arc<dyn Disk> {
    Arc::clone(&disks[n]) as Arc<dyn Disk>
}

fn state(pool: &Pool, disk: &str) -> DiskState {
    pool.health().disks.iter().find(|health| health.name == disk).unwrap().state
}

#[test]
fn one_that_went_is_not_held_and_what_it_missed_is_written_when_it_is_back() {
    let disks = memory(3);
    let pool = create(&disks, layout("2+1"));
    let (before, meanwhile) = (bytes(300_000, 1), bytes(300_000, 2));
    pool.put(Class::Pack, Spread::Layout, &before).unwrap();
    let stored = pool.stored_bytes().unwrap();
    assert!(pool.let_go("disk-2"));
    assert!(!pool.let_go("disk-2"), "it is let go of once");
    drop(disks[1].lock().expect("nobody holds it any more"));
    assert_eq!((state(&pool, "disk-2"), pool.health().degraded_objects), (DiskState::Missing, 1));
    assert!(pool.stored_bytes().unwrap() < stored);
    assert_eq!(pool.read_object(name(Class::Pack, &before)).unwrap().0, before);
    pool.put(Class::Pack, Spread::Layout, &meanwhile).unwrap();
    assert_eq!(pool.take_in(disk(&disks, 1)).unwrap(), DiskState::Present);
    assert!(pool.take_in(disk(&disks, 1)).is_err(), "it is held");
    assert_eq!(pool.unsettled(), [name(Class::Pack, &meanwhile)]);
    pool.repair_object(name(Class::Pack, &meanwhile)).unwrap();
    assert!(pool.health().is_whole());
    let health = pool.health();
    drop(pool);
    assert_eq!(open(&disks).health(), health, "nothing else than a new start would find");
}

#[test]
fn the_rest_of_a_write_is_finished_when_its_disk_is_back() {
    let disks = memory(2);
    let pool = create(&disks, layout("1+1"));
    let object = bytes(300_000, 3);
    pool.put(Class::Pack, Spread::Layout, &object).unwrap();
    pool.let_go("disk-2");
    let path = disks[1].paths().into_iter().find(|path| path.starts_with("packs/")).unwrap();
    let temporary = path.replace("packs/", "packs/.tmp-7-");
    disks[1].rename(&path, &temporary).unwrap();
    pool.take_in(disk(&disks, 1)).unwrap();
    assert!(disks[1].paths().contains(&path) && pool.health().is_whole());
}

#[test]
fn an_empty_disk_is_known_and_takes_over_only_when_told() {
    let disks = memory(4);
    let pool = create(&disks[..3], layout("2+1"));
    let object = bytes(300_000, 4);
    pool.put(Class::Pack, Spread::Layout, &object).unwrap();
    pool.let_go("disk-1");
    assert_eq!(pool.take_in(disk(&disks, 3)).unwrap(), DiskState::Empty);
    assert_eq!(state(&pool, "disk-1"), DiskState::Missing);
    pool.begin_change(&Change::Replace { old: "disk-1".into(), new: "disk-4".into() }, &[[9; 16]]).unwrap();
    pool.unsettled().into_iter().for_each(|name| drop(pool.repair_object(name).unwrap()));
    assert!(matches!(&pool.finish_drains().unwrap()[..], [Departure::Left { .. }]));
    assert!(pool.health().is_whole());
    assert_eq!(pool.take_in(disk(&disks, 0)).unwrap(), DiskState::Retired, "it has left for ever");
    assert!(pool.let_go("disk-1"));
    assert_eq!(pool.read_object(name(Class::Pack, &object)).unwrap().0, object);
}

#[test]
fn a_stranger_is_told_as_one() {
    let (disks, others) = (memory(2), memory(2));
    let pool = create(&disks[..1], layout("1+0"));
    drop(
        Pool::create(dynamic(&others), keepwell_storage::PoolIds { vault: [77; 16], disks: vec![[51; 16], [52; 16]] }, layout("1+1"))
            .unwrap(),
    );
    assert_eq!(pool.take_in(disk(&others, 0)).unwrap(), DiskState::WrongVault);
    assert!(pool.health().disks[0].state == DiskState::Present && !pool.let_go("disk-9"));
}

#[test]
fn one_that_knows_more_than_the_others_is_not_taken_in() {
    let disks = memory(3);
    drop(create(&disks[..2], layout("1+1")));
    let images: Vec<Arc<dyn Disk>> = vec![Arc::new(disks[0].image())];
    let pool = open(&disks);
    pool.begin_change(&Change::Add { disks: vec!["disk-3".into()], layout: None }, &[[9; 16]]).unwrap();
    drop(pool);
    // Of the time before the third one joined, and alone.
    let pool = Pool::open(images, Access::Write).unwrap();
    assert!(matches!(pool.take_in(disk(&disks, 1)), Err(PoolError::Refused(_))));
}
