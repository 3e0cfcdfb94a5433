//! Ledgers to try things on.

use std::path::{Path, PathBuf};

use keepwell_audit::{Draft, Event, Head, Ledger, Time, Value};

/// A record like those that a box writes.
pub(crate) fn draft(n: i64) -> Draft {
    Draft {
        at: Time { seconds: 1_795_300_000 + n, nanos: 5 },
        boot: [0xb0; 16],
        actor: "vaultd".into(),
        event: Event::ALL[n as usize % Event::ALL.len()],
        fields: vec![
            ("share".into(), Value::Text("01JD".into())),
            ("number".into(), Value::Number(n)),
            ("digest".into(), Value::Bytes(vec![n as u8; 8])),
        ],
    }
}

/// A ledger with so many records in one file, and its head after each.
pub(crate) fn filled(records: i64) -> (tempfile::TempDir, Vec<Head>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, opened) = Ledger::open(folder.path()).unwrap();
    let mut heads = vec![opened.head];
    heads.extend((1..=records).map(|n| ledger.append(&draft(n)).unwrap()));
    (folder, heads)
}

/// Where a file is.
pub(crate) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("ledger-{number:08}.kwl"))
}
