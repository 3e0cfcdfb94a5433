//! Coverage-guided fuzzing of `nfs_records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::nfs_records(data));
