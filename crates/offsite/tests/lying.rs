//! A receiver that says it has what it has not: found within a day, and healed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod site;

use std::sync::Arc;

use keepwell_offsite::sampling::{FOUND, Known, sample, sample_size};
use keepwell_offsite::{Put, Tenant};
use keepwell_storage::{Damage, MemoryDisk, ObjectId};
use keepwell_wire::challenge::{Answer, Challenge, MAX_ASKED};
use keepwell_wire::{Class, Receipt, SliceProof};
use site::{Source, at, create, id, memory, open, terms};

const PACKS: u64 = 3000;

fn filled(disks: &[Arc<MemoryDisk>]) -> (Source, Vec<Known>) {
    let mut source = Source::new();
    let mut tenant = create(disks, terms(1 << 40, [24, 30, 8, 12]));
    let seqs: Vec<u64> = (0..PACKS).map(|n| source.pack(usize::try_from(n % 7).unwrap() * 3000 + 10)).collect();
    let manifest = source.snapshot(seqs);
    source.sends(&mut tenant, &manifest, at(0)).unwrap();
    let bytes = manifest.encode();
    let known = |class, bytes: &[u8]| Known { class, id: id(bytes), length: bytes.len() as u64 };
    let all = source.packs.values().map(|pack| known(Class::Pack, pack)).chain([known(Class::Manifest, &bytes)]).collect();
    (source, all)
}

/// A day of questions: what is lost, as the source sees it.
fn day(tenant: &mut Tenant, known: &[Known], seed: [u8; 32]) -> Vec<[u8; 32]> {
    let asked = sample(known, sample_size(FOUND.0, FOUND.1), seed);
    let challenges = asked.chunks(MAX_ASKED).map(|asked| Challenge { nonce: seed, asked: asked.to_vec() });
    challenges.flat_map(|challenge| tenant.answer(&challenge).unwrap().lost(&challenge)).map(|lost| lost.id).collect()
}

#[test]
fn a_thousandth_of_eight_terabytes_is_found_within_a_day() {
    let known: Vec<Known> =
        (0..130_000_u32).map(|n| Known { class: Class::Pack, id: *blake3::hash(&n.to_le_bytes()).as_bytes(), length: 64 << 20 }).collect();
    let found = (0..100_u8).filter(|seed| {
        // Which ones are gone is nothing the source could know: the first ones by id, moved by the seed.
        let dropped = |id: &[u8; 32]| u16::from_le_bytes([id[0] ^ seed, id[1]]) < 66;
        assert!((90..180).contains(&known.iter().filter(|one| dropped(&one.id)).count()), "about a thousandth");
        sample(&known, sample_size(FOUND.0, FOUND.1), [*seed; 32]).iter().any(|asked| dropped(&asked.id))
    });
    assert!(found.count() >= 99);
}

#[test]
fn what_was_dropped_is_found_within_a_day_and_healed() {
    let disks = memory(2);
    let (source, known) = filled(&disks);
    let mut found = 0;
    for seed in 0..10_u8 {
        let mut dropped = Vec::new();
        for n in 0..PACKS / 1000 {
            let victim = known[usize::from(blake3::hash(&[seed, n.to_le_bytes()[0]]).as_bytes()[0]) * 11];
            let name = ObjectId(victim.id).to_string();
            for disk in &disks {
                disk.paths().into_iter().filter(|path| path.contains(&name)).for_each(|path| assert!(disk.damage(&path, Damage::Delete)));
            }
            dropped.push(victim.id);
        }
        let mut tenant = open(&disks, terms(1 << 40, [24, 30, 8, 12]), at(1));
        let lost = day(&mut tenant, &known, [seed; 32]);
        assert!(lost.iter().all(|id| dropped.contains(id)), "nothing is called lost that is there");
        found += u32::from(!lost.is_empty());
        // What is found is sent again; what was not, for the next seed.
        for pack in source.packs.values().filter(|pack| dropped.contains(&id(pack))) {
            assert_eq!(tenant.put(Class::Pack, id(pack), pack, at(2)).unwrap(), Put::Stored);
        }
        assert_eq!(day(&mut tenant, &known, [seed ^ 0xff; 32]), [[0_u8; 32]; 0], "healed");
    }
    assert_eq!(found, 10);
}

