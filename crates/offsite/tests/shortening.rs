//! Promises are shortened by an order alone, seven days after it was taken, and of nothing that it does not name.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod site;

use std::collections::BTreeSet;

use keepwell_format::{Manifest, SnapshotId};
use keepwell_offsite::keeping::FLOOR_MIN;
use keepwell_offsite::{Elapsed, NoOrder, Ordered, Reading, Shortened, Tenant, WAIT};
use keepwell_wire::Receipt;
use keepwell_wire::shorten::{OrderId, Shorten, What};
use site::{RECEIVER, Source, VAULT, at, create, id, memory, open, terms};

const DAY: u64 = 86_400;
const KEEPERS: [u32; 4] = [24, 30, 8, 12];

fn head(tenant: &Tenant) -> [u8; 32] {
    id(&tenant.receipts(0, 10_000).pop().unwrap())
}

fn order(tenant: &Tenant, now: u64, what: What) -> Shorten {
    Shorten { id: OrderId([1; 16]), vault: VAULT, receiver: RECEIVER, head: head(tenant), expires: now + 14 * DAY, what }
}

fn snapshots<'a>(named: impl IntoIterator<Item = &'a Manifest>) -> What {
    let mut named: Vec<SnapshotId> = named.into_iter().map(|manifest| SnapshotId(id(&manifest.encode()))).collect();
    named.sort_by_key(|one| one.0);
    What::Snapshots(named)
}

fn take(tenant: &mut Tenant, order: &Shorten, now: u64) -> Shortened {
    let taken = Shortened { id: order.id, from: now + WAIT, what: tenant.look_at(order, at(now)).unwrap().0 };
    tenant.shorten(taken.clone());
    taken
}

fn numbers(tenant: &Tenant) -> BTreeSet<u64> {
    tenant.receipts(0, 10_000).iter().map(|bytes| Receipt::decode(bytes).unwrap().0.number).collect()
}

/// One snapshot a day, each with a pack of its own and one that all share.
fn daily(source: &mut Source, tenant: &mut Tenant, days: u64) -> Vec<Manifest> {
    let shared = source.pack(500);
    let mut send = |day: u64| {
        let own = source.pack(300);
        let manifest = source.snapshot([shared, own]);
        source.sends(tenant, &manifest, at(day * DAY)).unwrap();
        manifest
    };
    (0..days).map(&mut send).collect()
}

#[test]
fn it_counts_after_seven_days_that_really_went_by() {
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 30, KEEPERS));
    let made = daily(&mut source, &mut tenant, 10);
    let given = 9 * DAY + 100;
    let order = order(&tenant, given, snapshots(&made[2..5]));
    let taken = take(&mut tenant, &order, given);
    // The receiver's own reckoning: clocks jump, the box is off for years, and nothing is nearer.
    let mut elapsed = Elapsed { total: given, last: Reading { boot: [1; 16], since_boot: 50 } };
    for boot in 2..200 {
        elapsed.advance(Reading { boot: [boot; 16], since_boot: 60 });
        assert_eq!(tenant.expire(at(elapsed.total)).unwrap(), (0, 0));
    }
    elapsed.advance(Reading { boot: [200; 16], since_boot: WAIT - 198 * 60 - 1 });
    assert_eq!(elapsed.total, given + WAIT - 1);
    assert_eq!((tenant.expire(at(elapsed.total)).unwrap(), tenant.has_ordered(at(elapsed.total))), ((0, 0), false), "a second before");
    drop(tenant);
    let mut tenant = open(&disks, terms(1 << 30, KEEPERS), at(elapsed.total));
    tenant.shorten(taken.clone());
    elapsed.advance(Reading { boot: [200; 16], since_boot: WAIT - 198 * 60 });
    assert!(tenant.has_ordered(at(elapsed.total)));
    assert_eq!(tenant.expire(at(elapsed.total)).unwrap(), (3, 3), "three snapshots, and the packs that nobody else needs");
    assert!(!tenant.has_ordered(at(elapsed.total)));
    for (n, manifest) in made.iter().enumerate() {
        assert_eq!(source.restores(&mut tenant, manifest).is_ok(), !(2..5).contains(&n), "snapshot {n}");
    }
    // One of them comes again: it has a promise of its own, which the order does not know.
    let again = source.sends(&mut tenant, &made[3], at(elapsed.total + 5)).unwrap();
    assert_eq!((again.number, again.kept_until), (11, elapsed.total + 5 + FLOOR_MIN));
    source.sends(&mut tenant, &made[4], at(elapsed.total + 9)).unwrap();
    assert_eq!(tenant.expire(at(elapsed.total + 30 * DAY)).unwrap(), (0, 0));
    source.restores(&mut tenant, &made[3]).unwrap();
}

#[test]
fn a_cancelled_one_never_counts() {
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 30, KEEPERS));
    let made = daily(&mut source, &mut tenant, 5);
    let order = order(&tenant, 5 * DAY, snapshots(&made[..3]));
    take(&mut tenant, &order, 5 * DAY);
    tenant.keep_all_the_same(order.id);
    assert_eq!(tenant.expire(at(80 * DAY)).unwrap(), (0, 0));
    made.iter().for_each(|manifest| source.restores(&mut tenant, manifest).unwrap());
}

