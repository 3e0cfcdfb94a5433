//! What was opened lately in an emergency, so that a file which a program reads in many pieces stands once in the ledger and not a thousand times. In memory: after a restart
//! things are told once more, which is better than never.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use keepwell_api::grants::digest;

/// So long something counts as the same opening.
const SAME: Duration = Duration::from_secs(600);
/// More than these are not remembered.
const KEPT_MAX: usize = 10_000;

/// Who opened what, when: by a digest, so that no name lies here.
#[derive(Debug, Default)]
pub(crate) struct Opened(Mutex<HashMap<[u8; 32], Instant>>);

impl Opened {
    /// Tells of it, unless this was opened lately; whether it told. It counts as opened only once that has worked, and who opens the same meanwhile waits for it.
    pub(crate) fn once<E>(&self, one: [u8; 32], now: Instant, tell: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.len() >= KEPT_MAX {
            opened.retain(|_, at| now.duration_since(*at) < SAME);
        }
        if opened.len() >= KEPT_MAX {
            opened.clear();
        }
        if opened.get(&one).is_some_and(|at| now.duration_since(*at) < SAME) {
            return Ok(false);
        }
        tell()?;
        opened.insert(one, now);
        Ok(true)
    }
}

/// What is opened, and from where.
pub(crate) fn one(opening: u64, from: Option<IpAddr>, snapshot: &str, what: &str, path: &[u8]) -> [u8; 32] {
    let mut key = format!("{opening} {from:?} {snapshot} {what} ").into_bytes();
    key.extend_from_slice(path);
    digest(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_pieces_is_told_once_and_another_computer_again() {
        let (opened, now) = (Opened::default(), Instant::now());
        let is_new = |opening, from: &str, path: &[u8], now| {
            let told = opened.once(one(opening, from.parse().ok(), "snapshot", "content", path), now, || Ok::<_, ()>(()));
            told.unwrap()
        };
        assert!(is_new(1, "10.0.0.1", b"a", now));
        assert!(!is_new(1, "10.0.0.1", b"a", now));
        assert!(is_new(1, "10.0.0.2", b"a", now) && is_new(1, "10.0.0.1", b"b", now) && is_new(2, "10.0.0.1", b"a", now));
        assert!(is_new(1, "10.0.0.1", b"a", now + SAME));
        for number in 0..3 * KEPT_MAX {
            assert!(is_new(3, "10.0.0.1", &number.to_le_bytes(), now));
        }
        assert!(opened.0.lock().unwrap_or_else(PoisonError::into_inner).len() <= KEPT_MAX);
    }

    #[test]
    fn what_could_not_be_told_is_not_open_to_who_asks_at_the_same_time() {
        let (opened, now) = (Opened::default(), Instant::now());
        std::thread::scope(|scope| {
            let mut beside = None;
            let first = opened.once([1; 32], now, || {
                beside = Some(scope.spawn(|| opened.once([1; 32], now, || Ok::<_, ()>(()))));
                Err(())
            });
            assert_eq!(first, Err(()));
            assert_eq!(beside.unwrap().join().unwrap(), Ok(true), "it is told for this one");
        });
        assert_eq!(opened.once([1; 32], now, || Err(())), Ok(false));
    }
}
