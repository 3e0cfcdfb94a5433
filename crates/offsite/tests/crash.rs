//! The power fails at every call of a receiver that takes, signs and lets go, with many seeds of what the media make of it. Every receipt that was handed out by then holds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod site;

use std::sync::{Arc, Mutex};

use keepwell_storage::{FaultyDisk, Machine, MemoryDisk};
use keepwell_wire::Receipt;
use site::{Source, at, create, open, sign, terms};

const DAY: u64 = 86_400;
const QUOTA: u64 = 1 << 30;
const KEEPERS: [u32; 4] = [0; 4];

/// What was promised at a moment, and until when; and the disks.
struct Moment {
    call: String,
    /// How far the receiver's time was.
    elapsed: u64,
    receipts: Vec<Receipt>,
    disks: Vec<MemoryDisk>,
}

#[test]
fn a_crash_at_any_call_breaks_no_promise() {
    let machine = Machine::new();
    let disks: Vec<Arc<FaultyDisk>> = (1..=3).map(|n| Arc::new(FaultyDisk::new(&machine, format!("disk-{n}")))).collect();
    let mut source = Source::new();
    let mut tenant = create(&disks, terms(QUOTA, KEEPERS));
    let promised = Arc::new(Mutex::new((0, Vec::<Receipt>::new())));
    let taken = Arc::new(Mutex::new(Vec::new()));
    machine.set_hook({
        let (taken, promised, disks) = (Arc::clone(&taken), Arc::clone(&promised), disks.clone());
        move |op| {
            let (elapsed, receipts) = promised.lock().unwrap().clone();
            for seed in 0..if op.kind.changes() { 3 } else { 1 } {
                let disks = disks.iter().map(|disk| disk.crash_image(op.number * 1000 + seed)).collect();
                let call = format!("before {} {} {:?} {}, seed {seed}", op.number, op.disk, op.kind, op.path);
                taken.lock().unwrap().push(Moment { call, elapsed, receipts: receipts.clone(), disks });
            }
        }
    });
    let mut manifests = Vec::new();
    for day in [0, 1, 95] {
        promised.lock().unwrap().0 = day * DAY;
        let new = [source.pack(500), source.pack(270_000)];
        let manifest = source.snapshot(new.into_iter().chain([1]));
        let receipt = source.sends(&mut tenant, &manifest, at(day * DAY)).unwrap();
        promised.lock().unwrap().1.push(receipt);
        manifests.push(manifest);
    }
    assert_eq!(tenant.expire(at(95 * DAY)).unwrap(), (2, 3), "the first two, and what they alone needed");
    machine.clear_hook();
    drop(tenant);

    let moments = std::mem::take(&mut *taken.lock().unwrap());
    assert!(moments.len() > 300, "{}", moments.len());
    for moment in &moments {
        let images: Vec<Arc<MemoryDisk>> = moment.disks.iter().map(|disk| Arc::new(disk.image())).collect();
        let mut tenant = open(&images, terms(QUOTA, KEEPERS), at(moment.elapsed));
        for receipt in moment.receipts.iter().filter(|receipt| receipt.kept_until > moment.elapsed) {
            let manifest = &manifests[usize::try_from(receipt.number).unwrap() - 1];
            source.restores(&mut tenant, manifest).unwrap_or_else(|why| panic!("{}: receipt {}: {why}", moment.call, receipt.number));
            let known = tenant.receipts(receipt.number - 1, 1);
            assert_eq!(Receipt::decode(&known[0]).unwrap().0, *receipt, "{}", moment.call);
        }
        // And it goes on: the source sends what it has no receipt for.
        for (n, manifest) in manifests.iter().enumerate().skip(moment.receipts.len()) {
            let receipt =
                source.sends(&mut tenant, manifest, at(moment.elapsed)).unwrap_or_else(|why| panic!("{}: {n}: {why}", moment.call));
            assert_eq!(receipt.number, n as u64 + 1, "{}", moment.call);
        }
        let _ = tenant.accept(&source.reference(&manifests[2]), at(moment.elapsed), sign).unwrap();
    }
}
