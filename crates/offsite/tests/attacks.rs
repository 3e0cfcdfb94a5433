//! Whoever has the source box, root and all its keys: what was signed for stays.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod site;

use keepwell_format::keys::{KitPublic, Slot, SlotKind, Slots};
use keepwell_format::{Epoch, Gone, Manifest, PackSeq, SeqRanges, SnapshotId, Tombstone};
use keepwell_offsite::{Elapsed, Put, Reading, Refused, Tenant};
use keepwell_wire::Class;
use keepwell_wire::snapshots::SnapshotRef;
use site::{Source, at, create, id, memory, open, pack, sign, terms};

const DAY: u64 = 86_400;

#[test]
fn thirty_days_of_root_on_the_source_take_nothing_that_was_signed_for() {
    let (disks, mut source) = (memory(3), Source::new());
    let quota = 6 << 20;
    let mut tenant = create(&disks, terms(quota, [24, 30, 8, 12]));
    let mut honest = Vec::new();
    for hour in 0..24 * 5 {
        let new = source.pack(3000);
        let manifest = source.snapshot([1, new]);
        source.sends(&mut tenant, &manifest, at(hour * 3600)).unwrap();
        honest.push(manifest);
    }
    let papers = slots(&source, "age1theclinics", 1);
    assert!(site::stored(tenant.put(Class::Slots, id(&papers), &papers, at(0))));
    let evil = 5 * DAY;

    replayed_and_buried(&mut source, &mut tenant, &honest, evil);
    // Post-dated and back-dated, with the numbers of others, empty, and needing all there is.
    for (n, received) in [i64::MAX, i64::MIN, 0, 4_000_000_000].into_iter().enumerate() {
        let mut forged = source.signed(u64::MAX - n as u64, SeqRanges::new());
        forged.received = received;
        forged.epoch = Epoch(u32::MAX);
        let forged = resigned(&source, forged);
        let _ = source.sends(&mut tenant, &forged, at(evil));
    }
    for n in 0..10_000 {
        let empty = source.signed(1_000_000 + n, SeqRanges::new());
        match source.sends(&mut tenant, &empty, at(evil + n)) {
            Ok(_) | Err(Refused::Quota { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    // Rubbish until nothing more is taken.
    let mut refused = 0;
    for n in 0..10_000 {
        let rubbish = pack(site::VAULT, 5_000_000 + n, 30_000);
        refused += u32::from(matches!(tenant.put(Class::Pack, id(&rubbish), &rubbish, at(evil + DAY)), Err(Refused::Quota { .. })));
        if refused > 3 {
            break;
        }
    }
    assert!(refused > 3, "the quota holds");
    assert!(tenant.used() <= quota);
    // A snapshot that names every number there can be: a question that must not take for ever.
    let endless = source.signed(9, SeqRanges::from_iter([PackSeq(0)]));
    let bytes = endless.encode();
    let _ = tenant.put(Class::Manifest, id(&bytes), &bytes, at(evil + DAY));

    // Every night of thirty days what is over is let go, and the box is started anew now and then.
    for day in 6..36 {
        tenant.expire(at(day * DAY)).unwrap();
        if day % 10 == 0 {
            drop(tenant);
            tenant = open(&disks, terms(quota, [24, 30, 8, 12]), at(day * DAY));
        }
    }
    for (hour, manifest) in honest.iter().enumerate() {
        source.restores(&mut tenant, manifest).unwrap_or_else(|why| panic!("hour {hour}: {why}"));
    }
    // What opens it all is there too, and whoever has its papers may speak for the box.
    assert_eq!(tenant.read(Class::Slots, id(&papers), 0, papers.len()).unwrap(), papers);
    assert!(tenant.knows_kit("age1theclinics"));
}

/// All that was sent is sent again, under later times and other numbers; junk key slots that are newer than any; tombstones for everything.
fn replayed_and_buried(source: &mut Source, tenant: &mut Tenant, honest: &[Manifest], now: u64) {
    let used = tenant.used();
    for (number, manifest) in honest.iter().enumerate() {
        let receipt = source.sends(tenant, manifest, at(now)).unwrap();
        assert_eq!((receipt.number, receipt.elapsed), (number as u64 + 1, number as u64 * 3600), "the receipt of then");
    }
    assert_eq!(tenant.used(), used, "nothing was new");
    for seq in 1..50 {
        let other = pack(site::VAULT, seq, 17);
        assert!(
            matches!(tenant.put(Class::Pack, id(&other), &other, at(now)), Err(Refused::SeqTaken(_))),
            "another pack with the number {seq}"
        );
    }
    for n in 0..100 {
        let junk = slots(source, &format!("age1junk{n}"), u32::MAX - n);
        assert!(site::stored(tenant.put(Class::Slots, id(&junk), &junk, at(now))));
    }
    let gone = |manifest: &Manifest| Gone {
        snapshot: SnapshotId(id(&manifest.encode())),
        sequence: manifest.sequence,
        previous: manifest.previous,
    };
    let mut all: Vec<Gone> = honest.iter().map(gone).collect();
    all.sort_by_key(|gone| gone.snapshot);
    let mut tombstone = Tombstone {
        vault: site::VAULT,
        epoch: Epoch(1),
        sequence: 1,
        received: i64::MAX,
        packs: 1_000_000,
        gone: all,
        sealed: vec![0; 60],
        signature: [0; 64],
    };
    tombstone.signature = source.sign(&tombstone.signed());
    let bytes = tombstone.encode();
    assert_eq!(tenant.put(Class::Tombstone, id(&bytes), &bytes, at(now)).unwrap(), Put::Stored, "it is kept, and forgets nothing");
}

fn slots(source: &Source, recipient: &str, revision: u32) -> Vec<u8> {
    let kit = KitPublic { set: 1, recipient: recipient.into(), commitments: [[0; 32]; 3] };
    let verify_key = source.verify_key();
    let slot = Slot { kind: SlotKind::Kit, payload: vec![1; 40] };
    let slots = Slots { vault: site::VAULT, epoch: Epoch(1), revision, test_vault: true, verify_key, kit, slots: vec![slot] };
    slots.encode()
}

fn resigned(source: &Source, manifest: Manifest) -> Manifest {
    let mut signed = source.signed(manifest.sequence, manifest.needs.clone());
    signed.received = manifest.received;
    signed.epoch = manifest.epoch;
    signed.signature = source.sign(&signed.signed());
    signed
}

#[test]
fn clocks_that_jump_and_starts_without_end_age_nothing() {
    let mut elapsed = Elapsed::from(Reading { boot: [0; 16], since_boot: 0 });
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 20, [0; 4]));
    let first = source.pack(1000);
    let manifest = source.snapshot([first]);
    source.sends(&mut tenant, &manifest, at(elapsed.total)).unwrap();
    let newer = source.snapshot([first]);
    source.sends(&mut tenant, &newer, at(elapsed.total)).unwrap();
    // A thousand starts of a minute each, with a board's clock that says ten years more each time.
    for start in 1..1000_u16 {
        let boot = std::array::from_fn(|n| start.to_le_bytes()[n % 2]);
        elapsed.advance(Reading { boot, since_boot: 0 });
        elapsed.advance(Reading { boot, since_boot: 60 });
        let mut now = at(elapsed.total);
        now.wall += i64::from(start) * 10 * 365 * 86_400;
        assert_eq!(tenant.expire(now).unwrap(), (0, 0));
    }
    assert_eq!(elapsed.total, 999 * 60);
    source.restores(&mut tenant, &manifest).unwrap();
}

#[test]
fn what_is_over_goes_and_its_room_comes_back() {
    let (disks, mut source) = (memory(3), Source::new());
    let mut tenant = create(&disks, terms(1 << 30, [0, 0, 0, 0]));
    let mut manifests = Vec::new();
    for day in 0..10 {
        let new = source.pack(20_000);
        let manifest = source.snapshot([new]);
        source.sends(&mut tenant, &manifest, at(day * DAY)).unwrap();
        manifests.push(manifest);
    }
    // A pack that was sent and never got a snapshot.
    let stray = source.pack(20_000);
    let bytes = source.packs[&stray].clone();
    tenant.put(Class::Pack, id(&bytes), &bytes, at(9 * DAY)).unwrap();
    let before = tenant.used();
    assert_eq!(tenant.expire(at(90 * DAY - 1)).unwrap(), (0, 0));
    assert_eq!(tenant.expire(at(94 * DAY)).unwrap(), (5, 5));
    assert!(tenant.used() < before);
    for (day, manifest) in manifests.iter().enumerate() {
        assert_eq!(source.restores(&mut tenant, manifest).is_ok(), day > 4, "day {day}");
    }
    assert_eq!(tenant.expire(at(500 * DAY)).unwrap(), (4, 5), "all but the newest, and the stray pack");
    source.restores(&mut tenant, &manifests[9]).unwrap();
    drop(tenant);
    let mut tenant = open(&disks, terms(1 << 30, [0; 4]), at(500 * DAY));
    source.restores(&mut tenant, &manifests[9]).unwrap();
    assert_eq!(tenant.receipts(0, 100).len(), 1);
    // The chain goes on where it was.
    let new = source.pack(100);
    let next = source.snapshot([new]);
    assert_eq!(source.sends(&mut tenant, &next, at(501 * DAY)).unwrap().number, 11);
}

#[test]
fn a_reference_to_what_was_never_sent_is_refused() {
    let source = Source::new();
    let mut tenant = create(&memory(2), terms(1 << 20, [0; 4]));
    let asked = SnapshotRef { manifest: SnapshotId([5; 32]), packs: [0; 32] };
    assert!(matches!(tenant.accept(&asked, at(0), sign), Err(Refused::NotHere)));
    drop(source);
}
