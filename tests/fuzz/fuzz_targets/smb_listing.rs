//! Coverage-guided fuzzing of `smb_listing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::smb_listing(data));
