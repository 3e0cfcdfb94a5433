//! Coverage-guided fuzzing of `wire_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::wire_message(data));
