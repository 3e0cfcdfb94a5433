//! Coverage-guided fuzzing of `page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::page(data));
