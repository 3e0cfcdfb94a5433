//! The parsers of `keepwell-audit`: a ledger is read by whoever checks it, wherever it comes from.

use keepwell_audit::{Piece, Record, check_file};

/// A file of a ledger: header and pieces, which follow one another without a gap.
pub fn ledger_file(data: &[u8]) {
    let (_, pieces) = check_file(data);
    let mut at = None;
    for piece in pieces {
        let (offset, length) = match piece {
            Piece::Record { offset, length, record, hash } => {
                assert_eq!(record.hash(), Ok(hash), "what was read is what was hashed");
                (offset, length)
            }
            Piece::Damaged { offset, length, .. } | Piece::Torn { offset, length } => (offset, length),
            Piece::Newer => return,
        };
        assert!(length > 0 && at.is_none_or(|at| at == offset));
        at = Some(offset + length);
    }
    assert!(at.is_none_or(|at| at == data.len() as u64), "all of the file was looked at");
}

/// A record alone.
pub fn ledger_record(data: &[u8]) {
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.encode().as_deref(), Ok(data), "a record has one encoding");
    }
}
