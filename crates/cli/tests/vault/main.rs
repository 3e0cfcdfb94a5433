//! The command line as scripts see it: the real binary, its exit codes, its one JSON object. Knows nothing of what is inside a vault.

mod answers;
mod damage;
mod keys;
mod restoring;
mod roundtrip;
mod stage;
