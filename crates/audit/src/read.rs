//! Records by number, for whoever shows them. Reads without the writer's lock, one file at a time; judges nothing: that is [`crate::verify`]'s.

use std::path::Path;

use crate::error::AuditError;
use crate::file::Header;
use crate::folder;
use crate::record::Record;
use crate::scan::{Piece, Pieces};

/// Up to `max` records from number `from` on, in the order of the files; those that are damaged are missing.
pub fn read(folder: &Path, from: u64, max: usize) -> Result<Vec<Record>, AuditError> {
    let numbers = folder::numbers(folder)?;
    let mut records = Vec::new();
    for number in &numbers[first_file(folder, &numbers, from)?..] {
        let (bytes, _) = folder::read_file(folder, *number)?;
        for piece in Pieces::of(&bytes) {
            if records.len() >= max {
                return Ok(records);
            }
            match piece {
                Piece::Record { record, .. } if record.seq >= from => records.push(record),
                Piece::Newer => return Err(AuditError::Newer(folder::file_path(folder, *number))),
                _ => {}
            }
        }
    }
    Ok(records)
}

/// The last file that begins at or before this record. A file whose header is damaged is passed over.
fn first_file(folder: &Path, numbers: &[u32], from: u64) -> Result<usize, AuditError> {
    for (n, number) in numbers.iter().enumerate().rev() {
        let header = Header::decode(&folder::read_header(folder, *number)?);
        if header.is_ok_and(|header| header.previous.seq < from) {
            return Ok(n);
        }
    }
    Ok(0)
}
