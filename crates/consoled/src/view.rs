//! How what the box says looks on a page: a word, an icon and a colour always together; times in the practice's zone; sizes and counts as people read them.
//! Judges nothing: each of these is said by the box.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwell_api::disks::Verdict;
use keepwell_api::vault::{self, Outcome};
use keepwell_duties::status::{Mark as Standing, ShareState};
use keepwell_duties::{self as duties, Headline, Severity, Tier};

/// A status on a page. `status` is what the style sheet knows it by and is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// `ok`, `warn`, `bad`, `held`, `action`, `muted`.
    pub status: &'static str,
    /// Its icon.
    pub icon: &'static str,
    /// Its word.
    pub word: &'static str,
}

const fn mark(status: &'static str, icon: &'static str, word: &'static str) -> Mark {
    Mark { status, icon, word }
}

/// Nobody can say.
pub const UNKNOWN: Mark = mark("muted", "question", "Unknown");

/// The headline's.
pub fn of_headline(headline: Headline) -> Mark {
    match headline {
        Headline::Yes => mark("ok", "tick", "Yes"),
        Headline::Partly => mark("warn", "half", "Partly"),
        Headline::NotProven => mark("warn", "clock", "Not proven"),
        Headline::No => mark("bad", "cross", "No"),
    }
}

/// An answer's.
pub fn of_answer(answer: Standing) -> Mark {
    match answer {
        Standing::Proven => mark("ok", "tick", "Proven"),
        Standing::Overdue => mark("warn", "clock", "Overdue"),
        Standing::NotProven => mark("warn", "clock", "Not proven"),
        Standing::Unknown => UNKNOWN,
        Standing::NotSetUp => mark("bad", "slash", "Not set up"),
        Standing::Failed => mark("bad", "cross", "Failed"),
    }
}

/// A duty's.
pub fn of_standing(standing: &duties::Standing) -> Mark {
    match standing {
        duties::Standing::Proven { .. } => mark("ok", "tick", "Proven"),
        duties::Standing::Overdue { .. } => mark("warn", "clock", "Overdue"),
        duties::Standing::NeverProven { .. } => mark("warn", "clock", "Not proven"),
        duties::Standing::Failed { .. } => mark("bad", "cross", "Failed"),
        duties::Standing::Unknown => UNKNOWN,
    }
}

/// A share's.
pub fn of_share(state: ShareState) -> Mark {
    match state {
        ShareState::Fine => mark("ok", "tick", "Complete"),
        ShareState::Running => mark("action", "arrow", "Running"),
        ShareState::Partial => mark("warn", "half", "Partial"),
        ShareState::Held => mark("held", "hand", "Held"),
        ShareState::Failed => mark("bad", "cross", "Failed"),
        ShareState::Paused => mark("warn", "ring", "Waiting"),
        ShareState::DidNotRun => mark("bad", "ring", "Did not run"),
        ShareState::Overdue => mark("warn", "clock", "Overdue"),
        ShareState::NoCopy => mark("warn", "clock", "No copy yet"),
        ShareState::Unknown => UNKNOWN,
    }
}

/// A share that somebody paused.
pub const PAUSED: Mark = mark("muted", "ring", "Paused");

/// A run's or a restore's; none while it goes on.
pub fn of_outcome(outcome: Option<Outcome>) -> Mark {
    match outcome {
        None => mark("action", "arrow", "Running"),
        Some(Outcome::Complete) => mark("ok", "tick", "Complete"),
        Some(Outcome::Partial) => mark("warn", "half", "Partial"),
        Some(Outcome::Held) => mark("held", "hand", "Held"),
        Some(Outcome::Failed) => mark("bad", "cross", "Failed"),
        Some(Outcome::Cancelled) => mark("muted", "slash", "Cancelled"),
        Some(Outcome::Cut) => mark("warn", "broken", "Cut"),
    }
}

/// An incident's.
pub fn of_severity(severity: Severity) -> Mark {
    match severity {
        Severity::Notice => mark("muted", "note", "Notice"),
        Severity::Warning => mark("warn", "alert", "Warning"),
        Severity::Critical => mark("bad", "alert", "Critical"),
    }
}

/// A disk's health.
pub fn of_verdict(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Healthy => mark("ok", "tick", "Healthy"),
        Verdict::Unknown => UNKNOWN,
        Verdict::Suspect => mark("warn", "cracked", "Wearing out"),
        Verdict::Failing => mark("bad", "cross", "Failing"),
    }
}

/// Good or not, where there is nothing between.
pub const fn of_good(good: bool, word: &'static str, bad: &'static str) -> Mark {
    if good { mark("ok", "tick", word) } else { mark("bad", "cross", bad) }
}

