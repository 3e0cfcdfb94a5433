//! A year of a box, minute by minute: 50 shares of three tiers, servers that go away, a pool that fills, clocks that jump, power that fails, programs that are restarted.
//! Every promise is kept, or alarmed exactly once. A seed gives the same year each time: `KEEPWELL_SEEDS=N` chooses how many, `KEEPWELL_FIRST_SEED=N` from where.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod appliance;
mod chance;
mod judge;
mod people;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use appliance::Appliance;
use world::World;

const MINUTES: i64 = 365 * 24 * 60;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn every_promise_is_kept_or_alarmed_exactly_once() {
    let first = number("KEEPWELL_FIRST_SEED", 1);
    let seeds = number("KEEPWELL_SEEDS", 1);
    let next = AtomicU64::new(first);
    let failed = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            if catch_unwind(AssertUnwindSafe(|| year(seed))).is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
                println!("seed {seed} failed: KEEPWELL_FIRST_SEED={seed} KEEPWELL_SEEDS=1 repeats it");
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds as usize);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner();
    println!("years: {} passed, {failed} failed", seeds - failed);
    assert_eq!(failed, 0);
}

fn year(seed: u64) {
    let mut world = World::new(seed);
    let mut appliance = Appliance::new(&mut world);
    for _ in 0..MINUTES {
        world.minute();
        appliance.minute(&mut world);
    }
    appliance.at_the_end();
    println!("seed {seed}: {}", appliance.judge.counts);
}
