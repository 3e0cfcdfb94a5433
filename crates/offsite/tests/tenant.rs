//! What a receiver takes, signs for, gives back and refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod site;

use keepwell_format::{PackSeq, VaultId};
use keepwell_offsite::{Put, Refused};
use keepwell_storage::{Damage, MemoryDisk, ObjectId};
use keepwell_wire::challenge::{Asked, Challenge};
use keepwell_wire::survey::Survey;
use keepwell_wire::{Branch, Class, Prefix, Receipt};
use site::{Source, at, create, id, memory, open, pack, sign, stored, terms};

const QUOTA: u64 = 1 << 30;

fn keepers() -> [u32; 4] {
    [24, 30, 8, 12]
}

#[test]
fn a_snapshot_is_signed_for_when_all_of_it_is_there() {
    let (disks, mut source) = (memory(3), Source::new());
    let mut tenant = create(&disks, terms(QUOTA, keepers()));
    let seqs = [source.pack(5000), source.pack(300_000), source.pack(100)];
    let manifest = source.snapshot(seqs);
    let reference = source.reference(&manifest);
    assert!(matches!(tenant.accept(&reference, at(5), sign), Err(Refused::NotHere)), "no manifest");
    let bytes = manifest.encode();
    assert!(stored(tenant.put(Class::Manifest, id(&bytes), &bytes, at(5))));
    let missing = tenant.accept(&reference, at(5), sign).unwrap_err();
    assert!(matches!(&missing, Refused::Missing(seqs) if *seqs == [PackSeq(1), PackSeq(2), PackSeq(3)]), "{missing:?}");

    let first = source.sends(&mut tenant, &manifest, at(10)).unwrap();
    assert_eq!((first.number, first.previous, first.packs, first.elapsed), (1, [0; 32], 3, 10));
    assert_eq!(first.kept_until, 10 + 90 * 86_400);
    assert_eq!(first.bytes, source.packs.values().map(|pack| pack.len() as u64).sum::<u64>());
    let again = tenant.accept(&reference, at(99), sign).unwrap();
    let (receipt, signature) = Receipt::decode(&again).unwrap();
    assert_eq!(receipt, first, "the same receipt, however often it is asked for");
    keepwell_crypt::verify(&site::receipt_key().verify_key(), &receipt.signed(), &signature).unwrap();

    let next = source.pack(700);
    let second = source.snapshot([2, next]);
    let receipt = source.sends(&mut tenant, &second, at(20)).unwrap();
    assert_eq!((receipt.number, receipt.previous), (2, id(&again)), "receipts hold each other");

    let known = source.packs[&2].clone();
    assert_eq!(tenant.put(Class::Pack, id(&known), &known, at(30)).unwrap(), Put::Known);
    drop(tenant);
    let mut tenant = open(&disks, terms(QUOTA, keepers()), at(40));
    assert_eq!(tenant.receipts(0, 10).len(), 2);
    assert_eq!(tenant.receipts(1, 10).len(), 1);
    for manifest in [&manifest, &second] {
        source.restores(&mut tenant, manifest).unwrap();
    }
}

#[test]
fn what_is_not_the_tenants_is_refused() {
    let mut source = Source::new();
    let mut tenant = create(&memory(2), terms(QUOTA, keepers()));
    let seq = source.pack(5000);
    let mine = source.packs[&seq].clone();
    assert!(stored(tenant.put(Class::Pack, id(&mine), &mine, at(0))));
    let mut put = |class, id: [u8; 32], bytes: &[u8]| tenant.put(class, id, bytes, at(0)).unwrap_err();

    let foreign = pack(VaultId([8; 16]), 2, 100);
    assert!(matches!(put(Class::Pack, id(&foreign), &foreign), Refused::OtherVault));
    let other = pack(site::VAULT, seq, 100);
    assert!(matches!(put(Class::Pack, id(&other), &other), Refused::SeqTaken(1)), "two packs with one number");
    assert!(matches!(put(Class::Pack, [9; 32], &other), Refused::OtherBytes(_)));
    assert!(matches!(put(Class::Pack, id(b"KWPACK"), b"KWPACK"), Refused::NotOne(_)));
    assert!(matches!(put(Class::Manifest, id(&mine), b"x"), Refused::OtherBytes(_)), "a pack's id as another class");

    let mut forged = source.signed(7, [seq].map(PackSeq).into_iter().collect());
    forged.sequence = 8;
    let bytes = forged.encode();
    assert!(matches!(put(Class::Manifest, id(&bytes), &bytes), Refused::Unsigned));
}

