//! The simulator: engine and pool on simulated disks with a clock of their own. A seed gives the same run each time.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod both_fail;
mod crash;
mod damage;
mod forgetting;
mod growing;
mod journal;
mod life;
mod month;
mod promised;
mod random;
mod regressions;
mod remote;
mod restoring;
mod resuming;
mod roundtrip;
mod salts;
mod second_site;
mod target;
mod tree;
mod world;
