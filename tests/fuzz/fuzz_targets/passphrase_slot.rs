//! Coverage-guided fuzzing of `passphrase_slot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::passphrase_slot(data));
