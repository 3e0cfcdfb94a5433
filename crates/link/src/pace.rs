//! How fast a box may send: no faster than somebody has set for this hour, and no faster than leaves the line free for others.
//!
//! A box sees of a line only how long its own packets take. Where somebody else needs it too, they wait in the router's memory, and answers come later than they ever did: then this box sends
//! less, and again more when the wait is over (after LEDBAT, RFC 6817). Pure: it is told the time.

use std::time::Duration;

/// The wait in the line that this box's packets may cause, or take part in.
const WAIT: Duration = Duration::from_millis(100);
/// Bytes a second that are sent whatever the others do: a backup that never ends protects nobody.
pub(crate) const FLOOR: f64 = 8_000.0;
/// Between two looks at how long packets take, unless they take longer.
const LOOK: Duration = Duration::from_millis(100);
/// How long a packet took counts for the shortest time for so long, and at most twice that: ways through the network change.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Written at a time at least: less is no packet.
const LEAST: f64 = 1_280.0;
/// What may be written at once after a rest, in seconds of the rate.
const BURST: f64 = 0.05;
/// Of the rate: what it grows by from one look to the next while nobody waits, and what it loses at most.
const GROWTH: f64 = 0.1;
const LOSS: f64 = 0.2;
/// Of what the line has lately taken: where a rate begins that was not needed before.
const FIRST: f64 = 0.8;

/// The pace of one line.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Bytes a second that somebody has set.
    limit: Option<f64>,
    is_courteous: bool,
    /// Bytes a second that leave the line free for others; none as long as nobody ever waited.
    rate: Option<f64>,
    /// Shortest time that a packet took, of this while and of the one before.
    shortest: [Option<Duration>; 2],
    turned: Duration,
    /// How long one took at the last look, and at the one before.
    took: [Duration; 2],
    /// Bytes that may be written now.
    tokens: f64,
    filled: Duration,
    looked: Duration,
    /// When the rate fell last.
    lost: Duration,
    /// Written since the last look.
    written: f64,
    /// What was written a second of late.
    lately: f64,
}

impl Pace {
    /// At this time, on a line of which nothing is known.
    pub(crate) fn new(is_courteous: bool, now: Duration) -> Self {
        Self {
            limit: None,
            is_courteous,
            rate: None,
            shortest: [None; 2],
            turned: now,
            took: [Duration::ZERO; 2],
            tokens: LEAST,
            filled: now,
            looked: now,
            lost: now,
            written: 0.0,
            lately: 0.0,
        }
    }

    /// What somebody has set: bytes a second, and whether others go first.
    pub(crate) fn set(&mut self, limit: Option<u64>, is_courteous: bool) {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let limit = limit.map(|limit| limit as f64);
        (self.limit, self.is_courteous) = (limit.map(|limit| limit.max(FLOOR)), is_courteous);
        if !is_courteous {
            self.rate = None;
        }
    }

    /// Bytes a second at the moment; none where nothing holds them back.
    pub(crate) fn rate(&self) -> Option<f64> {
        [self.limit, self.rate].into_iter().flatten().reduce(f64::min)
    }

    /// Bytes that may be written now, or how long it is until some may. None where nothing holds them back.
    pub(crate) fn may_write(&mut self, now: Duration) -> Option<Result<usize, Duration>> {
        let rate = self.rate()?;
        let went_by = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + rate * went_by).min((rate * BURST).max(2.0 * LEAST));
        if self.tokens < LEAST {
            return Some(Err(Duration::from_secs_f64((LEAST - self.tokens) / rate)));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least a packet, at most a burst")]
        Some(Ok(self.tokens as usize))
    }

