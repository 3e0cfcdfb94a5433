//! Times as SMB has them. Owns the way from and to Unix time; never invents a time that the server did not give.

/// Units of 100 ns since 1601-01-01 UTC (MS-DTYP 2.3.3). Zero: not known, or when set: leave as it is (MS-FSCC 2.4.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime(pub u64);

/// Seconds from 1601 to 1970.
const EPOCH_SECONDS: i64 = 11_644_473_600;

const UNITS_PER_SECOND: u64 = 10_000_000;

impl FileTime {
    /// Seconds since 1970 and nanoseconds in that second. None: not known, or no time at all (above 2^63, MS-FSCC 2.1.1).
    #[must_use]
    pub fn to_unix(self) -> Option<(i64, u32)> {
        if self.0 == 0 || self.0 > i64::MAX as u64 {
            return None;
        }
        let seconds = i64::try_from(self.0 / UNITS_PER_SECOND).ok()? - EPOCH_SECONDS;
        let nanos = u32::try_from(self.0 % UNITS_PER_SECOND).ok()? * 100;
        Some((seconds, nanos))
    }

    /// Nanoseconds are cut to 100. None: not after the start of 1601, or too late for the format.
    #[must_use]
    pub fn from_unix(seconds: i64, nanos: u32) -> Option<Self> {
        let seconds = u64::try_from(seconds.checked_add(EPOCH_SECONDS)?).ok()?;
        let units = seconds.checked_mul(UNITS_PER_SECOND)?.checked_add(u64::from(nanos / 100))?;
        (units != 0 && units <= i64::MAX as u64).then_some(Self(units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for (units, unix) in [
            (1, (-EPOCH_SECONDS, 100)),
            (116_444_736_000_000_000 - 1, (-1, 999_999_900)),
            (116_444_736_000_000_000, (0, 0)),
            (i64::MAX as u64, (910_692_730_085, 477_580_700)),
        ] {
            assert_eq!(FileTime(units).to_unix(), Some(unix));
            assert_eq!(FileTime::from_unix(unix.0, unix.1), Some(FileTime(units)));
        }
        assert_eq!(FileTime::from_unix(0, 199), FileTime::from_unix(0, 100));
    }

    #[test]
    fn no_time_is_none() {
        assert_eq!(FileTime(0).to_unix(), None);
        assert_eq!(FileTime(u64::MAX).to_unix(), None);
        for (seconds, nanos) in [(-EPOCH_SECONDS, 0), (-EPOCH_SECONDS - 1, 999_999_999), (i64::MIN, 0), (i64::MAX, 0)] {
            assert_eq!(FileTime::from_unix(seconds, nanos), None);
        }
    }
}
