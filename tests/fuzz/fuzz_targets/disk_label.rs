//! Coverage-guided fuzzing of `disk_label`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::disk_label(data));
