//! Coverage-guided fuzzing of `kit_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::kit_file(data));
