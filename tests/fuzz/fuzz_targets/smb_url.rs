//! Coverage-guided fuzzing of `smb_url`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::smb_url(data));
