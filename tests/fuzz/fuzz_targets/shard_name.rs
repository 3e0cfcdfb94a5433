//! Coverage-guided fuzzing of `shard_name`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::shard_name(data));
