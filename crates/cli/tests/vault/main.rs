//! The command line as scripts see it: the real binary, its exit codes, its one JSON object. Knows nothing of what is inside a vault.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod damage;
mod disk;
mod keys;
mod restoring;
mod roundtrip;
mod stage;