#[test]
fn a_shorter_floor_leaves_keepers_and_the_newest() {
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 30, KEEPERS));
    let made = daily(&mut source, &mut tenant, 80);
    let given = 80 * DAY;
    let order = order(&tenant, given, What::Floor(10 * DAY));
    let (what, over) = tenant.look_at(&order, at(given)).unwrap();
    assert_eq!((what, over.len()), (Ordered::Floor(10 * DAY), 78), "all that are older than ten days by then");
    take(&mut tenant, &order, given);
    assert_eq!(tenant.expire(at(given + WAIT - 1)).unwrap(), (0, 0));
    let before = source.sends(&mut tenant, &made[79], at(given + 1)).unwrap();
    assert_eq!(before.kept_until - before.elapsed, FLOOR_MIN, "until it counts, what is promised is as before");
    let now = given + WAIT;
    let (gone, _) = tenant.expire(at(now)).unwrap();
    let kept = numbers(&tenant);
    // Of days 57 to 86 the first of each, of eight weeks, of all months; and the last ten days.
    let expected: BTreeSet<u64> = (0..80_u64)
        .filter(|day| now - day * DAY < 10 * DAY || now / DAY - day < 30 || now / (7 * DAY) - day / 7 < 8 && day % 7 == 0 || day % 30 == 0)
        .map(|day| day + 1)
        .collect();
    assert_eq!((&kept, gone), (&expected, 80 - expected.len()));
    made.iter()
        .zip(1..)
        .filter(|(_, number)| kept.contains(number))
        .for_each(|(manifest, _)| source.restores(&mut tenant, manifest).unwrap());
    let own = source.pack(300);
    let next = source.snapshot([own]);
    let receipt = source.sends(&mut tenant, &next, at(now)).unwrap();
    assert_eq!(receipt.kept_until - receipt.elapsed, 10 * DAY);
    tenant.expire(at(now + 10_000 * DAY)).unwrap();
    assert_eq!(numbers(&tenant), BTreeSet::from([81]), "the newest never goes");
}

#[test]
fn the_newest_stays_even_if_it_is_named() {
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 30, KEEPERS));
    let made = daily(&mut source, &mut tenant, 3);
    let order = order(&tenant, 3 * DAY, snapshots(&made));
    take(&mut tenant, &order, 3 * DAY);
    let now = at(3 * DAY + WAIT);
    assert_eq!(tenant.expire(now).unwrap().0, 2);
    source.restores(&mut tenant, &made[2]).unwrap();
    assert!(!tenant.has_ordered(now));
    let own = source.pack(300);
    let next = source.snapshot([own]);
    source.sends(&mut tenant, &next, now).unwrap();
    assert_eq!(tenant.expire(now).unwrap().0, 1, "until there is a newer one");
    source.restores(&mut tenant, &next).unwrap();
}

#[test]
fn an_order_for_another_state_of_things_is_not_taken() {
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 30, KEEPERS));
    let made = daily(&mut source, &mut tenant, 4);
    let now = 4 * DAY;
    let good = order(&tenant, now, snapshots(&made[..2]));
    let own = source.pack(300);
    let later = source.snapshot([own]);
    source.sends(&mut tenant, &later, at(now)).unwrap();
    assert!(tenant.look_at(&good, at(now)).is_ok(), "what came since does not matter");
    let refused = |order: Shorten, now: u64| tenant.look_at(&order, at(now)).unwrap_err().code();
    assert_eq!(refused(good.clone(), good.expires), "order-over");
    assert_eq!(refused(Shorten { expires: now + 91 * DAY, ..good.clone() }, now), "order-over");
    assert_eq!(refused(Shorten { head: [0; 32], ..good.clone() }, now), "other-head");
    assert_eq!(refused(Shorten { what: snapshots([&later]), ..good.clone() }, now), "no-snapshot", "whoever made it did not know that one");
    assert_eq!(refused(Shorten { what: What::Snapshots(vec![SnapshotId([9; 32])]), ..good.clone() }, now), "no-snapshot");
    let floor = |floor| Shorten { what: What::Floor(floor), ..good.clone() };
    assert_eq!(refused(floor(FLOOR_MIN), now), "not-shorter");
    assert!(matches!(tenant.look_at(&floor(FLOOR_MIN + 1), at(now)), Err(NoOrder::NotShorter { floor: FLOOR_MIN })));
}

#[test]
fn an_ended_tenant_ages_out_by_its_promises_and_the_newest_too() {
    let (disks, mut source) = (memory(2), Source::new());
    let mut tenant = create(&disks, terms(1 << 30, [0, 0, 0, 12]));
    let made = daily(&mut source, &mut tenant, 5);
    tenant.end();
    let own = source.pack(300);
    let next = source.snapshot([own]);
    let refused = source.sends(&mut tenant, &next, at(5 * DAY)).unwrap_err();
    assert_eq!(refused.code(), "ended");
    assert_eq!(tenant.expire(at(90 * DAY - 1)).unwrap(), (0, 0));
    made.iter().for_each(|manifest| source.restores(&mut tenant, manifest).unwrap());
    // The keeper of the month outlives the others, and the newest.
    assert_eq!(tenant.expire(at(100 * DAY)).unwrap().0, 4);
    source.restores(&mut tenant, &made[0]).unwrap();
    assert!(!tenant.is_over());
    assert_eq!(tenant.expire(at(400 * DAY)).unwrap().0, 1);
    assert!(tenant.is_over());
}
