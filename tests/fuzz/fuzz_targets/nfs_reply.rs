//! Coverage-guided fuzzing of `nfs_reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::nfs_reply(data));
