//! Coverage-guided fuzzing of `signed_policies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::signed_policies(data));
