//! The pool as its users see it: everyday life, damage, failing disks, crashes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod change;
mod coding;
mod crash;
mod damage;
mod departing;
mod disks;
mod failing;
mod life;
mod presence;
mod stalled;
