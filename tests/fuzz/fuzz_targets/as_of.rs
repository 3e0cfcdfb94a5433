//! Coverage-guided fuzzing of `as_of`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::as_of(data));
