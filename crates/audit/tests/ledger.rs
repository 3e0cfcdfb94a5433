//! A ledger's life: records added and read back, power cuts at every byte, broken files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ledgers;

use std::fs;

use keepwell_audit::{AuditError, Event, FaultKind, Head, Ledger, Value, read, verify};
use ledgers::{draft, filled, path};

#[test]
fn what_is_added_is_read_back_over_files_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mut heads = vec![Head::EMPTY];
    for round in 0..5 {
        let (ledger, opened) = Ledger::open(folder.path()).unwrap();
        assert_eq!((opened.head, opened.torn_bytes, opened.broken), (heads[heads.len() - 1], 0, None));
        let mut ledger = ledger.rotating_at(700);
        for n in 0..7 {
            heads.push(ledger.append(&draft(round * 7 + n)).unwrap());
        }
    }
    let records = read(folder.path(), 1, 1000).unwrap();
    assert_eq!(records.len(), 35);
    for (n, record) in records.iter().enumerate() {
        assert_eq!((record.seq, record.hash().unwrap()), (n as u64 + 1, heads[n + 1].hash));
        assert_eq!(record.field("number"), Some(&Value::Number(n as i64)));
    }
    assert_eq!(read(folder.path(), 20, 3).unwrap(), records[19..22]);
    assert_eq!(read(folder.path(), 36, 3).unwrap(), []);
    let verdict = verify(folder.path(), Some(heads[35])).unwrap();
    assert!(verdict.is_sound(), "{verdict:?}");
    assert!(verdict.files > 5 && verdict.records == 35 && verdict.head == heads[35]);
    // An older head is a part of it as well.
    assert!(verify(folder.path(), Some(heads[3])).unwrap().is_sound());
}

#[test]
fn only_one_writes() {
    let folder = tempfile::tempdir().unwrap();
    let held = Ledger::open(folder.path()).unwrap();
    assert!(matches!(Ledger::open(folder.path()), Err(AuditError::InUse(_))));
    drop(held);
    assert!(Ledger::open(folder.path()).is_ok());
}

#[test]
fn what_is_no_record_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, _) = Ledger::open(folder.path()).unwrap();
    let field = |name: &str, value| (name.to_owned(), value);
    let mut wrong = vec![draft(1); 6];
    wrong[0].at.nanos = 1_000_000_000;
    wrong[1].actor = "a".repeat(257);
    wrong[2].fields = vec![field("two words", Value::Number(1))];
    wrong[3].fields = vec![field("same", Value::Number(1)), field("same", Value::Number(1))];
    wrong[4].fields = vec![field("long", Value::Text("a".repeat((16 << 10) + 1)))];
    wrong[5].fields = (0..5).map(|n| field(&format!("long-{n}"), Value::Bytes(vec![0; 16 << 10]))).collect();
    for draft in wrong {
        assert!(matches!(ledger.append(&draft), Err(AuditError::Draft(_))), "{:?}", draft.fields.len());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(ledger.append(&draft(1)).unwrap().seq, 1);
}

/// The disk is full, say.
#[test]
fn a_record_that_can_not_be_written_is_not_there_and_the_next_one_may_be() {
    let (folder, heads) = filled(3);
    let (ledger, _) = Ledger::open(folder.path()).unwrap();
    let mut ledger = ledger.rotating_at(1);
    let obstacle = folder.path().join("ledger-00000002.new");
    fs::create_dir(&obstacle).unwrap();
    assert!(matches!(ledger.append(&draft(4)), Err(AuditError::Io { .. })));
    assert_eq!(ledger.head(), heads[3]);
    assert!(verify(folder.path(), Some(heads[3])).unwrap().is_sound());
    fs::remove_dir(obstacle).unwrap();
    let head = ledger.append(&draft(4)).unwrap();
    assert!(head.seq == 4 && verify(folder.path(), Some(head)).unwrap().is_sound());
}

/// Power cut between a new file and its first record.
#[test]
fn a_file_without_records_is_gone_on_with() {
    let (folder, heads) = filled(3);
    let mut ledger = Ledger::open(folder.path()).unwrap().0.rotating_at(1);
    ledger.append(&draft(4)).unwrap();
    drop(ledger);
    fs::OpenOptions::new().write(true).open(path(folder.path(), 2)).unwrap().set_len(139).unwrap();
    let (mut ledger, opened) = Ledger::open(folder.path()).unwrap();
    assert_eq!((opened.head, opened.torn_bytes, opened.broken), (heads[3], 0, None));
    let head = ledger.append(&draft(4)).unwrap();
    assert!(verify(folder.path(), Some(head)).unwrap().is_sound());
    assert_eq!(read(folder.path(), 3, 9).unwrap().len(), 2);
}

/// The power fails while record 4 is written: whatever of it is there, the first three are, and it is cut off.
#[test]
fn a_torn_end_is_cut_back_at_every_byte() {
    let (folder, heads) = filled(3);
    let file = path(folder.path(), 1);
    let three = fs::read(&file).unwrap();
    Ledger::open(folder.path()).unwrap().0.append(&draft(4)).unwrap();
    let four = fs::read(&file).unwrap();
    for length in three.len() + 1..four.len() {
        fs::write(&file, &four[..length]).unwrap();
        let torn = (length - three.len()) as u64;
        let verdict = verify(folder.path(), Some(heads[3])).unwrap();
        assert!(verdict.is_sound() && verdict.torn_bytes == torn, "{length}: {verdict:?}");
        let (mut ledger, opened) = Ledger::open(folder.path()).unwrap();
        assert_eq!((opened.head, opened.torn_bytes, opened.broken), (heads[3], torn, None), "{length}");
        assert_eq!(fs::read(&file).unwrap(), three);
        ledger.append(&draft(4)).unwrap();
        assert_eq!(fs::read(&file).unwrap(), four);
    }
}

