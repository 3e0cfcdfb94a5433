//! Coverage-guided fuzzing of `tpm_slot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::tpm_slot(data));