#[test]
fn over_the_quota_is_refused_and_removes_nothing() {
    let mut source = Source::new();
    let mut tenant = create(&memory(2), terms(30_000, keepers()));
    let first = source.pack(9000);
    let manifest = source.snapshot([first]);
    source.sends(&mut tenant, &manifest, at(0)).unwrap();
    let large = source.pack(15_000);
    let bytes = source.packs[&large].clone();
    let refused = tenant.put(Class::Pack, id(&bytes), &bytes, at(1)).unwrap_err();
    assert!(matches!(refused, Refused::Quota { quota: 30_000, used } if used == tenant.used()), "{refused:?}");
    assert_eq!(refused.code(), "quota");
    source.restores(&mut tenant, &manifest).unwrap();
}

#[test]
fn another_set_of_packs_than_the_source_means_is_told() {
    let mut source = Source::new();
    let mut tenant = create(&memory(2), terms(QUOTA, keepers()));
    let seqs = [source.pack(500), source.pack(600)];
    let manifest = source.snapshot(seqs);
    source.sends(&mut tenant, &manifest, at(0)).unwrap();
    // The source has lost a pack that the receiver has: what both call the same snapshot is not the same.
    let second = source.snapshot(seqs);
    source.packs.remove(&2);
    let bytes = second.encode();
    tenant.put(Class::Manifest, id(&bytes), &bytes, at(1)).unwrap();
    let refused = tenant.accept(&source.reference(&second), at(1), sign).unwrap_err();
    assert!(matches!(refused, Refused::OtherPacks), "{refused:?}");
}

#[test]
fn what_is_damaged_is_not_here_and_can_be_sent_again() {
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(QUOTA, keepers()));
    let seqs = [source.pack(400_000), source.pack(600)];
    let manifest = source.snapshot(seqs);
    source.sends(&mut tenant, &manifest, at(0)).unwrap();
    let pack = source.packs[&1].clone();
    let asked =
        Challenge { nonce: [3; 32], asked: vec![Asked { class: Class::Pack, id: id(&pack), length: pack.len() as u64, slice: 50 }] };
    assert_eq!(tenant.answer(&asked).unwrap().lost(&asked), []);

    for disk in &disks {
        let path = path_of(disk, &id(&pack));
        assert!(disk.damage(&path, Damage::FlipBit(8 * 250_000)));
    }
    assert_eq!(tenant.answer(&asked).unwrap().lost(&asked), asked.asked, "both copies are damaged: it can't prove it");
    let survey = Survey { class: Class::Pack, prefixes: vec![Prefix::ALL] };
    let Branch::Ids(here) = &tenant.survey(&survey)[0] else { panic!("few") };
    assert_eq!(here.len(), 1, "it is told as not here");
    assert!(stored(tenant.put(Class::Pack, id(&pack), &pack, at(9))));
    assert_eq!(tenant.answer(&asked).unwrap().lost(&asked), []);
    source.restores(&mut tenant, &manifest).unwrap();
    drop(tenant);
    source.restores(&mut open(&disks, terms(QUOTA, keepers()), at(10)), &manifest).unwrap();
}

fn path_of(disk: &MemoryDisk, id: &[u8; 32]) -> String {
    disk.paths().into_iter().find(|path| path.contains(&ObjectId(*id).to_string())).unwrap()
}