/// The length reached the disk, the sectors did not.
#[test]
fn sectors_that_were_never_written_are_a_torn_end() {
    let (folder, heads) = filled(3);
    let file = path(folder.path(), 1);
    let three = fs::read(&file).unwrap();
    let mut long = draft(4);
    long.fields.push(("long".into(), Value::Bytes(vec![7; 2000])));
    Ledger::open(folder.path()).unwrap().0.append(&long).unwrap();
    let four = fs::read(&file).unwrap();
    let sectors: Vec<usize> = (three.len()..four.len()).filter(|at| *at == three.len() || at % 512 == 0).collect();
    assert!(sectors.len() > 3);
    for (n, start) in sectors.iter().enumerate() {
        let mut torn = four.clone();
        let end = sectors.get(n + 1).copied().unwrap_or(four.len());
        torn[*start..end].fill(0);
        fs::write(&file, &torn).unwrap();
        let (_, opened) = Ledger::open(folder.path()).unwrap();
        assert_eq!((opened.head, opened.broken), (heads[3], None), "{start}");
        assert_eq!(fs::read(&file).unwrap(), three);
    }
}

/// Whatever byte of whatever record changed, the file stays as it is, and the ledger goes on behind it.
#[test]
fn a_broken_file_is_left_alone_and_the_ledger_goes_on() {
    let (folder, _) = filled(5);
    let file = path(folder.path(), 1);
    let whole = fs::read(&file).unwrap();
    for at in (0..whole.len()).step_by(13) {
        let mut broken = whole.clone();
        broken[at] ^= 0x20;
        fs::write(&file, &broken).unwrap();
        let (mut ledger, opened) = Ledger::open(folder.path()).unwrap();
        let fault = opened.broken.unwrap_or_else(|| panic!("byte {at} is not noticed"));
        assert_eq!((fault.file, opened.torn_bytes), (1, 0));
        let head = ledger.append(&draft(77)).unwrap();
        assert_eq!(head.seq, opened.head.seq + 1);
        drop(ledger);
        assert_eq!(fs::read(&file).unwrap(), broken, "the broken file was changed");
        // It goes on in the new file from now on, and the break is known for ever.
        let (mut ledger, opened) = Ledger::open(folder.path()).unwrap();
        assert_eq!((opened.head, opened.broken), (head, None));
        let head = ledger.append(&draft(78)).unwrap();
        drop(ledger);
        let verdict = verify(folder.path(), Some(head)).unwrap();
        let first = verdict.faults.first().map(|found| (found.file, found.seq));
        assert_eq!(first, Some((1, fault.seq.max(1))), "{at}: {verdict:?}");
        assert!(verdict.faults.iter().all(|found| found.file == 1), "{verdict:?}");
        // Somebody tidies up the evidence.
        fs::write(&file, &whole).unwrap();
        let verdict = verify(folder.path(), Some(head)).unwrap();
        assert!(verdict.faults.iter().any(|found| found.kind == FaultKind::ChangedSince), "{verdict:?}");
        fs::remove_file(path(folder.path(), 2)).unwrap();
    }
}

#[test]
fn a_break_that_hides_records_is_a_fault() {
    let (folder, heads) = filled(3);
    let file = path(folder.path(), 1);
    let whole = fs::read(&file).unwrap();
    let mut junk = whole.clone();
    *junk.last_mut().unwrap() ^= 1;
    fs::write(&file, &junk).unwrap();
    let (mut ledger, _) = Ledger::open(folder.path()).unwrap();
    ledger.append(&draft(3)).unwrap();
    drop(ledger);
    // The damaged record and all of its traces are taken out of the first file; the second still names the break.
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let verdict = verify(folder.path(), Some(heads[3])).unwrap();
    assert!(verdict.faults.iter().any(|fault| fault.kind == FaultKind::ChangedSince), "{verdict:?}");
}

#[test]
fn a_later_version_is_reported_and_never_written_to() {
    let (folder, _) = filled(2);
    let file = path(folder.path(), 1);
    let mut bytes = fs::read(&file).unwrap();
    bytes[8] = 2;
    let hash = blake3::Hasher::new_derive_key("keepwell v1 ledger file").update(&bytes[..107]).finalize();
    bytes[107..139].copy_from_slice(hash.as_bytes());
    fs::write(&file, &bytes).unwrap();
    assert!(matches!(Ledger::open(folder.path()), Err(AuditError::Newer(_))));
    assert!(matches!(verify(folder.path(), None), Err(AuditError::Newer(_))));
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

/// docs/ledger.md, "Test vector".
#[test]
fn the_bytes_are_those_of_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, _) = Ledger::open(folder.path()).unwrap();
    let mut vector = draft(7);
    vector.event = Event::BackupRun;
    let head = ledger.append(&vector).unwrap();
    let hex: String = fs::read(path(folder.path(), 1)).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ledger.md")).unwrap();
    let text: String = document.split_whitespace().collect();
    assert!(text.contains(&hex), "{hex}");
    assert!(document.contains(&head.to_string()), "{head}");
}
