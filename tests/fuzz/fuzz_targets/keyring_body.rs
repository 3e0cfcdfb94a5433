//! Coverage-guided fuzzing of `keyring_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::keyring_body(data));
