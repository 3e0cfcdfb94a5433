//! Which state of a share is read: as it is, or as of a snapshot that the server keeps. Times are UTC, in whole seconds where people write them.

use keepwell_format::Time;

use crate::SourceError;

/// Which state of a source is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// As it is.
    #[default]
    Live,
    /// The newest snapshot that the server offers.
    Latest,
    /// The server's snapshot of this second.
    Time(Time),
}

impl AsOf {
    /// Reads `latest`, `2026-11-20T00:00:00Z`, `2026-11-20 00:00:00` or `@GMT-2026.11.20-00.00.00`; all are UTC.
    ///
    /// # Errors
    /// [`SourceError::AsOf`] on anything else.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        seconds(text).map(|seconds| Self::Time(Time { seconds, nanos: 0 })).ok_or(SourceError::AsOf)
    }
}

/// The time as people write it: `2026-11-20T00:00:00Z`.
pub fn utc(time: Time) -> String {
    let (year, month, day, hour, minute, second) = civil(time.seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month, day, hour, minute and second of seconds since 1970-01-01 UTC, in the proleptic Gregorian calendar.
pub fn civil(seconds: i64) -> (i64, i64, i64, i64, i64, i64) {
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    (year, month, day, second / 3_600, second / 60 % 60, second % 60)
}

fn seconds(text: &str) -> Option<i64> {
    let text = text.strip_prefix("@GMT-").or(text.strip_suffix('Z')).unwrap_or(text);
    let parts: Vec<&str> = text.split(['-', '.', ':', 'T', ' ']).collect();
    let widths_fit = parts.iter().zip([4, 2, 2, 2, 2, 2]).all(|(part, width)| part.len() == width);
    if parts.len() != 6 || !widths_fit || !parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let [year, month, day, hour, minute, second] =
        <[i64; 6]>::try_from(parts.iter().map(|p| p.parse()).collect::<Result<Vec<_>, _>>().ok()?).ok()?;
    let days = days(year, month, day);
    let whole = date(days) == (year, month, day) && hour < 24 && minute < 60 && second < 60;
    whole.then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + of_era + i64::from(month <= 2), month, of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_their_spellings() {
        for text in ["2026-11-20T01:02:03Z", "2026-11-20 01:02:03", "@GMT-2026.11.20-01.02.03"] {
            let AsOf::Time(time) = AsOf::parse(text).unwrap() else { panic!() };
            assert_eq!((time.seconds, utc(time).as_str()), (1_795_136_523, "2026-11-20T01:02:03Z"));
        }
        assert_eq!(AsOf::parse("latest").unwrap(), AsOf::Latest);
        for bad in
            ["", "now", "2026-11-20", "2026-11-20T24:00:00Z", "2026-02-29 00:00:00", "2026-13-01 00:00:00", "20261-1-20 00:00:00", "@GMT-x"]
        {
            assert!(matches!(AsOf::parse(bad), Err(SourceError::AsOf)), "{bad}");
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in (-400_000..400_000).step_by(97).chain([-719_468, 0, 11_016, 47_540]) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
        }
        assert_eq!((date(0), date(11_016), date(-1)), ((1970, 1, 1), (2000, 2, 29), (1969, 12, 31)));
    }
}
