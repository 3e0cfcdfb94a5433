//! Damage as a table: layout x what is missing x what is damaged x how. Up to m lost shards heal; more is lost and left as it is.

use std::sync::Arc;

use super::disks::{bytes, create, dynamic, layout, memory, name};
use keepwell_storage::{
    Access, Class, Damage, Disk, DiskState, HEADER_LEN, LABEL_FILE, Layout, MemoryDisk, ObjectName, Pool, PoolError, RepairOutcome,
    ScrubVerdict, Spread,
};

const PAYLOAD: u64 = HEADER_LEN as u64 * 8;
const KINDS: [Damage; 6] = [
    Damage::FlipBit(3),
    Damage::FlipBit(66 * 8),
    Damage::FlipBit(PAYLOAD + 12_345),
    Damage::Truncate(100),
    Damage::Truncate(HEADER_LEN as u64 + 63),
    Damage::Delete,
];

fn shard_on(disk: &MemoryDisk) -> String {
    disk.paths().into_iter().find(|path| path.starts_with("packs/")).unwrap()
}

#[test]
fn up_to_m_lost_shards_heal_and_more_are_left_alone() {
    for layout in Layout::OFFERED {
        for len in [0, 5000, 300_000] {
            for (kind, damage) in KINDS.into_iter().enumerate() {
                for lost in 0..=usize::from(layout.m) + 1 {
                    for first in 0..usize::from(layout.width()) {
                        one_case(
                            layout,
                            len,
                            damage,
                            lost,
                            first,
                            &format!("{layout}, {len} bytes, damage {kind}, {lost} lost from {first}"),
                        );
                    }
                }
            }
        }
    }
}

fn one_case(layout: Layout, len: usize, damage: Damage, lost: usize, first: usize, case: &str) {
    let object = bytes(len, 1);
    let name = name(Class::Pack, &object);
    let disks = memory(layout.width().into());
    create(&disks, layout).put(Class::Pack, Spread::Layout, &object).unwrap();
    let holders: Vec<&Arc<MemoryDisk>> = disks.iter().filter(|d| d.paths().iter().any(|p| p.starts_with("packs/"))).collect();
    let whole: Vec<_> = disks.iter().map(|d| d.contents()).collect();
    for n in 0..lost.min(holders.len()) {
        let disk = holders[(first + n) % holders.len()];
        assert!(disk.damage(&shard_on(disk), damage));
    }
    let before: Vec<_> = disks.iter().map(|d| d.contents()).collect();
    let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
    if !pool.contains(name) {
        assert!(damage == Damage::Delete && lost >= holders.len(), "{case}");
        comes_back(pool, &disks, name, &object, case);
        return;
    }
    if lost > layout.m.into() {
        let error = pool.read_object(name).unwrap_err();
        assert!(matches!(error, PoolError::Lost { .. }), "{case}: {error}");
        assert!(matches!(pool.scrub(name).unwrap().verdict, ScrubVerdict::Lost { .. }), "{case}");
        assert_eq!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Lost, "{case}");
        assert_eq!(pool.lost_objects(), [name], "{case}");
        assert!(matches!(pool.put_back(name, &bytes(len + 1, 2)), Err(PoolError::OtherBytes(_))), "{case}");
        assert!(disks.iter().map(|d| d.contents()).eq(before), "{case}: changed");
        comes_back(pool, &disks, name, &object, case);
        return;
    }
    assert_eq!(pool.read_object(name).unwrap().0, object, "{case}");
    let verdict = if lost == 0 { ScrubVerdict::Whole } else { ScrubVerdict::Degraded };
    assert_eq!(pool.scrub(name).unwrap().verdict, verdict, "{case}");
    let report = pool.repair_object(name).unwrap();
    assert_eq!(report.shards_written, lost, "{case}");
    assert!(disks.iter().map(|d| d.contents()).eq(whole), "{case}: not as before the damage");
    assert_eq!(pool.scrub(name).unwrap().verdict, ScrubVerdict::Whole, "{case}");
    assert_eq!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Whole, "{case}");
}