/// As the status has it.
pub fn tier(tier: vault::Tier) -> Tier {
    match tier {
        vault::Tier::One => Tier::One,
        vault::Tier::Two => Tier::Two,
        vault::Tier::Three => Tier::Three,
    }
}

/// A moment, as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// For programs (RFC 3339).
    pub iso: String,
    /// For people.
    pub text: String,
}

/// Moments in the practice's zone.
#[derive(Clone, Debug)]
pub struct Times {
    zone: TimeZone,
    now: i64,
}

impl Times {
    /// As of now.
    pub fn new(zone: TimeZone, now: i64) -> Self {
        Self { zone, now }
    }

    /// Day and minute; of this year without the year.
    pub fn at(&self, at: i64) -> When {
        let (now, then) = (self.zoned(self.now), self.zoned(at));
        let form = match (then.date() == now.date(), then.year() == now.year()) {
            (true, _) => "today, %H:%M",
            (_, true) => "%a %-d %b, %H:%M",
            _ => "%-d %b %Y, %H:%M",
        };
        When { iso: then.timestamp().to_string(), text: then.strftime(form).to_string() }
    }

    /// Day and second, with the zone: what stands in a receipt.
    pub fn full(&self, at: i64) -> When {
        let then = self.zoned(at);
        When { iso: then.timestamp().to_string(), text: then.strftime("%-d %b %Y, %H:%M:%S %Z").to_string() }
    }

    /// Hour and minute.
    pub fn clock(&self, at: i64) -> String {
        self.zoned(at).strftime("%H:%M").to_string()
    }

    /// How long ago, or how soon.
    pub fn ago(&self, at: i64) -> String {
        match self.now - at {
            past @ 0.. => format!("{} ago", duties::words::duration(past)),
            ahead => format!("in {}", duties::words::duration(-ahead)),
        }
    }

    /// When something is due that may be late already.
    pub fn due(&self, at: i64) -> String {
        if at <= self.now { "as soon as possible".into() } else { self.at(at).text }
    }

    /// The day in the practice's zone.
    pub fn day(&self, at: i64) -> jiff::civil::Date {
        self.zoned(at).date()
    }

    /// Today.
    pub fn today(&self) -> jiff::civil::Date {
        self.day(self.now)
    }

    fn zoned(&self, at: i64) -> jiff::Zoned {
        Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.zone.clone())
    }
}

/// With commas: 412,806.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things, by the words for one and for several.
pub fn count(value: u64, one: &str, several: &str) -> String {
    if value == 1 { format!("1 {one}") } else { format!("{} {several}", number(value)) }
}

/// How long something took: exact where it was short.
pub fn took(seconds: i64) -> String {
    match seconds {
        0..120 => count(seconds.unsigned_abs(), "second", "seconds"),
        longer => duties::words::duration(longer),
    }
}

/// Bytes in units of a thousand, as disks are sold.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.5 { format!("{value:.0} {}", UNITS[unit]) } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Names as servers have them: what is no UTF-8 is shown so that it can be seen, and what would turn the line around is not obeyed.
pub fn name(bytes: &[u8]) -> String {
    let hidden =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    String::from_utf8_lossy(bytes).chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 412_806, 1_234_567].map(number), ["0", "999", "1,000", "412,806", "1,234,567"]);
        assert_eq!([0, 999, 1_000, 3_100_000_000, 120_400_000_000].map(size), ["0 bytes", "999 bytes", "1.0 kB", "3.1 GB", "120 GB"]);
        assert_eq!(size(999_999), "1.0 MB");
        assert_eq!([1, 48, 240].map(took), ["1 second", "48 seconds", "4 minutes"]);
        assert_eq!((count(1, "file", "files"), count(2_000, "file", "files")), ("1 file".into(), "2,000 files".into()));
    }

    #[test]
    fn moments_are_the_practices() {
        let times = Times::new(TimeZone::UTC, 1_800_000_000);
        assert_eq!(times.at(1_800_000_000 - 3_600).text, "today, 07:00");
        assert_eq!(times.at(1_800_000_000 - 86_400).text, "Thu 14 Jan, 08:00");
        assert_eq!(times.at(1_700_000_000).text, "14 Nov 2023, 22:13");
        assert_eq!((times.ago(1_800_000_000 - 300), times.ago(1_800_000_000 + 7_200)), ("5 minutes ago".into(), "in 2 hours".into()));
        assert_eq!(times.at(i64::MAX).text, "1 Jan 1970, 00:00");
    }

    #[test]
    fn names_do_not_turn_lines_around() {
        assert_eq!(name("a\u{202e}fdp.exe\n".as_bytes()), "a\u{fffd}fdp.exe\u{fffd}");
        assert_eq!(name(b"caf\xe9"), "caf\u{fffd}");
    }
}
