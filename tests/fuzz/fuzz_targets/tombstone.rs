//! Coverage-guided fuzzing of `tombstone`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::tombstone(data));
