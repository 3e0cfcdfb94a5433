//! Coverage-guided fuzzing of `smb_spnego`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::smb_spnego(data));
