//! Coverage-guided fuzzing of `smb_bodies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::smb_bodies(data));
