//! What can be tried as often as somebody likes is told once an hour, with how often: the first time at once, the others together when the hour is over. Otherwise a flood of it
//! would push other events out and fill the ledger. In memory: who ends authd loses a number, and no first time.

use std::collections::BTreeMap;

use keepwell_api::grants::Verb;

use crate::store::Happened;
use crate::world::Now;

/// Told together, seconds.
pub const HOUR_S: u64 = 3600;
/// Kinds that are told apart at a time.
const KINDS_MAX: usize = 4096;

/// By word, actor and verb.
type Kind = (String, String, Option<Verb>);

#[derive(Debug)]
struct Counted {
    began: u64,
    more: u64,
    last: Happened,
}

/// What was told within the last hour.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<Kind, Counted>);

impl Tally {
    /// The event, if it is to be told now; else it is counted.
    pub fn take(&mut self, now: Now, verb: Option<Verb>, event: Happened) -> Option<Happened> {
        let kind = (event.code.clone(), event.actor.clone(), verb);
        if let Some(counted) = self.0.get_mut(&kind) {
            counted.more += 1;
            counted.last = event;
            return None;
        }
        // Users, words and verbs are fewer than this; what is not counted is told.
        if self.0.len() < KINDS_MAX {
            self.0.insert(kind, Counted { began: now.steady, more: 0, last: event.clone() });
        }
        Some(event)
    }

    /// What there is to be told of hours that are over: the last of each kind, with the number of all after the first.
    pub fn over(&mut self, now: Now) -> Vec<Happened> {
        let over: Vec<Kind> =
            self.0.iter().filter(|(_, counted)| now.steady >= counted.began + HOUR_S).map(|(kind, _)| kind.clone()).collect();
        let ended = over.iter().filter_map(|kind| self.0.remove(kind)).filter(|counted| counted.more > 0);
        ended.map(|Counted { more, last, .. }| last.with("times", more)).collect()
    }
}

#[cfg(test)]
mod tests {
    use keepwell_api::auth::EventKind;

    use super::*;

    fn refusal(at: i64, actor: &str) -> Happened {
        Happened::new(at, EventKind::Refusal, "wrong-proof", actor)
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_as_a_number() {
        let mut tally = Tally::default();
        let at = |steady| Now { wall: 9000, steady };
        assert_eq!(tally.take(at(0), None, refusal(1, "Ann")), Some(refusal(1, "Ann")));
        assert_eq!(tally.take(at(1), None, refusal(2, "Bob")), Some(refusal(2, "Bob")));
        assert!((2..1000).all(|n| tally.take(at(n), None, refusal(n.cast_signed(), "Ann")).is_none()));
        assert!(tally.over(at(HOUR_S - 1)).is_empty());
        assert_eq!(tally.over(at(HOUR_S + 1)), [refusal(999, "Ann").with("times", 998)], "Bob's is told");
        assert!(tally.over(at(3 * HOUR_S)).is_empty() && tally.take(at(HOUR_S + 2), None, refusal(3, "Ann")).is_some());
    }
}
