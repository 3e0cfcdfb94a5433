//! Sets of pack numbers, as a manifest names the packs it needs (`docs/format.md` 9).

use std::ops::Range;

use crate::codec::{Reader, Writer};
use crate::{FormatError, PackSeq};

/// A set of pack numbers, kept as sorted ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeqRanges {
    ranges: Vec<Range<u64>>,
}

impl SeqRanges {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Adds one number.
    pub fn insert(&mut self, seq: PackSeq) {
        let end = seq.0.checked_add(1).expect("pack numbers are below 2^63");
        self.add(seq.0..end);
    }

    /// Whether it is in the set.
    pub fn contains(&self, seq: PackSeq) -> bool {
        let after = self.ranges.partition_point(|range| range.start <= seq.0);
        after > 0 && self.ranges[after - 1].contains(&seq.0)
    }

    /// Adds all of `other`.
    pub fn union(&mut self, other: &Self) {
        other.ranges.iter().for_each(|range| self.add(range.clone()));
    }

    /// All numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PackSeq> {
        self.ranges.iter().flat_map(|range| range.clone().map(PackSeq))
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.count(self.ranges.len());
        let mut end = 0;
        for range in &self.ranges {
            out.varint(range.start - end).varint(range.end - range.start);
            end = range.end;
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let count = reader.count(2)?;
        let mut ranges: Vec<Range<u64>> = Vec::with_capacity(count);
        let mut before = 0;
        for index in 0..count {
            let (gap, length) = (reader.varint()?, reader.varint()?);
            reader.check(length > 0 && (gap > 0 || index == 0), "ranges of pack numbers are empty or touch")?;
            let start = u64::checked_add(before, gap);
            let end = start.and_then(|start| start.checked_add(length)).filter(|end| *end <= 1 << 63);
            let (Some(start), Some(end)) = (start, end) else { return Err(reader.invalid("a pack number is out of bounds")) };
            ranges.push(start..end);
            before = end;
        }
        Ok(Self { ranges })
    }

    /// Joins `new` with every range that it overlaps or touches.
    fn add(&mut self, new: Range<u64>) {
        let first = self.ranges.partition_point(|range| range.end < new.start);
        let last = self.ranges.partition_point(|range| range.start <= new.end);
        let joined = match self.ranges.get(first..last) {
            Some([only]) => only.start.min(new.start)..only.end.max(new.end),
            Some([from, .., to]) => from.start.min(new.start)..to.end.max(new.end),
            _ => new,
        };
        self.ranges.splice(first..last, [joined]);
    }
}

impl FromIterator<PackSeq> for SeqRanges {
    fn from_iter<I: IntoIterator<Item = PackSeq>>(seqs: I) -> Self {
        let mut set = Self::new();
        seqs.into_iter().for_each(|seq| set.insert(seq));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest::proptest! {
        #[test]
        fn behaves_like_a_set(left: Vec<u8>, right: Vec<u8>) {
            let set = |seqs: &[u8]| seqs.iter().map(|seq| PackSeq(u64::from(*seq) / 2)).collect::<SeqRanges>();
            let mut union = set(&left);
            union.union(&set(&right));
            let model: BTreeSet<u64> = left.iter().chain(&right).map(|seq| u64::from(*seq) / 2).collect();
            assert_eq!(union.iter().map(|seq| seq.0).collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            assert!((0..200).all(|seq| union.contains(PackSeq(seq)) == model.contains(&seq)));
            assert!(union.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));

            let mut out = Writer::new();
            union.write(&mut out);
            assert_eq!(SeqRanges::read(&mut Reader::new("test", out.as_bytes())), Ok(union));
        }
    }
}
