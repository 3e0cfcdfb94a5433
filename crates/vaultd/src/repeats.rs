//! What a page asks again by itself: the same person, the same verb, the very same question within some minutes stands in the ledger once. In memory and bounded; what is not known
//! here is recorded.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use keepwell_api::grants::{Grant, REPEAT_S, Verb, may_repeat};

/// Questions at a time; of more, all are recorded.
const QUESTIONS_MAX: usize = 1024;
const WHILE: Duration = Duration::from_secs(REPEAT_S as u64);

/// Who asked for what, with what.
type Question = (String, Verb, [u8; 32]);

/// When questions were last recorded.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<BTreeMap<Question, Instant>>);

impl Repeats {
    /// Whether the ledger has this question already.
    pub(crate) fn has(&self, grant: &Grant, now: Instant) -> bool {
        let is_fresh = |at: &Instant| now.saturating_duration_since(*at) < WHILE;
        grant.background && may_repeat(grant.verb) && self.lock().get(&question(grant)).is_some_and(is_fresh)
    }

    /// It was recorded.
    pub(crate) fn note(&self, grant: &Grant, now: Instant) {
        if !grant.background || !may_repeat(grant.verb) {
            return;
        }
        let mut known = self.lock();
        known.retain(|_, at| now.saturating_duration_since(*at) < WHILE);
        if known.len() < QUESTIONS_MAX {
            known.insert(question(grant), now);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Question, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn question(grant: &Grant) -> Question {
    (grant.user.clone(), grant.verb, grant.arguments)
}

#[cfg(test)]
mod tests {
    use keepwell_api::grants::{Role, Scope};

    use super::*;

    #[test]
    fn the_same_question_of_a_page_is_recorded_once_in_five_minutes() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        let (user, role, arguments) = ("Ann".to_owned(), Role::Owner, [1; 32]);
        let (boot, nonce, shares) = ([0; 16], [0; 16], Scope::default());
        let verb = Verb::FilesList;
        let grant = Grant { boot, user, role, verb, arguments, nonce, expires_at: 0, max_bytes: None, shares, background: true };
        assert!(!repeats.has(&grant, now));
        repeats.note(&grant, now);
        assert!(
            repeats.has(&Grant { nonce: [9; 16], ..grant.clone() }, now + WHILE - Duration::from_secs(1))
                && !repeats.has(&grant, now + WHILE)
        );
        let others = [
            Grant { background: false, ..grant.clone() },
            Grant { user: "Bob".into(), ..grant.clone() },
            Grant { verb: Verb::SnapshotsList, ..grant.clone() },
            Grant { arguments: [2; 32], ..grant.clone() },
            Grant { verb: Verb::Download, ..grant },
        ];
        for other in &others {
            assert!(!repeats.has(other, now), "{other:?}");
        }
        repeats.note(&others[0], now);
        repeats.note(&others[4], now);
        assert!(!repeats.has(&others[0], now) && !repeats.has(&others[4], now), "what a person does is recorded each time");
    }
}
