//! Coverage-guided fuzzing of `ingest_frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::ingest_frames(data));
