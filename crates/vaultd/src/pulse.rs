//! Whether the steward goes on, for the service manager. A disk that is slow is no hanging program, so the limit is generous; and opening the vault may take hours where its index
//! has to be made anew, so that has none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A round of the steward takes a moment, and some minutes where the disk with the state is about to die.
const LIMIT: Duration = Duration::from_secs(600);

/// When the steward came round last.
#[derive(Debug)]
pub(crate) struct Pulse {
    began: Instant,
    beat_ms: AtomicU64,
    long: AtomicBool,
}

/// As long as this lives, it may take as long as it takes.
pub(crate) struct Long<'a>(&'a Pulse);

impl Pulse {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), beat_ms: AtomicU64::new(0), long: AtomicBool::new(false) }
    }

    /// It came round.
    pub(crate) fn beat(&self) {
        self.beat_ms.store(self.now_ms(), Ordering::Release);
    }

    /// What begins now may take hours.
    pub(crate) fn long(&self) -> Long<'_> {
        self.long.store(true, Ordering::Release);
        Long(self)
    }

    /// Whether it goes on.
    pub(crate) fn goes_on(&self) -> bool {
        self.long.load(Ordering::Acquire) || self.is_within(self.now_ms())
    }

    fn is_within(&self, now_ms: u64) -> bool {
        u128::from(now_ms.saturating_sub(self.beat_ms.load(Ordering::Acquire))) < LIMIT.as_millis()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Long<'_> {
    fn drop(&mut self) {
        self.0.beat();
        self.0.long.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_come_round_in_time_hangs_unless_it_takes_long_by_its_nature() {
        let pulse = Pulse::new();
        let limit_ms = u64::try_from(LIMIT.as_millis()).unwrap();
        assert!(pulse.goes_on() && pulse.is_within(limit_ms - 1) && !pulse.is_within(limit_ms));
        pulse.beat_ms.store(limit_ms, Ordering::Release);
        assert!(pulse.is_within(2 * limit_ms - 1) && !pulse.is_within(2 * limit_ms));
        let long = pulse.long();
        assert!(pulse.goes_on());
        drop(long);
        assert!(pulse.goes_on() && pulse.beat_ms.load(Ordering::Acquire) < limit_ms, "its end is a beat");
    }
}
