//! Disks that fail while they are written: at every call of a write, in each way.

use std::collections::BTreeMap;
use std::sync::Arc;

use keepwell_storage::{
    Class, Condition, DiskErrorKind, FaultyDisk, Layout, Machine, ObjectId, OpKind, Pool, PoolError, RepairOutcome, ShardName, Spread,
    encode_object,
};

use super::disks::{bytes, create, faulty, layout, name, open};

/// Writes two packs in one group.
fn write(pool: &Pool) -> Result<(), PoolError> {
    let staged = [1, 2].map(|seed| {
        let object = bytes(300_000, seed);
        pool.stage(encode_object(pool.plan(object.len()), pool.vault(), Class::Pack, object))
    });
    pool.commit(staged.into_iter().collect::<Result<_, _>>()?).map(drop)
}

/// Calls that one write makes on a fresh pool of this layout.
fn ops_of_a_write(layout: Layout) -> (u64, u64) {
    let machine = Machine::new();
    let pool = create(&faulty(&machine, layout.width().into()), layout);
    let start = machine.ops();
    write(&pool).unwrap();
    (start, machine.ops())
}

fn temps(disks: &[Arc<FaultyDisk>]) -> usize {
    disks.iter().flat_map(|d| d.paths()).filter(|p| p.contains(".tmp-")).count()
}

#[test]
fn a_disk_that_fails_at_any_call_costs_a_rewrite_and_nothing_else() {
    for layout in ["1+1", "2+1", "4+2"].map(layout) {
        let (start, end) = ops_of_a_write(layout);
        for number in start..end {
            let machine = Machine::new();
            let disks = faulty(&machine, layout.width().into());
            let pool = create(&disks, layout);
            machine.fail_at(number, DiskErrorKind::Io);
            write(&pool).unwrap();
            let failed = pool.health().disks.iter().filter(|d| d.failed.is_some()).count();
            assert_eq!(failed, 1, "{layout}, call {number}");
            drop(pool);
            let pool = open(&disks);
            assert_eq!(temps(&disks), 0);
            for seed in [1, 2] {
                let object = bytes(300_000, seed);
                let name = name(Class::Pack, &object);
                assert_eq!(pool.read_object(name).unwrap().0, object, "{layout}, call {number}");
                assert!(!pool.repair_object(name).unwrap().found.damaged.iter().any(|d| d.shard.path.is_empty()));
                assert_eq!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Whole, "{layout}, call {number}");
            }
            assert!(pool.health().is_whole());
        }
    }
}

#[test]
fn what_was_acknowledged_in_spite_of_a_failing_disk_can_lose_another_one() {
    for layout in ["2+1", "4+2"].map(layout) {
        let (start, end) = ops_of_a_write(layout);
        for number in start..end {
            let machine = Machine::new();
            let disks = faulty(&machine, layout.width().into());
            let pool = create(&disks, layout);
            machine.fail_at(number, DiskErrorKind::Io);
            write(&pool).unwrap();
            drop(pool);
            disks.iter().for_each(|disk| disk.power_cycle(number));
            for seed in [1, 2] {
                let shards = shards(&disks, ObjectId::of(&bytes(300_000, seed)));
                let spare = shards.iter().any(|(layout, count)| *count > usize::from(layout.k));
                assert!(spare, "{layout}, call {number}: only {shards:?}");
            }
        }
    }
}

#[test]
fn whole_copies_count_only_when_all_are_durable() {
    let small = bytes(1000, 1);
    for (class, copies) in [(Class::Manifest, 3), (Class::Slots, 5)] {
        let put = |fail: Option<u64>| {
            let machine = Machine::new();
            let disks = faulty(&machine, 6);
            let pool = create(&disks, layout("4+2"));
            let start = machine.ops();
            fail.into_iter().for_each(|number| machine.fail_at(number, DiskErrorKind::Io));
            pool.put(class, class.spread(), &small).unwrap();
            let calls = start..machine.ops();
            drop(pool);
            disks.iter().for_each(|disk| disk.power_cycle(calls.end));
            (calls, disks)
        };
        for number in put(None).0 {
            let path = |path: &String| path.starts_with(class.folder()) && !path.contains(".tmp-");
            let holding = put(Some(number)).1.iter().filter(|disk| disk.paths().iter().any(path)).count();
            assert!(holding >= copies, "{class:?}, call {number}: {holding} copies");
        }
    }
}

