//! Coverage-guided fuzzing of `smb_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::smb_frame(data));
