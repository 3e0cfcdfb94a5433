//! Coverage-guided fuzzing of `shard_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::shard_header(data));
