//! Coverage-guided fuzzing of `codec`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::codec(data));
