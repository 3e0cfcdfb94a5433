//! Who stands at the downtime share's door: which password was right for which opening, by its hash and in memory alone, and how often an address was wrong of late.
//! Decides about no opening: vaultd does, for each reading anew.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keepwell_api::Base64;
use keepwell_api::grants::digest;

/// Wrong passwords of an address in a time; then it is not asked for any more.
const TRIES_MAX: u32 = 5;
const TRIES_TIME: Duration = Duration::from_secs(60);
/// Addresses that are remembered; the oldest goes.
const ADDRESSES_MAX: usize = 1_024;
/// Ways to type the one password that are remembered.
const SPELLINGS_MAX: usize = 16;

/// All that is remembered.
#[derive(Debug, Default)]
pub(super) struct Guests(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The opening, and the hashes of what was typed and was right.
    opening: u64,
    right: Vec<[u8; 32]>,
    tries: HashMap<IpAddr, (Instant, u32)>,
}

impl Guests {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The opening that this password was right for.
    pub(super) fn opening(&self, secret: &Base64) -> Option<u64> {
        let seen = self.seen();
        seen.right.contains(&digest(secret.as_ref())).then_some(seen.opening)
    }

    /// It is right for this opening; what was right for another is forgotten.
    pub(super) fn remember(&self, opening: u64, secret: &Base64) {
        let (mut seen, hash) = (self.seen(), digest(secret.as_ref()));
        if seen.opening != opening {
            (seen.opening, seen.right) = (opening, Vec::new());
        }
        if !seen.right.contains(&hash) && seen.right.len() < SPELLINGS_MAX {
            seen.right.push(hash);
        }
    }

    /// That opening is over.
    pub(super) fn forget(&self, opening: u64) {
        let mut seen = self.seen();
        if seen.opening == opening {
            seen.right.clear();
        }
    }

    /// Counts a try of this address before it is known to be wrong, so that many at once are counted too. False: it tried too often.
    pub(super) fn tries(&self, from: Option<IpAddr>, now: Instant) -> bool {
        let mut seen = self.seen();
        let tries = &mut seen.tries;
        let from = of(from);
        if !tries.contains_key(&from) && tries.len() >= ADDRESSES_MAX {
            let oldest = tries.iter().min_by_key(|(_, (since, _))| *since).map(|(address, _)| *address);
            oldest.map(|oldest| tries.remove(&oldest));
        }
        let (since, many) = tries.entry(from).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= TRIES_TIME {
            (*since, *many) = (now, 0);
        }
        let may = *many < TRIES_MAX;
        *many += u32::from(may);
        may
    }

    /// That try was not wrong.
    pub(super) fn takes_back(&self, from: Option<IpAddr>) {
        if let Some((_, many)) = self.seen().tries.get_mut(&of(from)) {
            *many = many.saturating_sub(1);
        }
    }
}

/// Whoever has no address is one for all.
fn of(from: Option<IpAddr>) -> IpAddr {
    from.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_tries_in_a_minute() {
        let (guests, now) = (Guests::default(), Instant::now());
        let [pc, other] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
        (0..TRIES_MAX).for_each(|_| assert!(guests.tries(pc, now)));
        assert!(!guests.tries(pc, now) && guests.tries(other, now));
        guests.takes_back(pc);
        assert!(guests.tries(pc, now) && !guests.tries(pc, now));
        assert!(guests.tries(pc, now + TRIES_TIME));
        for number in 0..2 * ADDRESSES_MAX as u32 {
            guests.tries(Some(IpAddr::from(number.to_be_bytes())), now);
        }
        assert!(guests.seen().tries.len() <= ADDRESSES_MAX);
    }

    #[test]
    fn a_password_is_remembered_for_its_opening_alone() {
        let (guests, secret) = (Guests::default(), |text: &str| Base64::from(text.as_bytes().to_vec()));
        assert_eq!(guests.opening(&secret("a")), None);
        guests.remember(1, &secret("a"));
        guests.remember(1, &secret("A"));
        assert_eq!((guests.opening(&secret("a")), guests.opening(&secret("A")), guests.opening(&secret("b"))), (Some(1), Some(1), None));
        guests.remember(2, &secret("b"));
        assert_eq!((guests.opening(&secret("a")), guests.opening(&secret("b"))), (None, Some(2)));
        guests.forget(1);
        assert_eq!(guests.opening(&secret("b")), Some(2));
        guests.forget(2);
        assert_eq!(guests.opening(&secret("b")), None);
    }
}
