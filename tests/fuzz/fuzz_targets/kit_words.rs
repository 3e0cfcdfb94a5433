//! Coverage-guided fuzzing of `kit_words`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::kit_words(data));
