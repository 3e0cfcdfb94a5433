//! How far the reading of everything has come, as a text that is kept between calls. A cache: when it is lost, a round begins anew.

use keepwell_storage::ObjectName;

const TITLE: &str = "keepwell scrub 1";
const DAY: i64 = 86_400;

/// A place in a round over all objects, which are read in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubCursor {
    /// When the round began, Unix seconds.
    pub started: i64,
    /// The object that was read last; none at the beginning.
    pub after: Option<ObjectName>,
    /// Bytes read in this round.
    pub done_bytes: u64,
    /// Rounds that were completed.
    pub rounds: u64,
}

impl ScrubCursor {
    /// The beginning of the first round.
    pub fn new(now: i64) -> Self {
        Self { started: now, after: None, done_bytes: 0, rounds: 0 }
    }

    /// As text.
    pub fn encode(&self) -> String {
        let after = self.after.map_or_else(|| "-".to_owned(), |name| name.to_string());
        format!("{TITLE}\nstarted {}\nafter {after}\ndone {}\nrounds {}\n", self.started, self.done_bytes, self.rounds)
    }

    /// From text; none when it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        if text.len() > 1000 || field("keepwell") != TITLE.strip_prefix("keepwell ") {
            return None;
        }
        let started = field("started")?.parse().ok()?;
        let after = match field("after")? {
            "-" => None,
            name => Some(ObjectName::parse(name)?),
        };
        let (done_bytes, rounds) = (field("done")?.parse().ok()?, field("rounds")?.parse().ok()?);
        Some(Self { started, after, done_bytes, rounds })
    }

    /// Bytes to be read now, so that a round over `total` bytes takes at most `days`, if this is asked at least once a day. After that many days it is all that
    /// is left, however much was read: the vault may have become smaller meanwhile.
    pub fn due(&self, total: u64, now: i64, days: u32) -> u64 {
        let days = i64::from(days.max(1));
        let age = now.saturating_sub(self.started);
        if age >= days.saturating_mul(DAY) {
            return total;
        }
        let ahead = age.max(0).saturating_add(DAY);
        let wanted = u128::from(total) * ahead.unsigned_abs() as u128 / (days as u128 * DAY as u128);
        // What a round has read that began in the future says nothing of today.
        let done = if age < 0 { 0 } else { self.done_bytes };
        u64::try_from(wanted).unwrap_or(u64::MAX).min(total).saturating_sub(done)
    }

    /// A round that began in the future, by a clock that was wrong then, began now.
    pub(super) fn mend(&mut self, now: i64) {
        if self.started > now {
            (self.started, self.done_bytes) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use keepwell_storage::{Class, ObjectId};

    use super::*;

    #[test]
    fn texts_come_back_and_others_do_not() {
        let name = ObjectName { class: Class::Manifest, id: ObjectId([7; 32]) };
        for after in [None, Some(name)] {
            let cursor = ScrubCursor { started: -5, after, done_bytes: u64::MAX, rounds: 3 };
            assert_eq!(ScrubCursor::parse(&cursor.encode()), Some(cursor));
        }
        let good = ScrubCursor::new(1).encode();
        for bad in ["", "keepwell scrub 2\nstarted 1\nafter -\ndone 0\nrounds 0\n", &good[..30], &good.replace('-', "packs/x")] {
            assert_eq!(ScrubCursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn daily_calls_end_a_round_in_time_and_missed_days_are_made_up_for() {
        for skipped in [1, 3] {
            let (mut cursor, total) = (ScrubCursor::new(0), 3_000_001);
            let mut last = 0;
            for day in (0..30).step_by(skipped) {
                let due = cursor.due(total, day * DAY, 30);
                last = last.max(due);
                cursor.done_bytes += due;
            }
            assert!(cursor.done_bytes >= total - 100_001 * (skipped as u64 - 1), "{cursor:?}");
            assert!(last <= 100_001 * skipped as u64, "{last}");
        }
        assert_eq!(ScrubCursor::new(0).due(u64::MAX, i64::MAX, 1), u64::MAX);
    }

    #[test]
    fn a_vault_that_shrinks_or_a_wrong_clock_does_not_end_the_scrub() {
        let cursor = ScrubCursor { started: 0, after: None, done_bytes: 1000, rounds: 0 };
        assert_eq!(cursor.due(300, 10 * DAY, 30), 0, "as much was read as there is");
        assert_eq!(cursor.due(300, 30 * DAY, 30), 300, "the round is ended");
        let mut future = ScrubCursor { started: 70 * 365 * DAY, after: None, done_bytes: 1000, rounds: 0 };
        assert_eq!(future.due(3000, DAY, 30), 100);
        future.mend(DAY);
        assert_eq!((future.started, future.due(3000, 2 * DAY, 30)), (DAY, 200));
    }
}
