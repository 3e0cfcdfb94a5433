//! Coverage-guided fuzzing of `kit_payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::kit_payload(data));
