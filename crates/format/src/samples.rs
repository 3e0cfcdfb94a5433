//! Content that is a row of 16-bit samples, such as an uncompressed picture or sound, told apart into what changes much and what changes little
//! (`docs/format.md` 6.1). Pure, and undone exactly whatever the bytes are; whether it pays is for the writer to say.
//!
//! The idea is that of the filters of PNG (RFC 2083, section 6) and of byte shuffling in HDF5 and Blosc: of two samples beside each other the
//! difference is small, so the high bytes of the differences are nearly all zero and only the low bytes hold noise.

use crate::FormatError;

const WHAT: &str = "a blob of samples";

/// Where the first sample begins: chunks are cut at any byte, so a blob may begin with the second half of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// At the first byte.
    Even = 0,
    /// At the second.
    Odd = 1,
}

impl TryFrom<u8> for Phase {
    type Error = FormatError;

    fn try_from(byte: u8) -> Result<Self, FormatError> {
        match byte {
            0 => Ok(Self::Even),
            1 => Ok(Self::Odd),
            _ => Err(FormatError::Invalid { what: WHAT, why: "unknown phase" }),
        }
    }
}

/// Replaces `out` by the low bytes of all differences, their high bytes, and the bytes at either end that belong to no sample.
pub fn part(plain: &[u8], phase: Phase, out: &mut Vec<u8>) {
    let (head, rest) = plain.split_at(plain.len().min(phase as usize));
    let (samples, tail) = rest.as_chunks::<2>();
    out.clear();
    out.resize(2 * samples.len(), 0);
    let (low, high) = out.split_at_mut(samples.len());
    let mut before = 0;
    for ((sample, low), high) in samples.iter().zip(low).zip(high) {
        let sample = u16::from_le_bytes(*sample);
        let [l, h] = fold(sample.wrapping_sub(before)).to_le_bytes();
        (*low, *high) = (l, h);
        before = sample;
    }
    out.extend_from_slice(head);
    out.extend_from_slice(tail);
}

/// Undoes [`part`]: replaces `out` by the bytes as they were.
pub fn join(parted: &[u8], phase: Phase, out: &mut Vec<u8>) {
    let head = parted.len().min(phase as usize);
    let count = (parted.len() - head) / 2;
    let (low, rest) = parted.split_at(count);
    let (high, ends) = rest.split_at(count);
    let (first, last) = ends.split_at(head);
    out.clear();
    out.reserve_exact(parted.len());
    out.extend_from_slice(first);
    out.resize(head + 2 * count, 0);
    let mut sample = 0_u16;
    for ((bytes, low), high) in out[head..].as_chunks_mut::<2>().0.iter_mut().zip(low).zip(high) {
        sample = sample.wrapping_add(unfold(u16::from_le_bytes([*low, *high])));
        *bytes = sample.to_le_bytes();
    }
    out.extend_from_slice(last);
}

/// Differences of either sign as small numbers: 0, -1, 1, -2 become 0, 1, 2, 3.
fn fold(difference: u16) -> u16 {
    (difference << 1) ^ (difference.cast_signed() >> 15).cast_unsigned()
}

fn unfold(folded: u16) -> u16 {
    (folded >> 1) ^ (folded & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_differences_become_small_numbers() {
        for (difference, folded) in [(0_i16, 0_u16), (-1, 1), (1, 2), (-2, 3), (i16::MAX, u16::MAX - 1), (i16::MIN, u16::MAX)] {
            assert_eq!(fold(difference.cast_unsigned()), folded, "{difference}");
            assert_eq!(unfold(folded), difference.cast_unsigned(), "{folded}");
        }
    }

    #[test]
    fn a_known_row_of_samples() {
        let plain = [9, 0x34, 0x12, 0x33, 0x12, 0x36, 0x13, 7];
        let mut parted = Vec::new();
        part(&plain, Phase::Odd, &mut parted);
        // 0x1234, then -1, then +0x103: folded 0x2468, 1, 0x206.
        assert_eq!(parted, [0x68, 0x01, 0x06, 0x24, 0x00, 0x02, 9, 7]);
    }

    proptest! {
        #[test]
        fn parting_is_undone_exactly(plain in prop::collection::vec(any::<u8>(), 0..300), odd: bool) {
            let phase = if odd { Phase::Odd } else { Phase::Even };
            let (mut parted, mut joined) = (vec![1], vec![2]);
            part(&plain, phase, &mut parted);
            prop_assert_eq!(parted.len(), plain.len());
            join(&parted, phase, &mut joined);
            prop_assert_eq!(joined, plain);
        }
    }
}