#[test]
fn ranges_are_computed_when_a_shard_is_gone() {
    let object = bytes(300_001, 1);
    let name = name(Class::Pack, &object);
    for layout in Layout::OFFERED.into_iter().filter(|l| l.m > 0) {
        for gone in 0..usize::from(layout.width()) {
            let disks = memory(layout.width().into());
            create(&disks, layout).put(Class::Pack, Spread::Layout, &object).unwrap();
            disks[gone].damage(&shard_on(&disks[gone]), Damage::Delete);
            let pool = Pool::open(dynamic(&disks), Access::Read).unwrap();
            for (offset, len) in [(0, 1), (63, 2), (64, 64), (1000, 200_000), (75_000, 1), (300_000, 1), (0, 300_001)] {
                assert_eq!(pool.read_range(name, offset as u64, len).unwrap(), &object[offset..offset + len], "{layout} {gone} {offset}");
            }
        }
    }
}

#[test]
fn an_emptied_disk_is_adopted_and_filled_again() {
    for layout in Layout::OFFERED.into_iter().filter(|l| l.m > 0) {
        let objects: Vec<Vec<u8>> = (0..6).map(|n| bytes(if n % 2 == 0 { 300_000 } else { 500 }, n)).collect();
        let disks = memory(layout.width().into());
        let pool = create(&disks, layout);
        for object in &objects {
            pool.put(Class::Pack, Spread::Layout, object).unwrap();
        }
        pool.put(Class::Keyring, Spread::Everywhere, b"keys").unwrap();
        drop(pool);
        let mut fresh = disks.clone();
        fresh[0] = Arc::new(MemoryDisk::new("disk-1"));
        let pool = Pool::open(dynamic(&fresh), Access::Write).unwrap();
        assert_eq!(pool.health().disks[0].state, DiskState::Empty);
        assert_eq!(pool.adopt_empty_disks(&[[99; 16]]).unwrap().len(), 1);
        for class in [Class::Pack, Class::Keyring] {
            for id in pool.objects(class) {
                let outcome = pool.repair_object(ObjectName { class, id }).unwrap().outcome;
                assert_ne!(outcome, RepairOutcome::Degraded, "{layout}");
            }
        }
        assert!(pool.health().is_whole(), "{layout}: {:?}", pool.health());
        drop(pool);
        // Another disk dies now; and the old disk does not come back into a place that is taken.
        let back: Vec<Arc<MemoryDisk>> = [&fresh[..fresh.len() - 1], &disks[..1]].concat();
        let pool = Pool::open(dynamic(&back), Access::Write).unwrap();
        assert_eq!(pool.health().disks.last().unwrap().state, DiskState::Replaced);
        objects.iter().for_each(|object| assert_eq!(&pool.read_object(name(Class::Pack, object)).unwrap().0, object));
    }
}

#[test]
fn a_disk_with_a_damaged_label_is_read_and_labelled_again() {
    for damage in [Damage::FlipBit(300), Damage::Truncate(5), Damage::Delete] {
        let disks = memory(3);
        let object = bytes(300_000, 1);
        create(&disks, layout("2+1")).put(Class::Pack, Spread::Layout, &object).unwrap();
        let whole: Vec<_> = disks.iter().map(|d| d.contents()).collect();
        disks[0].damage(LABEL_FILE, damage);
        disks[1].damage(LABEL_FILE, damage);
        let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
        assert_eq!(pool.read_object(name(Class::Pack, &object)).unwrap().0, object);
        assert!(matches!(pool.put(Class::Pack, Spread::Layout, b"x"), Err(PoolError::TooFewWritable { .. })));
        assert_eq!(pool.adopt_empty_disks(&[]).unwrap().len(), 2);
        assert!(disks.iter().map(|d| d.contents()).eq(whole));
        assert!(pool.health().is_whole());
        pool.put(Class::Pack, Spread::Layout, b"x").unwrap();
    }
}

