//! From when to when a certificate is valid (RFC 5280, section 4.1.2.5), which rustls and webpki keep to themselves. Reads DER (X.690) as far as there, and nothing else.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first and the last second, Unix.
pub(super) fn of(certificate: &[u8]) -> Option<(i64, i64)> {
    let (content, _) = expect(certificate, SEQUENCE)?;
    let (content, _) = expect(content, SEQUENCE)?;
    let rest = expect(content, VERSION).map_or(content, |(_, rest)| rest);
    let (_, rest) = expect(rest, INTEGER)?;
    // The signature's algorithm, then who signed.
    let (_, rest) = expect(rest, SEQUENCE)?;
    let (_, rest) = expect(rest, SEQUENCE)?;
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some((from, until))
}

fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    next(bytes).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// Tag, content, and what follows. Lengths of up to three bytes: no certificate here is longer.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, content, rest) = next(bytes)?;
    let text = std::str::from_utf8(content).ok()?;
    let text = match (tag, text.len()) {
        // 50 to 99 are of the last century.
        (UTC_TIME, 13) => format!("{}{text}", if text.as_bytes().first()? < &b'5' { "20" } else { "19" }),
        (GENERALIZED_TIME, 15) => text.to_owned(),
        _ => return None,
    };
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let time = DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Some((time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second(), rest))
}