    /// So much was written.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        #[expect(clippy::cast_precision_loss, reason = "of one write")]
        let bytes = bytes as f64;
        if self.rate().is_some() {
            self.tokens -= bytes;
        }
        self.written += bytes;
    }

    /// So long does a packet take on a connection on which nothing was sent yet.
    pub(crate) fn connected(&mut self, now: Duration, took: Duration) {
        if now.saturating_sub(self.turned) >= REMEMBERED {
            (self.shortest, self.turned) = ([None, self.shortest[0]], now);
        }
        self.shortest[0] = Some(self.shortest[0].map_or(took, |shortest| shortest.min(took)));
    }

    /// Whether it wants to know how long packets take.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        // What was changed shows when packets have gone there and back since.
        self.is_courteous && self.written > 0.0 && now.saturating_sub(self.looked) >= self.took[0].max(LOOK)
    }

    /// So long do packets take at the moment, there and back.
    pub(crate) fn look(&mut self, now: Duration, took: Duration) {
        let went_by = now.saturating_sub(self.looked).as_secs_f64();
        let speed = self.written / went_by.max(LOOK.as_secs_f64());
        // Over about a second.
        let share = went_by.clamp(0.0, 1.0);
        self.took = [took, self.took[0]];
        self.lately = self.lately * (1.0 - share) + speed * share;
        (self.looked, self.written) = (now, 0.0);
        self.connected(now, took);
        // A machine that was busy for a moment is no line that is full.
        let took = took.min(self.took[1].max(self.shortest().unwrap_or(took)));
        let waits = took.saturating_sub(self.shortest().unwrap_or(took)).as_secs_f64() / WAIT.as_secs_f64();
        self.rate = match self.rate {
            None if waits <= 1.0 => None,
            None => {
                self.lost = now;
                Some((self.lately * FIRST).max(FLOOR))
            }
            // What the last loss has done is not seen yet.
            Some(rate) if waits > 1.0 && now.saturating_sub(self.lost) < 2 * took => Some(rate),
            Some(rate) if waits > 1.0 => {
                self.lost = now;
                Some((rate.min(self.lately) * (1.0 - LOSS * (waits - 1.0).min(1.0))).max(FLOOR))
            }
            // A rate that is not made use of says nothing of the line.
            Some(rate) if speed < rate * FIRST => Some(rate),
            Some(rate) => Some(rate * (1.0 + GROWTH * (1.0 - waits) * (1.0 - waits))),
        };
    }

    fn shortest(&self) -> Option<Duration> {
        self.shortest.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::VecDeque;

    use super::*;

    /// Seconds between two states of the line.
    const STEP: f64 = 0.005;
    /// What a cheap router has of memory for packets that wait.
    const QUEUE: f64 = 65_536.0;
    /// What the system takes before the line does.
    const SYSTEM: f64 = 65_536.0;

    /// A line with a router before it, in which packets of two senders wait in order: this box, which always has more to send, and others.
    struct Line {
        pace: Pace,
        now: f64,
        /// Bytes a second, and seconds there and back.
        rate: f64,
        delay: f64,
        /// In the system, and in the router: own ones and those of others.
        system: f64,
        queue: [f64; 2],
        /// Seconds that packets waited, until those that did are answered; and how long one took, as the system smooths it.
        waits: VecDeque<f64>,
        took: f64,
        /// Seconds that machines at both ends add at most, and what draws them.
        busy: f64,
        drawn: u64,
    }

    /// What came of some time.
    #[derive(Debug)]
    struct Came {
        /// Of the line that this box got.
        own: f64,
        /// Seconds that packets waited, on average.
        wait: f64,
    }

    impl Line {
        fn new(rate: f64, delay: f64) -> Self {
            let mut pace = Pace::new(true, Duration::ZERO);
            pace.connected(Duration::ZERO, Duration::from_secs_f64(delay));
            Self { pace, now: 0.0, rate, delay, system: 0.0, queue: [0.0; 2], waits: VecDeque::new(), took: delay, busy: 0.04, drawn: 1 }
        }

        /// Others send `load` of the line meanwhile, or as much as the router takes.
        fn run(&mut self, seconds: f64, load: f64) -> Came {
            let (mut own, mut wait, until) = (0.0, 0.0, self.now + seconds);
            while self.now < until {
                self.now += STEP;
                let now = Duration::from_secs_f64(self.now);
                // This box writes what it may, and the system sends as much as may be unanswered.
                let room = (SYSTEM - self.system).max(0.0) as usize;
                if let Ok(allowed) = self.pace.may_write(now).unwrap_or(Ok(usize::MAX)) {
                    self.pace.wrote(allowed.min(room));
                    self.system += allowed.min(room) as f64;
                }
                let window = self.rate * self.delay + QUEUE - self.queue[0];
                let sent = self.system.min(window).min(QUEUE - self.queue[0] - self.queue[1]).max(0.0);
                self.system -= sent;
                self.queue[0] += sent;
                self.queue[1] += (load * self.rate * STEP).min((QUEUE - self.queue[0] - self.queue[1]).max(0.0));
                // What waits is served in the order in which it came: by shares.
                let waiting: f64 = self.queue.iter().sum();
                let served = waiting.min(self.rate * STEP);
                if waiting > 0.0 {
                    own += served * self.queue[0] / waiting;
                    self.queue = self.queue.map(|part| part * (1.0 - served / waiting));
                }
                wait += waiting / self.rate * STEP;
                self.drawn = self.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let busy = self.busy * (self.drawn >> 40) as f64 / (1_u64 << 24) as f64;
                self.waits.push_back(waiting / self.rate);
                // An answer for two packets, and each counts an eighth.
                let answers = (self.rate * STEP / 2_560.0).min(8.0);
                if self.waits.len() as f64 * STEP > self.delay
                    && let Some(waited) = self.waits.pop_front()
                {
                    self.took += (self.delay + busy + waited - self.took) * (answers / 8.0).min(1.0);
                }
                if self.pace.is_due(now) {
                    self.pace.look(now, Duration::from_secs_f64(self.took));
                }
            }
            Came { own: own / (self.rate * seconds), wait: wait / seconds }
        }
    }

    /// Lines from a bad one to a good one: bytes a second, and seconds there and back.
    const LINES: [(f64, f64); 5] = [(125_000.0, 0.3), (125_000.0, 0.03), (625_000.0, 0.05), (5e6, 0.02), (12.5e6, 0.1)];

    #[test]
    fn an_idle_line_is_used() {
        for (rate, delay) in LINES {
            let mut line = Line::new(rate, delay);
            let came = line.run(24.0, 0.0);
            assert!(came.own >= 0.9, "from the first byte on: {rate} B/s, {delay} s: {came:?}");
            let came = line.run(60.0, 0.0);
            assert!(came.own >= 0.92, "{rate} B/s, {delay} s: {came:?}");
            assert!(came.wait <= (2.0 * WAIT.as_secs_f64()).max(0.75 * delay), "{rate} B/s, {delay} s: {came:?}");
        }
    }

    #[test]
    fn somebody_who_talks_over_the_line_does_not_wait_for_a_backup() {
        for (rate, delay) in LINES {
            let mut line = Line::new(rate, delay);
            line.run(30.0, 0.0);
            line.run(10.0, 0.6);
            let came = line.run(60.0, 0.6);
            assert!(came.wait <= (2.0 * WAIT.as_secs_f64()).max(0.75 * delay), "{rate} B/s, {delay} s: {came:?}");
            assert!(came.own >= 0.25, "and the rest is used: {rate} B/s, {delay} s: {came:?}");
        }
    }

    #[test]
    fn who_needs_all_of_the_line_gets_it_but_for_a_little_and_only_as_long() {
        // On a line that is as fast as its router's memory is long.
        let (rate, delay) = (125_000.0, 0.3);
        let mut line = Line::new(rate, delay);
        line.run(30.0, 0.0);
        line.run(20.0, 5.0);
        let came = line.run(60.0, 5.0);
        assert!(came.own <= 0.15, "{came:?}");
        assert!(came.own * rate >= 0.5 * FLOOR, "a backup goes on: {came:?}");
        line.run(20.0, 0.0);
        let came = line.run(30.0, 0.0);
        assert!(came.own >= 0.85, "{came:?}");
    }

    #[test]
    fn a_line_that_nobody_needs_is_never_held_back_and_one_with_a_limit_always_is() {
        let mut pace = Pace::new(true, Duration::ZERO);
        for step in 1..1000_u64 {
            let now = Duration::from_millis(10 * step);
            assert_eq!(pace.may_write(now), None);
            pace.wrote(1 << 20);
            if pace.is_due(now) {
                pace.look(now, Duration::from_micros(300 + step));
            }
        }
        pace.set(Some(50_000), false);
        let mut written = 0;
        for step in 1000..3000_u64 {
            let now = Duration::from_millis(10 * step);
            if let Ok(some) = pace.may_write(now).unwrap() {
                pace.wrote(some);
                written += some;
            }
            assert!(!pace.is_due(now), "nobody asked for courtesy");
        }
        assert!((950_000..1_010_000).contains(&written), "{written} in 20 s");
        pace.set(Some(1), true);
        assert_eq!(pace.rate(), Some(FLOOR), "less would be nothing");
        pace.set(None, true);
        assert_eq!(pace.rate(), None);
    }

    #[test]
    fn who_waits_is_told_until_when() {
        let mut pace = Pace::new(true, Duration::ZERO);
        pace.set(Some(100_000), true);
        let first = pace.may_write(Duration::ZERO).unwrap().unwrap();
        pace.wrote(first);
        let wait = pace.may_write(Duration::ZERO).unwrap().unwrap_err();
        assert!(pace.may_write(wait / 2).unwrap().is_err());
        assert!(pace.may_write(wait + Duration::from_millis(1)).unwrap().is_ok());
    }
}
