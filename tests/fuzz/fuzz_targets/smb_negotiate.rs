//! Coverage-guided fuzzing of `smb_negotiate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::smb_negotiate(data));
