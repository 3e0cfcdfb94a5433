//! Coverage-guided fuzzing of `extent_page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::extent_page(data));
