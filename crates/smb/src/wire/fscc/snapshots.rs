//! Previous versions: SRV_SNAPSHOT_ARRAY (MS-SMB2 2.2.32.2) and its tokens `@GMT-YYYY.MM.DD-HH.MM.SS` (2.2.1.1.1).

use crate::wire::cursor::Reader;
use crate::wire::payload::units;
use crate::{FileTime, SmbError};

/// What the server says of its snapshots.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshots {
    /// Those that came; tokens that are no times are left out.
    pub(crate) times: Vec<FileTime>,
    /// Bytes that an answer with all of them takes, if not all came.
    pub(crate) needed: Option<u32>,
}

/// Bytes before the tokens.
const FIXED: u32 = 12;

pub(crate) fn decode_snapshots(buffer: &[u8]) -> Result<Snapshots, SmbError> {
    const WHAT: &str = "SRV_SNAPSHOT_ARRAY";
    let mut reader = Reader::new(buffer, WHAT);
    let (all, came, size) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let tokens = units(&reader.rest()[..reader.remaining() & !1], WHAT)?;
    let times = tokens.split(|unit| *unit == 0).take(came as usize).filter_map(time_of).collect();
    Ok(Snapshots { times, needed: (came < all).then_some(FIXED.saturating_add(size)) })
}

/// `@GMT-2026.11.20-00.00.00`
fn time_of(token: &[u16]) -> Option<FileTime> {
    let token = String::from_utf16(token).ok()?;
    let (date, time) = token.strip_prefix("@GMT-")?.split_once('-')?;
    let [year, month, day] = numbers(date)?;
    let [hour, minute, second] = numbers(time)?;
    let in_month = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let of_month = usize::try_from(month).ok()?.checked_sub(1)?;
    if !(1601..=9999).contains(&year) || !(1..=*in_month.get(of_month)?).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let before: u64 = in_month[..of_month].iter().sum();
    let years = year - 1601;
    let days = years * 365 + years / 4 - years / 100 + years / 400 + before + day - 1;
    Some(FileTime((((days * 24 + hour) * 60 + minute) * 60 + second) * 10_000_000))
}

fn numbers(text: &str) -> Option<[u64; 3]> {
    let mut parts = text.split('.').map(|part| part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit())));
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::Writer;

    fn parse(token: &str) -> Option<(i64, u32)> {
        time_of(&token.encode_utf16().collect::<Vec<_>>()).and_then(FileTime::to_unix)
    }

    #[test]
    fn tokens_are_times() {
        assert_eq!(parse("@GMT-1970.01.01-00.00.00"), Some((0, 0)));
        assert_eq!(parse("@GMT-2026.11.20-00.00.00"), Some((1_795_132_800, 0)));
        assert_eq!(parse("@GMT-2000.02.29-23.59.59"), Some((951_868_799, 0)));
        assert_eq!(parse("@GMT-2100.03.01-00.00.01"), Some((4_107_542_401, 0)));
        for bad in [
            "",
            "@GMT-",
            "@GMT-2026.11.20",
            "@GMT-2026.11.31-00.00.00",
            "@GMT-2026.13.01-00.00.00",
            "@GMT-2026.00.01-00.00.00",
            "@GMT-2100.02.29-00.00.00",
            "@GMT-2026.11.20-24.00.00",
            "@GMT-2026.11.20-+1.00.00",
            "@GMT-2026.11.20-00.00.00.0",
            "@GMT-99999999999999999999.11.20-00.00.00",
            "GMT-2026.11.20-00.00.00",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn arrays() {
        let mut writer = Writer::new();
        writer.u32(2).u32(2).u32(100).units("@GMT-2026.11.20-00.00.00\0junk\0@GMT-2026.11.19-00.00.00\0\0".encode_utf16());
        let array = decode_snapshots(&writer.finish()).unwrap();
        assert_eq!((array.times.len(), array.needed), (1, None));
        let mut writer = Writer::new();
        writer.u32(40).u32(0).u32(2002).u32(0);
        assert_eq!(decode_snapshots(&writer.finish()).unwrap(), Snapshots { times: vec![], needed: Some(2014) });
        assert!(decode_snapshots(&[0; 11]).is_err());
        assert!(decode_snapshots(&[0; 12]).unwrap().times.is_empty());
    }
}
