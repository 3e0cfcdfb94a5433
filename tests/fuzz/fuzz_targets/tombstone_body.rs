//! Coverage-guided fuzzing of `tombstone_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::tombstone_body(data));
