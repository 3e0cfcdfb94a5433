//! How many requests are in flight at once: as many as are useful, fewer when the server struggles. Owns the measure of its latency.
//!
//! A server is slow when answers to small requests take three times as long as they used to with as many in flight. Then half as
//! many are sent, and slowly more again. Must never keep the last request back.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Answers that make a verdict.
const WINDOW: usize = 32;

/// So many times the usual latency is slow.
const SLOW: f64 = 3.0;

/// Up to here more requests are risked.
const FAIR: f64 = 2.0;

/// Faster answers than this are all the same: nobody notices.
const FLOOR: Duration = Duration::from_millis(2);

/// What the usual latency may rise by with each verdict: a server that stays slower becomes the usual one in the end.
const DRIFT: f64 = 1.02;

/// The kind of small requests, where no others are measured.
const SMALL: u32 = 0;

/// By the power of two of the requests in flight: the queue that we make ourselves is no fault of the server.
const CLASSES: usize = 8;

/// Shared by all threads that use one share.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Debug)]
struct State {
    meter: Meter,
    /// Requests that somebody waits for.
    inside: usize,
    /// Reads of large files that were sent ahead.
    ahead: usize,
}

impl Pace {
    pub(crate) fn new(most: usize) -> Self {
        Self { state: Mutex::new(State { meter: Meter::new(most), inside: 0, ahead: 0 }), left: Condvar::new() }
    }

    /// Does something when its turn has come, without measuring it.
    pub(crate) fn turn<T>(&self, what: impl FnOnce() -> T) -> T {
        let _permit = self.enter();
        what()
    }

    /// Sends and awaits one small request when its turn has come, and measures it if it succeeds.
    pub(crate) fn small<T, E>(&self, request: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let permit = self.enter();
        let started = Instant::now();
        let answer = request();
        if answer.is_ok() {
            self.lock().meter.saw(SMALL, permit.beside, started.elapsed());
        }
        answer
    }

    /// Whether a further read may be sent ahead; it is given back when the permit is dropped. Never waits.
    pub(crate) fn ahead(&self) -> Option<AheadPermit<'_>> {
        let mut state = self.lock();
        let free = state.ahead < state.meter.limit;
        state.ahead += usize::from(free);
        free.then(|| AheadPermit { pace: self })
    }

    /// Requests that may be in flight now.
    pub(crate) fn limit(&self) -> usize {
        self.lock().meter.limit
    }

    /// Takes note of a small request that was sent without a turn.
    pub(crate) fn saw(&self, beside: usize, took: Duration) {
        self.saw_one_of(SMALL, beside, took);
    }

    /// Takes note of a request of a kind that takes about as long each time. Answers how many may be in flight now.
    pub(crate) fn saw_one_of(&self, kind: u32, beside: usize, took: Duration) -> usize {
        let mut state = self.lock();
        state.meter.saw(kind, beside, took);
        state.meter.limit
    }

    fn enter(&self) -> Permit<'_> {
        let mut state = self.lock();
        while state.inside >= state.meter.limit {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Permit { pace: self, beside: state.inside }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request that is awaited.
struct Permit<'a> {
    pace: &'a Pace,
    /// Requests in flight with it.
    beside: usize,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.pace.lock().inside -= 1;
        self.pace.left.notify_all();
    }
}

/// One read that was sent ahead.
#[derive(Debug)]
pub(crate) struct AheadPermit<'a> {
    pace: &'a Pace,
}

impl Drop for AheadPermit<'_> {
    fn drop(&mut self) {
        self.pace.lock().ahead -= 1;
    }
}

/// Turns latencies into a limit. Knows no clock.
#[derive(Debug)]
struct Meter {
    /// Requests in flight, from 1.
    limit: usize,
    most: usize,
    /// By kind.
    usual: HashMap<u32, [Usual; CLASSES]>,
    /// Latest latencies, as multiples of the usual one.
    recent: Vec<f64>,
}

#[derive(Debug, Default)]
struct Usual {
    micros: Option<f64>,
    seen: Vec<f64>,
}