#[test]
fn a_missing_disk_narrows_the_layout_and_repair_widens_it_again() {
    let cases = [("2+1", 1, "1-1"), ("4+2", 1, "3-2"), ("4+2", 2, "2-2"), ("1+1", 1, "1-0")];
    for (text, missing, ending) in cases {
        let layout = layout(text);
        let disks = memory(layout.width().into());
        drop(create(&disks, layout));
        let object = bytes(300_000, 1);
        let name = name(Class::Pack, &object);
        let pool = Pool::open(dynamic(&disks[missing..]), Access::Write).unwrap();
        pool.put(Class::Pack, Spread::Layout, &object).unwrap();
        assert!(disks[missing..].iter().all(|d| shard_on(d).ends_with(ending)), "{text} without {missing}");
        assert_eq!(pool.health().degraded_objects, 1);
        assert_eq!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Degraded);
        drop(pool);
        let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
        let report = pool.repair_object(name).unwrap();
        assert_eq!((report.outcome, report.shards_removed), (RepairOutcome::Healed, disks.len() - missing), "{text}");
        let full = format!("{}-{}", layout.k, layout.m);
        assert!(disks.iter().flat_map(|d| d.paths()).filter(|p| p.starts_with("packs/")).all(|p| p.ends_with(&full)));
        assert_eq!(pool.read_object(name).unwrap().0, object);
    }
}

#[test]
fn without_enough_disks_nothing_is_written() {
    let disks = memory(6);
    drop(create(&disks, layout("4+2")));
    let pool = Pool::open(dynamic(&disks[2..]), Access::Write).unwrap();
    pool.put(Class::Pack, Spread::Layout, &bytes(300_000, 1)).unwrap();
    drop(pool);
    let error = Pool::open(dynamic(&disks[3..]), Access::Write).unwrap_err().to_string();
    assert!(error.contains("only 3 of the vault's 6 disks can be read, and its layout 4+2 needs 4"), "{error}");
}

#[test]
fn shards_with_good_checksums_and_wrong_content_are_found_out() {
    let (one, other) = (bytes(300_000, 1), bytes(300_000, 2));
    let name = name(Class::Pack, &one);
    for swapped in 0..3 {
        let disks = memory(3);
        create(&disks, layout("2+1")).put(Class::Pack, Spread::Layout, &one).unwrap();
        let path = shard_on(&disks[swapped]);
        let mut header: [u8; HEADER_LEN] = disks[swapped].contents()[&path][..HEADER_LEN].try_into().unwrap();
        let payload = &other[..150_016];
        header[80..112].copy_from_slice(blake3::hash(payload).as_bytes());
        let hash = blake3::hash(&header[..128]);
        header[128..].copy_from_slice(hash.as_bytes());
        disks[swapped].write(&path, &[&header, payload]).unwrap();
        let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
        assert_eq!(pool.read_object(name).unwrap().0, one);
        if !path.ends_with(".2-2-1") {
            assert_eq!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Healed);
            assert_eq!(pool.scrub(name).unwrap().verdict, ScrubVerdict::Whole);
        }
    }
}

/// From bytes that another place kept.
fn comes_back(pool: Pool, disks: &[Arc<MemoryDisk>], name: ObjectName, object: &[u8], case: &str) {
    assert_eq!(pool.put_back(name, object).unwrap(), RepairOutcome::Healed, "{case}");
    assert_eq!(pool.lost_objects(), [], "{case}");
    drop(pool);
    let pool = Pool::open(dynamic(disks), Access::Write).unwrap();
    assert_eq!(pool.scrub(name).unwrap().verdict, ScrubVerdict::Whole, "{case}");
    assert_eq!(pool.read_object(name).unwrap().0, object, "{case}");
    assert_eq!(pool.put_back(name, object).unwrap(), RepairOutcome::Whole, "{case}");
}

