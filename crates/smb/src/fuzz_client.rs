//! Foreign bytes into each parser of what files and folders are, for fuzzing. Owns nothing that the product uses; nothing here may panic.

use bytes::Bytes;

use crate::connection::Answer;
use crate::step::{Part, Step};
use crate::wire::create::Created;
use crate::wire::fscc::{self, Directory};
use crate::wire::payload::output;
use crate::wire::{close, ioctl, transfer};
use crate::{FileTime, NtStatus, name};

/// Bytes that are asked for.
const ASKED: u32 = 4096;

/// A whole answer body of each kind, its envelope included.
pub fn bodies(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let _ = Created::decode(&body);
    let _ = close::decode(&body);
    let outputs = [output(&body, ASKED, "fuzz"), ioctl::decode(&body, ASKED), transfer::decode_read(&body, ASKED)];
    assert!(outputs.iter().flatten().all(|output| output.len() <= ASKED as usize));
    assert!(transfer::decode_write(&body, ASKED).is_ok_and(|written| written <= ASKED) || transfer::decode_write(&body, ASKED).is_err());
    let steps = [Step::Info(ASKED), Step::Descriptor(7), Step::Streams(ASKED), Step::Attributes(ASKED), Step::Reparse, Step::Read(ASKED)];
    for status in [NtStatus::SUCCESS, NtStatus::BUFFER_OVERFLOW, NtStatus::ACCESS_DENIED] {
        let answer = Answer { status, body: body.clone() };
        for step in steps {
            if let Ok(Part::Data(Ok(data))) = step.decode(&answer) {
                assert!(data.len() <= ASKED as usize);
            }
        }
    }
}

/// The entries of a folder: no name that gets through leads elsewhere.
pub fn listing(bytes: &[u8]) {
    if let Ok(directory) = Directory::decode(bytes) {
        assert!(directory.entries.iter().all(|entry| name::check_name(&entry.name).is_ok()));
        assert!(directory.entries.len() + directory.refused as usize <= bytes.len() / 104);
    }
}

/// Information about files and volumes, and the buffers of control codes.
pub fn information(bytes: &[u8]) {
    let _ = fscc::decode_all(bytes);
    let _ = fscc::decode_streams(bytes);
    let _ = fscc::decode_attributes(bytes);
    let _ = fscc::decode_fs_volume(bytes);
    let _ = fscc::decode_fs_attribute(bytes);
    let _ = fscc::decode_fs_full_size(bytes);
    if let Ok(snapshots) = fscc::decode_snapshots(bytes) {
        assert!(snapshots.times.iter().all(|time| *time == FileTime(0) || time.to_unix().is_some()));
    }
    if let Ok(ranges) = fscc::decode_ranges(bytes, 1000, 1 << 40) {
        assert!(ranges.iter().all(|(at, length)| *at >= 1000 && *length > 0 && at + length <= 1 << 40));
        assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }
}

/// Names as bytes and as units: each has one spelling.
pub fn names(bytes: &[u8]) {
    if let Some(units) = name::wide(bytes) {
        assert_eq!(name::wtf8(&units), bytes);
    }
    let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    assert_eq!(name::wide(&name::wtf8(&units)).as_deref(), Some(&units[..]));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) {
        bodies(bytes);
        listing(bytes);
        information(bytes);
        names(bytes);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            all(&bytes);
        }

        #[test]
        fn nothing_panics_on_small_numbers(
            structure in prop::sample::select(vec![9_u8, 17, 49, 60, 89]),
            bytes in prop::collection::vec(prop_oneof![6 => Just(0_u8), 3 => 0_u8..150, 1 => any::<u8>()], 16..400),
        ) {
            all(&bytes);
            let mut body = bytes;
            body[..2].copy_from_slice(&[structure, 0]);
            all(&body);
        }
    }
}
