//! Information classes (MS-FSCC 2.4, 2.5) and the buffers of control codes (2.3). Owns what is inside the buffers of queries; every
//! length and offset in them is the server's word and checked.

mod attributes;
mod change;
mod directory;
mod file;
mod ranges;
mod snapshots;
mod volume;

pub(crate) use attributes::{decode_attributes, encode_attribute};
pub(crate) use change::{encode_basic, encode_disposition, encode_end_of_file, encode_name};
pub(crate) use directory::Directory;
pub(crate) use file::{decode_all, decode_streams};
pub(crate) use ranges::{decode_ranges, encode_range};
pub(crate) use snapshots::decode_snapshots;
pub(crate) use volume::{decode_fs_attribute, decode_fs_full_size, decode_fs_volume};

use crate::SmbError;

/// Entries that are chained by a NextEntryOffset, their first field (MS-FSCC 2.4). Each ends where the next begins; after an error
/// there is nothing more.
pub(crate) struct Entries<'a> {
    rest: Option<&'a [u8]>,
    least: usize,
    what: &'static str,
}

impl<'a> Entries<'a> {
    /// `least`: bytes every entry has.
    pub(crate) fn new(all: &'a [u8], least: usize, what: &'static str) -> Self {
        Self { rest: (!all.is_empty()).then_some(all), least, what }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], SmbError>;

    fn next(&mut self) -> Option<Self::Item> {
        let all = self.rest.take()?;
        let Some(next) = all.first_chunk().map(|next| u32::from_le_bytes(*next) as usize).filter(|_| all.len() >= self.least) else {
            return Some(Err(SmbError::Malformed { what: self.what }));
        };
        if next == 0 {
            return Some(Ok(all));
        }
        if next < self.least || next > all.len() {
            return Some(Err(SmbError::Malformed { what: self.what }));
        }
        let (entry, rest) = all.split_at(next);
        self.rest = Some(rest);
        Some(Ok(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(bytes: &[u8]) -> Option<Vec<usize>> {
        Entries::new(bytes, 8, "x").map(|entry| entry.ok().map(<[u8]>::len)).collect()
    }

    #[test]
    fn chains_go_forward_and_end() {
        assert_eq!(lengths(&[]), Some(vec![]));
        assert_eq!(lengths(&[0; 9]), Some(vec![9]));
        assert_eq!(lengths(&[8, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]), Some(vec![8, 8]));
        for next in [1, 7, 17, 255] {
            let mut bytes = [0; 16];
            bytes[0] = next;
            assert_eq!(lengths(&bytes), None, "{next}");
        }
        // It points to its own end, where no entry is.
        assert_eq!(lengths(&[8, 0, 0, 0, 1, 1, 1, 1]), None);
        assert_eq!(lengths(&[0; 7]), None);
    }
}
