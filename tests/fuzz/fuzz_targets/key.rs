//! Coverage-guided fuzzing of `key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::key(data));
