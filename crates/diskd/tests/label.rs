//! The label's bytes: each field, each bit.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use keepwell_api::disks::Serial;
use keepwell_diskd::identity::{Identity, Statement};
use keepwell_diskd::label::{DiskId, LABEL_BYTES, Label, LabelError};
use support::TestBox;

fn label(of: &TestBox) -> Label {
    Label {
        disk: DiskId([1; 16]),
        file_system: [2; 16],
        made_at: 1_795_341_600,
        size_bytes: 4 << 40,
        key: of.key(),
        serial: Serial::parse("WD-WX12").unwrap(),
        box_name: "Praxis Müller".into(),
    }
}

fn encoded(of: &TestBox, label: &Label) -> [u8; LABEL_BYTES] {
    label.encode(&of.sign(Statement::DiskLabel(&label.statement())).unwrap())
}

#[test]
fn it_comes_back_and_is_where_the_document_says() {
    let this = TestBox::new("Praxis");
    let label = label(&this);
    let bytes = encoded(&this, &label);
    assert_eq!(Label::parse(&bytes), Ok(label));
    assert_eq!(
        (&bytes[..16], &bytes[16..32], &bytes[56..64]),
        (b"keepwell disk 1\0".as_slice(), [1; 16].as_slice(), (4u64 << 40).to_le_bytes().as_slice())
    );
    assert_eq!((bytes[129], &bytes[130..137], bytes[256]), (7, b"WD-WX12".as_slice(), 14));
}

#[test]
fn no_bit_may_change() {
    let this = TestBox::new("Praxis");
    let bytes = encoded(&this, &label(&this));
    for bit in 0..LABEL_BYTES * 8 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(Label::parse(&changed).is_err(), "bit {bit}");
    }
}

#[test]
fn what_is_no_label_is_told_apart() {
    let this = TestBox::new("Praxis");
    let mut bytes = encoded(&this, &label(&this));
    assert_eq!(Label::parse(&[0; LABEL_BYTES]), Err(LabelError::Absent));
    bytes[14] = b'2';
    assert_eq!(Label::parse(&bytes), Err(LabelError::Newer));
    let other = TestBox::new("Praxis");
    assert_eq!(Label::parse(&encoded(&other, &label(&this))), Err(LabelError::Forged), "signed by another key than it names");
}

#[test]
fn long_names_are_cut_between_letters() {
    let this = TestBox::new("Praxis");
    let long = Label { box_name: "ä".repeat(100), ..label(&this) };
    assert_eq!(Label::parse(&encoded(&this, &long)).unwrap().box_name, "ä".repeat(63));
}
