//! Coverage-guided fuzzing of `keyring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::keyring(data));