#[test]
fn what_is_put_back_is_written_where_there_are_disks_for_it_and_refused_where_there_are_too_few() {
    let object = bytes(300_000, 1);
    let name = name(Class::Pack, &object);
    let disks = memory(3);
    create(&disks, layout("2+1")).put(Class::Pack, Spread::Layout, &object).unwrap();
    disks[2].damage(&shard_on(&disks[2]), Damage::FlipBit(PAYLOAD));
    let pool = Pool::open(dynamic(&disks[1..]), Access::Write).unwrap();
    assert_eq!(pool.put_back(name, &object).unwrap(), RepairOutcome::Degraded, "two whole copies");
    drop(pool);
    disks[1].damage(&shard_on(&disks[1]), Damage::Delete);
    let pool = Pool::open(dynamic(&disks[1..]), Access::Read).unwrap();
    assert_eq!(pool.read_object(name).unwrap().0, object);
    assert!(matches!(pool.put_back(name, &object), Err(PoolError::ReadAccess)));
    drop(pool);
    // The first disk returns with its old shard.
    let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
    assert!(matches!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Healed));
    drop(pool);
    for disk in &disks[1..] {
        disk.damage(&shard_on(disk), Damage::Truncate(7));
    }
    let full = Pool::open(dynamic(&disks), Access::Write).unwrap();
    let before: Vec<_> = disks.iter().map(|d| d.contents()).collect();
    disks.iter().for_each(|disk| disk.set_capacity(1000));
    assert!(matches!(full.put_back(name, &object), Err(PoolError::Full { .. })));
    assert!(disks.iter().map(|d| d.contents()).eq(before), "nothing was changed");
    disks.iter().for_each(|disk| disk.set_capacity(1 << 40));
    assert_eq!(full.put_back(name, &object).unwrap(), RepairOutcome::Healed);
}

#[test]
fn what_is_lost_is_set_aside_and_comes_back_with_its_disk() {
    let disks = memory(3);
    let object = bytes(300_000, 1);
    let name = name(Class::Pack, &object);
    create(&disks, layout("2+1")).put(Class::Pack, Spread::Layout, &object).unwrap();
    disks[2].damage(&shard_on(&disks[2]), Damage::FlipBit(PAYLOAD));
    let pool = Pool::open(dynamic(&disks[1..]), Access::Write).unwrap();
    assert!(matches!(pool.read_object(name), Err(PoolError::Lost { .. })));
    assert!(pool.set_aside(name).unwrap());
    assert!(!pool.contains(name));
    drop(pool);
    let pool = Pool::open(dynamic(&disks[1..]), Access::Write).unwrap();
    assert!(!pool.contains(name) && pool.foreign_files().is_empty());
    drop(pool);
    let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
    assert_eq!(pool.read_object(name).unwrap().0, object);
    assert!(!pool.set_aside(name).unwrap());
}

#[test]
fn what_is_wrong_where_the_object_is_not_costs_nothing() {
    let disks = memory(3);
    // The second data shard ends in zeros that are not the object's.
    let object = bytes(300_001, 1);
    let name = name(Class::Pack, &object);
    create(&disks, layout("2+1")).put(Class::Pack, Spread::Layout, &object).unwrap();
    let shard = |which: &str| disks.iter().find(|disk| shard_on(disk).ends_with(which)).unwrap();
    let (data, parity) = (shard(".1-2-1"), shard(".2-2-1"));
    let last = data.contents()[&shard_on(data)].len() as u64 * 8 - 1;
    assert!(data.damage(&shard_on(data), Damage::FlipBit(last)));
    assert!(parity.damage(&shard_on(parity), Damage::FlipBit(PAYLOAD)));
    let pool = Pool::open(dynamic(&disks), Access::Write).unwrap();
    assert_eq!(pool.read_object(name).unwrap().0, object);
    assert_eq!(pool.scrub(name).unwrap().verdict, ScrubVerdict::Degraded);
    assert_eq!(pool.repair_object(name).unwrap().outcome, RepairOutcome::Healed);
    assert_eq!(pool.scrub(name).unwrap().verdict, ScrubVerdict::Whole);
}
