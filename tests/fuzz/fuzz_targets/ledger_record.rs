//! Coverage-guided fuzzing of `ledger_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwell_fuzz::ledger_record(data));
