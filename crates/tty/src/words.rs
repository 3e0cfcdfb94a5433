//! Text as this screen shows it: one character a cell, nothing that steers a terminal, times and sizes for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthChar as _;

/// Cells of a line of text.
pub(crate) const WIDTH: usize = 78;

/// What somebody else wrote, on one line: what is not printed, takes no cell of its own or two of them, or turns the direction, is replaced; at most `most` characters.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}');
    let hidden = |c: char| c.width() != Some(1) || turns(c);
    let shown: Vec<char> = text.chars().take(most + 1).map(|c| if hidden(c) { '?' } else { c }).collect();
    if shown.len() <= most {
        return shown.into_iter().collect();
    }
    shown[..most.saturating_sub(3)].iter().collect::<String>() + "..."
}

/// In lines of at most `width` characters, broken between words where that can be. All are as far in as the first.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let text = plain(text, 2_000);
    let inner = text.trim_start_matches(' ');
    let indent = (text.len() - inner.len()).min(width / 2);
    let width = width - indent;
    let mut lines = vec![String::new()];
    for word in inner.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is one from the beginning");
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= width {
                line.extend((gap > 0).then_some(' '));
                line.extend(&word);
                break;
            }
            if used > 0 {
                lines.push(String::new());
            } else {
                line.extend(word.drain(..width));
            }
        }
    }
    lines.into_iter().map(|line| format!("{}{line}", " ".repeat(indent))).collect()
}

/// A moment, in the practice's zone.
pub(crate) fn time(at: i64, zone: &TimeZone) -> String {
    let Ok(at) = Timestamp::from_second(at) else { return "unknown".into() };
    let zoned = at.to_zoned(zone.clone());
    zoned.strftime("%a %d %b %Y, %H:%M").to_string()
}

/// Bytes, in the unit that people would take.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        (value, unit) = (value / 1_000.0, unit + 1);
    }
    if unit == 0 || value >= 99.5 { format!("{value:.0} {}", units[unit]) } else { format!("{value:.1} {}", units[unit]) }
}

/// So many of something whose plural has an s.
pub(crate) fn count(number: u64, what: &str) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    format!("{} {what}{}", groups.join(","), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_not_shown() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\n", 20), "a?[2Jb?c?");
        assert_eq!(plain("abcdefgh", 6), "abc...");
        // Arabic letter mark, annotation, tag, soft marks, a combining accent, a wide letter.
        assert_eq!(plain("a\u{61c}b\u{fff9}c\u{e0041}d\u{200b}e\u{2066}f\u{feff}g\u{301}h\u{6f22}i\u{fc}", 40), "a?b?c?d?e?f?g?h?i\u{fc}");
    }

    #[test]
    fn lines_break_between_words_and_long_words_anywhere() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("  one two", 7), ["  one", "  two"]);
        assert!(wrapped(&"x y ".repeat(2_000), 10).iter().all(|line| line.chars().count() <= 10));
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(
            (size(0), size(999), size(3_100_000_000), size(999_999)),
            ("0 bytes".into(), "999 bytes".into(), "3.1 GB".into(), "1.0 MB".into())
        );
        assert_eq!((count(1, "file"), count(1_204, "file"), count(0, "file")), ("1 file".into(), "1,204 files".into(), "0 files".into()));
        assert_eq!(time(0, &TimeZone::UTC), "Thu 01 Jan 1970, 00:00");
    }
}
