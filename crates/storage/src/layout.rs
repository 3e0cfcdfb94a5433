//! How many shards an object has, and what is left of that with fewer disks (`docs/format.md` 4, *Acknowledgement*).
//!
//! Pure arithmetic; knows no disk.

use std::fmt;
use std::str::FromStr;

/// `k` data shards and `m` parity shards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layout {
    /// Data shards, from 1.
    pub k: u8,
    /// Parity shards.
    pub m: u8,
}

/// Objects shorter than this are written as whole copies.
pub const SMALL: u64 = 256 << 10;

impl Layout {
    /// Shards a layout may have in all.
    pub const MAX_WIDTH: u8 = 32;
    /// One copy.
    pub const SINGLE: Self = Self { k: 1, m: 0 };
    /// Layouts that a pool can be made with; all others within bounds can be read.
    pub const OFFERED: [Self; 6] =
        [Self { k: 1, m: 0 }, Self { k: 1, m: 1 }, Self { k: 2, m: 1 }, Self { k: 2, m: 2 }, Self { k: 3, m: 2 }, Self { k: 4, m: 2 }];

    /// A layout within the format's bounds.
    pub fn new(k: u8, m: u8) -> Option<Self> {
        let width = k.checked_add(m)?;
        (k >= 1 && width <= Self::MAX_WIDTH).then_some(Self { k, m })
    }

    /// What a pool on so many disks has where nobody chose: any one disk may be lost from two on, any two from six on.
    pub const fn usual(disks: usize) -> Self {
        let (k, m) = match disks {
            0 | 1 => (1, 0),
            2 => (1, 1),
            3..=5 => (2, 1),
            _ => (4, 2),
        };
        Self { k, m }
    }

    /// Shards in all.
    pub fn width(self) -> u8 {
        self.k + self.m
    }

    /// Bytes of memory in which an object of `len` bytes is cut into shards. Whole copies are cut in the object's own.
    pub fn coded_len(self, len: u64) -> u64 {
        let shards = if self.k == 1 { 1 } else { self.width() };
        self.shard_len(len).saturating_mul(shards.into())
    }

    /// Whole copies on so many disks, at most [`Layout::MAX_WIDTH`].
    pub fn copies(count: usize) -> Option<Self> {
        let count = u8::try_from(count.min(Self::MAX_WIDTH.into())).ok()?;
        Self::new(1, count.checked_sub(1)?)
    }

    /// How a large object is written by a pool of this layout with `disks` disks that take writes; none: not at all.
    pub fn fallback(self, disks: usize) -> Option<Self> {
        let disks = u8::try_from(disks).unwrap_or(u8::MAX);
        if disks >= self.width() {
            return Some(self);
        }
        if disks > self.m {
            return Self::new(disks - self.m, self.m);
        }
        self.single_copy(disks)
    }

    /// How a small object is written: whole copies on m+1 disks.
    pub fn fallback_small(self, disks: usize) -> Option<Self> {
        if disks > self.m.into() { Self::new(1, self.m) } else { self.single_copy(u8::try_from(disks).unwrap_or(u8::MAX)) }
    }

    /// How an object is written that goes everywhere: a copy on each disk, at least as many as of a small object.
    pub fn fallback_everywhere(self, disks: usize) -> Option<Self> {
        let least = self.fallback_small(disks)?;
        Self::copies(disks.max(least.width().into()))
    }

    /// Shards that must be durable before an object counts as written: of whole copies all, else one more than are needed to read it.
    pub fn acknowledged_at(self) -> u8 {
        if self.m == 0 || self.k == 1 { self.width() } else { self.k + 1 }
    }

    /// Bytes of each shard of an object: 64 * ceil(len / 64 k), at least 64.
    pub fn shard_len(self, object_len: u64) -> u64 {
        let stripe = 64 * u64::from(self.k);
        object_len.div_ceil(stripe).max(1).saturating_mul(64)
    }

    /// A mirror of two may go on with one disk, labelled as single copy.
    fn single_copy(self, disks: u8) -> Option<Self> {
        (self == Self { k: 1, m: 1 } && disks == 1).then_some(Self::SINGLE)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.k, self.m)
    }
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layout({self})")
    }
}

/// The text is not a layout that a pool can be made with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a layout; give one of 1+0, 1+1, 2+1, 2+2, 3+2, 4+2")]
pub struct LayoutError(String);

impl FromStr for Layout {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, LayoutError> {
        Self::OFFERED.into_iter().find(|layout| layout.to_string() == text).ok_or_else(|| LayoutError(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> Layout {
        text.parse().unwrap()
    }

    #[test]
    fn fewer_disks_never_mean_bare_data_shards() {
        let table = [
            ("4+2", 7, Some("4+2")),
            ("4+2", 6, Some("4+2")),
            ("4+2", 5, Some("3+2")),
            ("4+2", 4, Some("2+2")),
            ("4+2", 3, Some("1+2")),
            ("4+2", 2, None),
            ("2+1", 3, Some("2+1")),
            ("2+1", 2, Some("1+1")),
            ("2+1", 1, None),
            ("1+1", 2, Some("1+1")),
            ("1+1", 1, Some("1+0")),
            ("1+1", 0, None),
            ("1+0", 1, Some("1+0")),
            ("1+0", 0, None),
        ];
        for (pool, disks, expected) in table {
            let got = layout(pool).fallback(disks).map(|l| l.to_string());
            assert_eq!(got.as_deref(), expected, "{pool} on {disks}");
        }
    }

    #[test]
    fn whole_copies() {
        assert_eq!(layout("4+2").fallback_small(6), Layout::new(1, 2));
        assert_eq!(layout("4+2").fallback_small(2), None);
        assert_eq!(layout("1+1").fallback_small(1), Some(Layout::SINGLE));
        assert_eq!(layout("4+2").fallback_everywhere(5), Layout::new(1, 4));
        assert_eq!(layout("2+1").fallback_everywhere(1), None);
    }

    #[test]
    fn what_counts_as_written() {
        let least = |k, m| Layout { k, m }.acknowledged_at();
        assert_eq!([least(4, 2), least(2, 2), least(2, 1)], [5, 3, 3]);
        assert_eq!([least(1, 2), least(1, 1), least(1, 5), least(1, 0), least(4, 0)], [3, 2, 6, 1, 4]);
    }

    #[test]
    fn texts() {
        for bad in ["", "2", "2+", "02+1", "9+9", "1+2", "2+1 ", "0+1"] {
            assert!(bad.parse::<Layout>().is_err(), "{bad}");
        }
    }

    #[test]
    fn shard_lengths() {
        let two = layout("2+1");
        assert_eq!([0, 1, 128, 129, 1 << 25].map(|l| two.shard_len(l)), [64, 64, 64, 128, 1 << 24]);
        assert!(Layout { k: 3, m: 2 }.shard_len(u64::MAX) >= u64::MAX / 3);
    }
}
