//! Words that all channels share: what became of an incident, how bad it is, and foreign words made harmless.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwell_api::notices::{Kind, Line, Severity};

/// Above the sentences.
pub(crate) fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Opened => "Something needs your attention",
        Kind::Worse => "It got worse",
        Kind::Reminder => "Reminder: this is not solved yet",
        Kind::Escalated => "Nobody has taken care of this yet",
        Kind::Closed => "Solved",
        Kind::Digest => "How the box is today",
        Kind::Test => "This is a test: nothing happened",
    }
}

/// For people.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "worth knowing",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// Unix seconds, for people at the box's place.
pub(crate) fn local_time(at: i64, zone: &TimeZone) -> String {
    match Timestamp::from_second(at) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => "at a time that no calendar has".to_owned(),
    }
}

/// What the other end says, whatever it is.
pub(crate) fn one_line(text: &str) -> Line {
    Line::clean(text)
}
