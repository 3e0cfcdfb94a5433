//! Coverage-guided fuzzing of `directory`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::directory(data));
