//! Coverage-guided fuzzing of `smb_session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::smb_session(data));
