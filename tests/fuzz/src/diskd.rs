//! Parsers of `keepwell-diskd`: what disks, and whoever had them before, say.

use keepwell_diskd::label::{LABEL_BYTES, Label};
use keepwell_diskd::smart::{Dated, Reading, assess};

/// smartctl's answer, and what is made of it. The disk wrote much of it.
pub fn smart(data: &[u8]) {
    let Ok(reading) = Reading::parse(data) else { return };
    let kept = serde_json::to_vec(&reading).expect("a reading is kept as JSON");
    assert_eq!(serde_json::from_slice::<Reading>(&kept).expect("what is kept is read"), reading);
    let texts = reading.model.iter().chain(&reading.serial);
    assert!(texts.into_iter().all(|text| text.len() <= 126 && !text.chars().any(char::is_control)));
    let then = Dated { at: 0, reading: reading.clone() };
    let health = assess(&Dated { at: 86_400, reading }, &[then]);
    assert!(health.reasons.iter().all(|reason| reason.weight <= health.verdict));
}

/// The label of a prepared disk.
pub fn box_label(data: &[u8]) {
    let Some(copy) = data.first_chunk::<LABEL_BYTES>() else { return };
    if let Ok(label) = Label::parse(copy) {
        assert_eq!(label.statement()[..], copy[..384]);
    }
}
