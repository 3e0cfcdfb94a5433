//! How much is still to be sent, and how long that takes at the rate of late. Pure but for the running clock that it is given.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keepwell_api::offsite::Backlog as Left;
use keepwell_format::SnapshotId;
use keepwell_offsite::{Backlog, Step, Timetable};

/// How much what was sent before an object counts for the rate beside it.
const FADE: f64 = 0.95;
/// Of a limit: what comes so near to it was held back by it.
const NEARLY: f64 = 0.8;

/// The way of a round.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// Bytes until a tier is safe; of all tiers, the last one.
    left: BTreeMap<Option<u8>, u64>,
    /// What was sent of them.
    done: u64,
    /// Bytes and seconds of late.
    sent: (f64, f64),
    /// Of them, while the line was slower than any limit: what it brings by itself.
    free: (f64, f64),
    since: Option<Instant>,
}

impl Way {
    /// This is to be sent; `tier` is that of the newest snapshots of shares.
    pub(crate) fn plan(&mut self, backlog: &Backlog, tier: impl Fn(SnapshotId) -> Option<u8>) {
        let mut bytes = 0;
        self.left.clear();
        self.done = 0;
        for step in &backlog.steps {
            match step {
                Step::Put { length, .. } => bytes += length,
                Step::Accept(manifest) => {
                    if let Some(tier) = tier(*manifest) {
                        self.left.insert(Some(tier), bytes);
                    }
                }
            }
        }
        self.left.insert(None, bytes);
    }

    /// Sending begins.
    pub(crate) fn start(&mut self) {
        self.since = Some(Instant::now());
    }

    /// So much became durable there.
    pub(crate) fn stored(&mut self, bytes: u64, limit: Option<u64>) {
        let now = Instant::now();
        let took = self.since.replace(now).map_or(Duration::ZERO, |since| now - since);
        self.add(bytes, took, limit);
    }

    fn add(&mut self, bytes: u64, took: Duration, limit: Option<u64>) {
        self.done += bytes;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let (bytes, limit) = (bytes as f64, limit.map(|limit| limit as f64));
        let add = |to: &mut (f64, f64)| *to = (to.0 * FADE + bytes, to.1 * FADE + took.as_secs_f64());
        add(&mut self.sent);
        if limit.is_none_or(|limit| bytes < NEARLY * limit * took.as_secs_f64()) {
            add(&mut self.free);
        }
    }

    /// Bytes a second.
    pub(crate) fn rate(&self) -> Option<u64> {
        rate(self.sent)
    }

    /// What is left, the first tier first and all of it last.
    pub(crate) fn left(&self, limits: &Timetable, now: i64) -> Vec<Left> {
        let brings = rate(self.free).or(self.rate());
        let told = |(tier, bytes): (&Option<u8>, &u64)| {
            let bytes = bytes.saturating_sub(self.done);
            Left { tier: *tier, bytes, forecast_s: brings.map(|rate| limits.takes(bytes, rate, now)) }
        };
        let (all, tiers): (Vec<_>, Vec<_>) = self.left.iter().partition(|(tier, _)| tier.is_none());
        tiers.into_iter().chain(all).map(told).collect()
    }
}

fn rate((bytes, seconds): (f64, f64)) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people, at least 1")]
    let rate = (bytes / seconds) as u64;
    (seconds > 0.0 && rate > 0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use keepwell_wire::Class;

    use super::*;

    #[test]
    fn a_tier_is_safe_when_the_newest_of_each_of_its_shares_is_there() {
        let put = |id: u8, length| Step::Put { class: Class::Pack, id: [id; 32], length };
        let accept = |id: u8| Step::Accept(SnapshotId([id; 32]));
        let steps = vec![put(1, 100), accept(1), put(2, 50), accept(2), put(3, 1000), accept(3), put(4, 7), accept(4)];
        let mut way = Way::default();
        let tier = |manifest: SnapshotId| match manifest.0[0] {
            1 | 2 => Some(1),
            3 => Some(3),
            _ => None,
        };
        way.plan(&Backlog { steps }, tier);
        let left =
            |way: &Way| way.left(&Timetable::default(), 0).iter().map(|left| (left.tier, left.bytes, left.forecast_s)).collect::<Vec<_>>();
        assert_eq!(left(&way), [(Some(1), 150, None), (Some(3), 1150, None), (None, 1157, None)]);
        way.add(120, Duration::from_secs(2), None);
        assert_eq!(left(&way), [(Some(1), 30, Some(1)), (Some(3), 1030, Some(18)), (None, 1037, Some(18))]);
        way.add(2000, Duration::from_secs(2), None);
        assert_eq!(left(&way)[0].1, 0, "what was not foreseen counts as well");
    }

    #[test]
    fn a_limit_of_now_says_nothing_of_the_night() {
        let mut way = Way::default();
        way.left.insert(None, 100_000);
        way.add(5_000, Duration::from_secs(10), Some(1000));
        let limits = Timetable::new(vec![(0, Some(100)), (100, None)]);
        assert_eq!(way.left(&limits, 0)[0].forecast_s, Some(100 + 170), "the line brings 500 a second: 95,000 are left");
        way.add(1_000, Duration::from_secs(10), Some(100));
        assert_eq!(way.rate(), Some(294));
        assert_eq!(way.left(&limits, 0)[0].forecast_s, Some(100 + 168), "and is no slower for being held back");
    }
}
