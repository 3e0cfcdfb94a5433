//! Where a file has data: FILE_ALLOCATED_RANGE_BUFFER (MS-FSCC 2.3.48.1, 2.3.49).

use crate::SmbError;
use crate::wire::cursor::Writer;

/// The run that is asked about.
pub(crate) fn encode_range(at: u64, length: u64) -> Vec<u8> {
    let mut writer = Writer::with_capacity(16);
    writer.u64(at).u64(length);
    writer.finish()
}

/// Runs of data, cut to `at..end`: ascending, none empty, none overlapping another.
pub(crate) fn decode_ranges(buffer: &[u8], at: u64, end: u64) -> Result<Vec<(u64, u64)>, SmbError> {
    let malformed = || SmbError::Malformed { what: "allocated ranges" };
    let (pairs, rest) = buffer.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(malformed());
    }
    let mut ranges = Vec::with_capacity(pairs.len());
    let mut least = 0;
    for pair in pairs {
        let (start, length) = pair.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).map_err(|_| malformed());
        let (start, length) = (number(start)?, number(length)?);
        let stop = start.checked_add(length).ok_or_else(malformed)?;
        if start < least {
            return Err(malformed());
        }
        least = stop;
        let (from, to) = (start.max(at), stop.min(end));
        if from < to {
            ranges.push((from, to - from));
        }
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(ranges: &[(u64, u64)]) -> Vec<u8> {
        ranges.iter().flat_map(|(at, length)| encode_range(*at, *length)).collect()
    }

    #[test]
    fn ranges_ascend_within_what_was_asked() {
        let read = |ranges: &[(u64, u64)]| decode_ranges(&buffer(ranges), 100, 1000).ok();
        assert_eq!(read(&[]), Some(vec![]));
        assert_eq!(read(&[(0, 200), (300, 50), (990, 1 << 40)]), Some(vec![(100, 100), (300, 50), (990, 10)]));
        assert_eq!(read(&[(0, 100), (1000, 5), (2000, 0)]), Some(vec![]));
        assert_eq!(read(&[(300, 50), (300, 50)]), None);
        assert_eq!(read(&[(300, 50), (200, 50)]), None);
        assert_eq!(read(&[(300, u64::MAX)]), None);
        assert!(decode_ranges(&[0; 15], 0, 10).is_err());
    }
}