impl Meter {
    fn new(most: usize) -> Self {
        Self { limit: most.max(1), most: most.max(1), usual: HashMap::new(), recent: Vec::with_capacity(WINDOW) }
    }

    fn saw(&mut self, kind: u32, beside: usize, took: Duration) {
        let micros = took.max(FLOOR).as_secs_f64() * 1e6;
        let class = (beside.max(1).ilog2() as usize).min(CLASSES - 1);
        if let Some(times) = self.usual.entry(kind).or_default()[class].compare(micros) {
            self.recent.push(times);
        }
        if self.recent.len() == WINDOW {
            let middle = median(&mut self.recent);
            self.recent.clear();
            if middle >= SLOW {
                self.limit = (self.limit / 2).max(1);
            } else if middle <= FAIR {
                self.limit = (self.limit + self.most.div_ceil(16)).min(self.most);
            }
        }
    }
}

impl Usual {
    /// How many times the usual latency this is; none while that is not known.
    fn compare(&mut self, micros: f64) -> Option<f64> {
        let times = self.micros.map(|usual| micros / usual);
        self.seen.push(micros);
        if self.seen.len() == WINDOW {
            let middle = median(&mut self.seen);
            self.seen.clear();
            self.micros = Some(self.micros.map_or(middle, |usual| middle.min(usual * DRIFT)));
        }
        times
    }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(meter: &mut Meter, answers: usize, beside: usize, millis: u64) {
        (0..answers).for_each(|_| meter.saw(SMALL, beside, Duration::from_millis(millis)));
    }

    #[test]
    fn a_server_that_gets_three_times_slower_gets_fewer_requests_and_more_when_it_recovers() {
        let mut meter = Meter::new(32);
        feed(&mut meter, 3 * WINDOW, 32, 10);
        assert_eq!(meter.limit, 32);
        feed(&mut meter, WINDOW, 32, 31);
        assert_eq!(meter.limit, 16);
        // With half as many in flight nothing is known yet; then it is.
        feed(&mut meter, WINDOW, 16, 10);
        assert_eq!(meter.limit, 16);
        feed(&mut meter, 2 * WINDOW, 16, 40);
        assert_eq!(meter.limit, 4);
        feed(&mut meter, WINDOW, 16, 10);
        assert_eq!(meter.limit, 6);
        feed(&mut meter, 40 * WINDOW, 16, 10);
        assert_eq!(meter.limit, 32);
    }

    #[test]
    fn single_slow_answers_and_fast_servers_change_nothing() {
        let mut meter = Meter::new(16);
        for round in 0..400 {
            feed(&mut meter, 1, 16, if round % 3 == 0 { 900 } else { 5 });
        }
        assert_eq!(meter.limit, 16);
        let mut meter = Meter::new(16);
        (0..200).for_each(|_| meter.saw(SMALL, 16, Duration::from_micros(100)));
        (0..200).for_each(|_| meter.saw(SMALL, 16, Duration::from_micros(1_900)));
        assert_eq!(meter.limit, 16);
    }

    #[test]
    fn kinds_are_compared_with_their_own() {
        let mut meter = Meter::new(16);
        for _ in 0..4 * WINDOW {
            meter.saw(1, 16, Duration::from_millis(5));
            meter.saw(2, 16, Duration::from_millis(500));
        }
        assert_eq!(meter.limit, 16);
        (0..WINDOW).for_each(|_| meter.saw(1, 16, Duration::from_millis(20)));
        assert_eq!(meter.limit, 8);
    }

    #[test]
    fn one_request_is_always_allowed() {
        let mut meter = Meter::new(2);
        feed(&mut meter, 2 * WINDOW, 1, 3);
        feed(&mut meter, 20 * WINDOW, 1, 3_000);
        assert!(meter.limit >= 1);
        let pace = Pace::new(0);
        assert_eq!(pace.small(|| Ok::<_, ()>(7)), Ok(7));
        let first = pace.ahead();
        assert!(first.is_some() && pace.ahead().is_none());
        drop(first);
        assert!(pace.ahead().is_some());
    }
}
