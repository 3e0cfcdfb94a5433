//! Coverage-guided fuzzing of `sealed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::sealed(data));
