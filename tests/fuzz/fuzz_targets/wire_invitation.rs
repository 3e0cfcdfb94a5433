//! Coverage-guided fuzzing of `wire_invitation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::wire_invitation(data));
