//! Coverage-guided fuzzing of `passkey`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::passkey(data));
