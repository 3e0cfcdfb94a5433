//! Coverage-guided fuzzing of `smart`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::smart(data));
