//! Coverage-guided fuzzing of `trailer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::trailer(data));
