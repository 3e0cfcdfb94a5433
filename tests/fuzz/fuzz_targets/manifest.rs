//! Coverage-guided fuzzing of `manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::manifest(data));
