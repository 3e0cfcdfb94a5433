//! Whoever has the source box fills no more than its room, and leaves numbers for the box that comes after it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod site;

use keepwell_format::keys::{KitPublic, Slot, SlotKind, Slots};
use keepwell_format::{Epoch, Gone, PackSeq, SeqRanges, SnapshotId, Tombstone};
use keepwell_offsite::{Put, Refused, Tenant, Terms, objects_for};
use keepwell_storage::{Damage, MemoryDisk, ObjectId};
use keepwell_wire::Class;
use keepwell_wire::challenge::{Asked, Challenge};
use site::{Source, VAULT, at, create, id, memory, open, pack, stored, terms};

fn put(tenant: &mut Tenant, class: Class, bytes: &[u8]) -> Result<Put, Refused> {
    tenant.put(class, id(bytes), bytes, at(0))
}

fn slots(source: &Source, revision: u32) -> Slots {
    let kit = KitPublic { set: 1, recipient: "age1somebody".into(), commitments: [[1; 32]; 3] };
    let slot = Slot { kind: SlotKind::Kit, payload: vec![1; 100] };
    Slots { vault: VAULT, epoch: Epoch(1), revision, test_vault: true, verify_key: source.verify_key(), kit, slots: vec![slot] }
}

fn tombstone(source: &Source, sequence: u64, packs: u64, gone: u64) -> Vec<u8> {
    let gone = vec![Gone { snapshot: SnapshotId([1; 32]), sequence: gone, previous: SnapshotId([0; 32]) }];
    let mut made = Tombstone { vault: VAULT, epoch: Epoch(1), sequence, received: 0, packs, gone, sealed: vec![1], signature: [0; 64] };
    made.signature = source.sign(&made.signed());
    made.encode()
}

fn on_disks(disks: &[std::sync::Arc<MemoryDisk>]) -> u64 {
    disks.iter().flat_map(|disk| disk.contents().into_values()).map(|file| (file.len() as u64).next_multiple_of(4096)).sum()
}

#[test]
fn no_number_leaves_none_for_the_next_box() {
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 30, [0; 4]));
    let first = source.pack(1000);
    let manifest = source.snapshot([first]);
    source.sends(&mut tenant, &manifest, at(0)).unwrap();
    let leap = |put: Result<Put, Refused>| matches!(put, Err(Refused::Leap { .. }));
    for restart in [false, true] {
        if restart {
            drop(tenant);
            tenant = open(&disks, terms(1 << 30, [0; 4]), at(0));
        }
        assert!(leap(put(&mut tenant, Class::Pack, &pack(VAULT, (1 << 63) - 1, 10))));
        assert!(leap(put(&mut tenant, Class::Manifest, &source.signed(u64::MAX, SeqRanges::new()).encode())));
        let all = SeqRanges::from_iter([PackSeq(first), PackSeq((1 << 63) - 1)]);
        assert!(leap(put(&mut tenant, Class::Manifest, &source.signed(2, all).encode())));
        for forged in [tombstone(&source, u64::MAX, 1, 1), tombstone(&source, 1, 1 << 63, 1), tombstone(&source, 1, 1, u64::MAX)] {
            assert!(leap(put(&mut tenant, Class::Tombstone, &forged)));
        }
    }
    // An honest box has gaps: packs that it removed before they were sent, snapshots that it forgot.
    assert!(stored(put(&mut tenant, Class::Pack, &pack(VAULT, 1_000_000_000, 10))));
    assert!(stored(put(&mut tenant, Class::Manifest, &source.signed(5_000_000, SeqRanges::new()).encode())));
    assert!(stored(put(&mut tenant, Class::Tombstone, &tombstone(&source, 7, 1_000_000_001, 5_000_000))));
}

#[test]
fn slots_of_another_box_are_not_kept() {
    let (disks, source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 30, [0; 4]));
    assert!(stored(put(&mut tenant, Class::Slots, &slots(&source, 1).encode())));
    let other = Slots { verify_key: [9; 32], ..slots(&source, 2) };
    assert!(matches!(put(&mut tenant, Class::Slots, &other.encode()), Err(Refused::Unsigned)));
}

