//! Coverage-guided fuzzing of `box_label`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::box_label(data));