#[test]
fn zeros_old_answers_and_other_slices_prove_nothing() {
    let disks = memory(2);
    let (source, known) = filled(&disks);
    let mut tenant = open(&disks, terms(1 << 40, [24, 30, 8, 12]), at(1));
    let today = Challenge { nonce: [1; 32], asked: sample(&known, 50, [1; 32]) };
    let tomorrow = Challenge { nonce: [2; 32], asked: sample(&known, 50, [2; 32]) };
    let honest = tenant.answer(&today).unwrap();
    assert_eq!(honest.lost(&today), []);

    let zeros = |proof: &Option<SliceProof>| proof.as_ref().map(|proof| SliceProof { slice: vec![0; proof.slice.len()], ..proof.clone() });
    let zeroed = Answer { proofs: honest.proofs.iter().map(zeros).collect(), ..honest.clone() };
    assert_eq!(zeroed.lost(&today), today.asked, "zeros of the right length");

    assert!(Answer::decode(&honest.encode(), &tomorrow).is_err(), "yesterday's answer");
    let kept = Answer { nonce: tomorrow.nonce, ..honest };
    let lost = kept.lost(&tomorrow).len();
    assert!(lost >= tomorrow.asked.len() - 2, "yesterday's proofs under today's nonce: {lost}");

    let short = Answer { nonce: today.nonce, proofs: Vec::new() };
    assert_eq!(short.lost(&today), today.asked, "silence");
    drop(source);
}

#[test]
fn an_older_state_is_found_and_healed() {
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 40, [24, 30, 8, 12]));
    let mut signed = Vec::new();
    for day in 0..20 {
        let new = [source.pack(9000), source.pack(40_000)];
        let manifest = source.snapshot(new);
        signed.push(source.sends(&mut tenant, &manifest, at(day * 86_400)).unwrap());
    }
    drop(tenant);
    // A machine that went back to what it had on the twelfth day, by mistake or not, and has its receipts all the same.
    let later: Vec<String> =
        signed[12..].iter().flat_map(|receipt| objects(&source, receipt)).map(|known| ObjectId(known.id).to_string()).collect();
    for disk in &disks {
        let gone = disk.paths().into_iter().filter(|path| later.iter().any(|id| path.contains(id)));
        gone.for_each(|path| assert!(disk.damage(&path, Damage::Delete)));
    }
    let mut tenant = open(&disks, terms(1 << 40, [24, 30, 8, 12]), at(21 * 86_400));
    let known: Vec<Known> = signed.iter().flat_map(|receipt| objects(&source, receipt)).collect();
    assert_eq!(day(&mut tenant, &known, [9; 32]).len(), later.len(), "each object of the last eight days");
    // It is sent again after the whole answer, and then all is proven.
    for receipt in &signed[12..] {
        let manifest = source.manifests[usize::try_from(receipt.sequence).unwrap() - 1].clone();
        assert_eq!(source.sends(&mut tenant, &manifest, at(21 * 86_400)).unwrap(), *receipt, "no second receipt");
    }
    assert_eq!(day(&mut tenant, &known, [10; 32]), [[0_u8; 32]; 0]);
}

/// What a receipt covers.
fn objects(source: &Source, receipt: &Receipt) -> Vec<Known> {
    let manifest = &source.manifests[usize::try_from(receipt.sequence).unwrap() - 1];
    let packs = source.refs(manifest).into_iter().map(|pack| Known { class: Class::Pack, id: pack.id.0, length: pack.length });
    let length = manifest.encode().len() as u64;
    packs.chain([Known { class: Class::Manifest, id: receipt.manifest.0, length }]).collect()
}

#[test]
fn what_a_read_finds_damaged_is_given_back_whole_and_whole_afterwards() {
    let disks = memory(3);
    let mut source = Source::new();
    let mut tenant = create(&disks, terms(1 << 40, [24, 30, 8, 12]));
    let new = [source.pack(400_000), source.pack(3000)];
    let manifest = source.snapshot(new);
    source.sends(&mut tenant, &manifest, at(0)).unwrap();
    for pack in new.iter().map(|seq| source.packs[seq].clone()) {
        let name = ObjectId(id(&pack)).to_string();
        for disk in &disks {
            let Some(path) = disk.paths().into_iter().find(|path| path.contains(&name)) else { continue };
            let before = disk.contents()[&path].clone();
            assert!(disk.damage(&path, Damage::FlipBit(8 * 1500)));
            // In parts, as it is asked for over a line that is cut.
            let half = pack.len() / 2;
            let mut read = tenant.read(Class::Pack, id(&pack), 0, half).unwrap();
            read.extend(tenant.read(Class::Pack, id(&pack), half as u64, pack.len() - half).unwrap());
            assert!(read == pack, "{path}: as it was sent");
            if disk.contents()[&path] != before {
                // The other ones were enough.
                assert!(disk.damage(&path, Damage::FlipBit(8 * 1500)));
            }
        }
    }
}
