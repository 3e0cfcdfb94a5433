//! Coverage-guided fuzzing of `slots`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::slots(data));
