//! Coverage-guided fuzzing of `pack_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::pack_header(data));
