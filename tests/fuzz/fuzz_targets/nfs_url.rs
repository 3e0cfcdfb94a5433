//! Coverage-guided fuzzing of `nfs_url`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::nfs_url(data));
