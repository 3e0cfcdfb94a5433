//! Coverage-guided fuzzing of `manifest_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::manifest_body(data));
