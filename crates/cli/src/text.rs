//! How names, sizes, times and kinds are spelled, for people and in JSON. Pure.

use keepwell_format::node::{Kind, Owner};
use keepwell_format::{Key, Time};
use keepwell_source::civil;
use serde_json::{Map, Value, json};

/// Bytes in the largest fitting unit: `0 B`, `1.5 KiB`, `12 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (bytes.max(1).ilog2() / 10) as usize;
    let value = bytes as f64 / (1u64 << (10 * unit)) as f64;
    let decimals = usize::from(unit > 0 && value < 9.95);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A count with its noun: `1 file`, `2 files`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    };
    format!("{number} {}", if number == 1 { noun } else { &plural })
}

/// `2026-11-22 03:23:14`, UTC.
pub(crate) fn time(seconds: i64) -> String {
    let (y, mo, d, h, mi, s) = civil(seconds);
    format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}")
}

/// `2026-11-22 032314`, UTC: for names of files.
pub(crate) fn stamp(seconds: i64) -> String {
    time(seconds).replace(':', "")
}

/// `2026-11-22T03:23:14.000000005Z` (RFC 3339; nanoseconds where there are any).
pub(crate) fn rfc3339(time: Time) -> String {
    let (y, mo, d, h, mi, s) = civil(time.seconds);
    let fraction = if time.nanos == 0 { String::new() } else { format!(".{:09}", time.nanos) };
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}{fraction}Z")
}

/// Names are bytes: `path` is what of them is UTF-8, `path_hex` all of them where that is not the same.
pub(crate) fn path_fields(key: &Key) -> Map<String, Value> {
    bytes_fields("path", &key.to_path())
}

/// A path and what is said of it.
pub(crate) fn told(key: &Key, what: &str) -> Value {
    let mut fields = path_fields(key);
    fields.insert("text".into(), json!(what));
    fields.into()
}

/// The same for other names and targets.
pub(crate) fn bytes_fields(name: &str, bytes: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert(name.into(), String::from_utf8_lossy(bytes).into());
    if std::str::from_utf8(bytes).is_err() {
        fields.insert(format!("{name}_hex"), bytes.iter().map(|b| format!("{b:02x}")).collect::<String>().into());
    }
    fields
}

/// Bytes for a terminal: control characters and what is no UTF-8 are escaped.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
        }
        chunk.invalid().iter().for_each(|b| text.push_str(&format!("\\x{b:02x}")));
    }
    text
}

/// `-rw-r--r--`, as `ls -l` writes it; question marks where the source had no POSIX mode.
pub(crate) fn mode(kind: Kind, owner: Option<Owner>) -> String {
    let mut text = String::from(kind_letter(kind));
    let Some(Owner { mode, .. }) = owner else {
        return text + "?????????";
    };
    for (shift, special, letters) in [(6, 0o4000, ['s', 'S']), (3, 0o2000, ['s', 'S']), (0, 0o1000, ['t', 'T'])] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letters[0],
            (false, true) => letters[1],
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// The word for a kind in JSON.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "character device",
        Kind::BlockDevice => "block device",
        Kind::Reparse => "reparse point",
        Kind::Unknown => "unknown",
    }
}

/// A gap of a snapshot in JSON.
pub(crate) fn gap(key: &Key, gap: &keepwell_format::Gap) -> Value {
    let mut fields = path_fields(key);
    fields.insert("reason".into(), json!(gap_reason(gap.reason)));
    fields.insert("text".into(), json!(gap.text));
    fields.into()
}

/// The word for a reason in JSON.
pub(crate) fn gap_reason(reason: keepwell_format::GapReason) -> &'static str {
    use keepwell_format::GapReason as R;
    match reason {
        R::Permission => "permission",
        R::Locked => "locked",
        R::Read => "read",
        R::Vanished => "vanished",
        R::Unsupported => "unsupported",
        R::Name => "name",
        R::Metadata => "metadata",
        R::Listing => "listing",
    }
}

fn kind_letter(kind: Kind) -> char {
    match kind {
        Kind::File => '-',
        Kind::Folder => 'd',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
        Kind::Reparse => 'r',
        Kind::Unknown => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let shown = [0, 1, 1023, 1024, 1536, 10 << 20, (1 << 30) - 1, u64::MAX].map(size);
        assert_eq!(shown, ["0 B", "1 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 MiB", "1024 MiB", "16 EiB"]);
    }

    #[test]
    fn counts() {
        assert_eq!([count(1, "file"), count(0, "file"), count(2, "entry")], ["1 file", "0 files", "2 entries"]);
    }

    #[test]
    fn times_before_1970_after_2038_and_on_leap_days() {
        assert_eq!(time(0), "1970-01-01 00:00:00");
        assert_eq!(time(-1), "1969-12-31 23:59:59");
        assert_eq!(time(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(time(4_107_542_399), "2100-02-28 23:59:59");
        assert_eq!(time(4_107_542_400), "2100-03-01 00:00:00");
        assert_eq!(rfc3339(Time { seconds: 1_795_317_794, nanos: 5 }), "2026-11-22T03:23:14.000000005Z");
        assert!(time(i64::MIN).starts_with('-') && time(i64::MAX).len() > 19);
    }

    #[test]
    fn names_that_are_no_utf8_are_whole_in_json_and_harmless_on_a_terminal() {
        assert_eq!(Value::from(bytes_fields("path", b"a\xff")), json!({"path": "a\u{fffd}", "path_hex": "61ff"}));
        assert_eq!(Value::from(bytes_fields("path", "ä".as_bytes())), json!({"path": "ä"}));
        assert_eq!(shown(b"a\x1b[2J\xff"), "a\\u{1b}[2J\\xff");
    }

    #[test]
    fn modes() {
        let of = |mode| self::mode(Kind::File, Some(Owner { mode, uid: 0, gid: 0 }));
        assert_eq!([of(0o644), of(0o4755), of(0o2660), of(0o1777)], ["-rw-r--r--", "-rwsr-xr-x", "-rw-rwS---", "-rwxrwxrwt"]);
        assert_eq!(mode(Kind::Folder, None), "d?????????");
    }
}
