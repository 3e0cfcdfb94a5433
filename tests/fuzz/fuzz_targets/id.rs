//! Coverage-guided fuzzing of `id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::id(data));