#[test]
fn receipts_and_small_objects_take_room_too() {
    let (disks, mut source) = (memory(3), Source::new());
    let quota = 4 << 20;
    let mut tenant = create(&disks, terms(quota, [0; 4]));
    let first = source.pack(1000);
    let manifest = source.snapshot([first]);
    source.sends(&mut tenant, &manifest, at(0)).unwrap();
    // A record of a receipt names all slots of its moment: the more there are, the longer each is.
    let mut revision = 1;
    while put(&mut tenant, Class::Slots, &slots(&source, revision).encode()).is_ok() && tenant.used() < quota / 2 {
        revision += 1;
    }
    let mut refused = 0;
    for n in 2..3000 {
        let empty = source.signed(n, SeqRanges::new());
        refused += u32::from(matches!(source.sends(&mut tenant, &empty, at(n)), Err(Refused::Quota { .. })));
    }
    assert!(refused > 2000, "{refused}");
    assert!(tenant.used() <= quota);
    // Whole copies on each of three disks, with the headers of their files.
    let taken = on_disks(&disks);
    assert!(taken <= 3 * 2 * quota, "{taken}");
    let used = tenant.used();
    drop(tenant);
    let mut tenant = open(&disks, terms(quota, [0; 4]), at(0));
    assert_eq!(tenant.used(), used, "a start counts the same");

    // A tenant that is full to the last block is healed all the same.
    for n in 0..10_000 {
        let small = pack(VAULT, 100 + n, 10);
        if put(&mut tenant, Class::Pack, &small).is_err() {
            break;
        }
    }
    assert!(tenant.used() > quota - 8192);
    let lost = &source.packs[&first];
    for disk in &disks {
        let name = ObjectId(id(lost)).to_string();
        disk.paths().into_iter().filter(|path| path.contains(&name)).for_each(|path| assert!(disk.damage(&path, Damage::FlipBit(4000))));
    }
    let asked = Asked { class: Class::Pack, id: id(lost), length: lost.len() as u64, slice: 0 };
    let challenge = Challenge { nonce: [1; 32], asked: vec![asked] };
    assert_eq!(tenant.answer(&challenge).unwrap().lost(&challenge), [asked]);
    assert!(tenant.wants(Class::Pack, id(lost), lost.len() as u64).unwrap());
    assert!(stored(put(&mut tenant, Class::Pack, lost)));
    source.restores(&mut tenant, &manifest).unwrap();
}

#[test]
fn no_number_of_small_objects_fills_the_receivers_memory() {
    assert_eq!([objects_for(0), objects_for(2_000_000_000_000)], [131_072, 607_909]);
    let (disks, mut source) = (memory(2), Source::new());
    let few = || Terms { objects: 50, ..terms(1 << 30, [0; 4]) };
    let mut tenant = create(&disks, few());
    let first = source.pack(1000);
    let manifest = source.snapshot([first]);
    source.sends(&mut tenant, &manifest, at(0)).unwrap();
    let mut taken = (2..1000).filter(|n| put(&mut tenant, Class::Pack, &pack(VAULT, 100 + n, 10)).is_ok()).count();
    assert_eq!(taken, 50 - 3, "a pack, its manifest and the record of its receipt were there");
    for start in [false, true] {
        if start {
            drop(tenant);
            tenant = open(&disks, few(), at(0));
        }
        let more = pack(VAULT, 5000, 10);
        let refused = tenant.wants(Class::Pack, id(&more), more.len() as u64).unwrap_err();
        assert!(matches!(refused, Refused::TooMany { most: 50 }) && refused.code() == "quota", "before a byte of it is taken: {refused}");
        assert!(matches!(put(&mut tenant, Class::Pack, &more), Err(Refused::TooMany { .. })));
        source.restores(&mut tenant, &manifest).unwrap();
    }
    // One that was lost takes its own place again.
    let lost = &source.packs[&first];
    for disk in &disks {
        let name = ObjectId(id(lost)).to_string();
        disk.paths().into_iter().filter(|path| path.contains(&name)).for_each(|path| assert!(disk.damage(&path, Damage::FlipBit(4000))));
    }
    let asked = Asked { class: Class::Pack, id: id(lost), length: lost.len() as u64, slice: 0 };
    tenant.answer(&Challenge { nonce: [1; 32], asked: vec![asked] }).unwrap();
    taken = usize::from(stored(put(&mut tenant, Class::Pack, lost)));
    assert_eq!(taken, 1);
    source.restores(&mut tenant, &manifest).unwrap();
}
