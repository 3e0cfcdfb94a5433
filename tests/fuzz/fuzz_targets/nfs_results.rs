//! Coverage-guided fuzzing of `nfs_results`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::nfs_results(data));