/// Shards of an object on all disks, by layout.
fn shards(disks: &[Arc<FaultyDisk>], object: ObjectId) -> BTreeMap<Layout, usize> {
    let mut shards = BTreeMap::new();
    for path in disks.iter().flat_map(|disk| disk.paths()) {
        if let Some(shard) = path.strip_prefix("packs/").and_then(ShardName::parse).filter(|s| s.object == object) {
            *shards.entry(shard.layout).or_default() += 1;
        }
    }
    shards
}

#[test]
fn a_disk_that_is_full_at_any_call_stops_the_write_and_nothing_is_left() {
    let (start, end) = ops_of_a_write(layout("2+1"));
    for number in start..end {
        let machine = Machine::new();
        let disks = faulty(&machine, 3);
        let pool = create(&disks, layout("2+1"));
        let before: Vec<_> = disks.iter().map(|d| d.live_image().contents()).collect();
        machine.keep_trace();
        machine.fail_at(number, DiskErrorKind::Full);
        let result = write(&pool);
        let call = machine.trace().into_iter().find(|line| line.starts_with(&format!("{number} "))).unwrap();
        if call.contains(&format!("{:?}", OpKind::Space)) {
            continue; // Asking for space does not run out of it; the disk counts as failed.
        }
        assert!(matches!(result, Err(PoolError::Full { .. })), "{call}: {result:?}");
        drop(pool);
        let pool = open(&disks);
        let published = ["Rename", "SyncFolder"].iter().any(|late| call.contains(late));
        if !published {
            assert!(disks.iter().map(|d| d.live_image().contents()).eq(before), "{call}");
        }
        for id in pool.objects(Class::Pack) {
            let name = keepwell_storage::ObjectName { class: Class::Pack, id };
            pool.read_object(name).unwrap_or_else(|e| panic!("half visible after {call}: {e}"));
        }
    }
}

#[test]
fn read_only_disks() {
    let machine = Machine::new();
    let disks = faulty(&machine, 3);
    let pool = create(&disks, layout("2+1"));
    pool.put(Class::Pack, Spread::Layout, &bytes(300_000, 9)).unwrap();
    disks[1].set_condition(Condition::ReadOnly);
    pool.put(Class::Pack, Spread::Layout, &bytes(300_000, 1)).unwrap();
    assert_eq!(pool.health().disks[1].failed.as_deref(), Some("read-only"));
    assert_eq!(pool.health().degraded_objects, 1);
    disks[0].set_condition(Condition::ReadOnly);
    let error = pool.put(Class::Pack, Spread::Layout, &bytes(300_000, 2)).unwrap_err().to_string();
    assert!(error.contains("only 1 of 3 disks take writes") && error.contains("disk-1 fails (read-only)"), "{error}");
    assert_eq!(pool.read_object(name(Class::Pack, &bytes(300_000, 9))).unwrap().0, bytes(300_000, 9));
}

#[test]
fn disks_that_vanish_and_return() {
    let machine = Machine::new();
    let disks = faulty(&machine, 3);
    let pool = create(&disks, layout("2+1"));
    let (one, two) = (bytes(300_000, 1), bytes(300_000, 2));
    pool.put(Class::Pack, Spread::Layout, &one).unwrap();
    disks[2].set_condition(Condition::Gone);
    assert_eq!(pool.read_object(name(Class::Pack, &one)).unwrap().0, one);
    assert_eq!(pool.read_range(name(Class::Pack, &one), 100, 200_000).unwrap(), one[100..200_100]);
    pool.put(Class::Pack, Spread::Layout, &two).unwrap();
    drop(pool);
    disks[2].set_condition(Condition::Healthy);
    disks[2].make_unreadable(&disks[2].paths().into_iter().find(|p| p.starts_with("packs/")).unwrap());
    let pool = open(&disks);
    for object in [&one, &two] {
        let name = name(Class::Pack, object);
        assert_eq!(&pool.read_object(name).unwrap().0, object);
        assert_eq!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Healed);
        assert_eq!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Whole);
    }
}
