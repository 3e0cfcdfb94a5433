//! Coverage-guided fuzzing of `ledger_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::ledger_file(data));
