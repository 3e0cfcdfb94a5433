//! The computers that people sign in from, as consoles see them, and how much each of them may try. One of them keeps nobody else out, and none keeps out who stands at the box.
//!
//! In memory, bounded. Wrong attempts at one user are the account's matter ([`crate::lockout`]).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::error::AuthError;

/// Wrong attempts of one, at whatever users, within [`WINDOW_S`].
pub const WRONG_MAX: u32 = 30;
/// So long they count, seconds.
pub const WINDOW_S: u64 = 10 * 60;
/// Passwords of one that are looked at or wait for that.
const AT_ONCE_MAX: u32 = 2;
/// As many are kept apart; of more, those who were there first are forgotten.
const SOURCES_MAX: usize = 2048;

/// One of them: an address, in IPv6 the network of it (RFC 4291, section 2.5.4), empty if a console did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Source(String);

impl Source {
    /// What a console said.
    pub fn parse(said: Option<&str>) -> Self {
        let Some(address) = said.and_then(|said| said.parse::<IpAddr>().ok()) else { return Self::default() };
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        })
    }

    /// For the ledger.
    pub fn as_str(&self) -> &str {
        if self.0.is_empty() { "unknown" } else { &self.0 }
    }
}

#[derive(Debug, Default)]
struct Tries {
    began: u64,
    wrong: u32,
    at_once: u32,
}

/// All of them that tried lately.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<Source, Tries>);

impl Sources {
    /// An attempt begins, unless there were too many.
    pub fn begin(&mut self, source: &Source, steady: u64) -> Result<(), AuthError> {
        self.0.retain(|_, tries| steady < tries.began + WINDOW_S);
        if !self.0.contains_key(source) && self.0.len() >= SOURCES_MAX {
            let first = self.0.iter().min_by_key(|(_, tries)| tries.began).map(|(source, _)| source.clone());
            first.map(|first| self.0.remove(&first));
        }
        let tries = self.0.entry(source.clone()).or_insert(Tries { began: steady, ..Tries::default() });
        if tries.wrong >= WRONG_MAX {
            return Err(AuthError::SignInWait((tries.began + WINDOW_S - steady).div_ceil(60)));
        }
        if tries.at_once >= AT_ONCE_MAX {
            return Err(AuthError::Busy);
        }
        tries.at_once += 1;
        Ok(())
    }

    /// It is over.
    pub fn end(&mut self, source: &Source, wrong: bool) {
        if let Some(tries) = self.0.get_mut(source) {
            tries.at_once = tries.at_once.saturating_sub(1);
            tries.wrong += u32::from(wrong);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_console_says_is_an_address_or_nothing() {
        let parsed = |said: &str| Source::parse(Some(said)).as_str().to_owned();
        assert_eq!(parsed("192.168.1.7"), "192.168.1.7");
        assert_eq!(parsed("::ffff:192.168.1.7"), "192.168.1.7");
        assert_eq!(parsed("fd00:1:2:3:4:5:6:7"), "fd00:1:2:3::/64");
        for odd in ["", "192.168.1.7:80", "a\nb", &"1".repeat(100_000)] {
            assert_eq!(parsed(odd), "unknown");
        }
    }

    #[test]
    fn one_tries_so_often_and_two_at_a_time_and_the_others_are_not_kept_waiting() {
        let (mut sources, loud, other) = (Sources::default(), Source::parse(Some("10.0.0.1")), Source::parse(Some("10.0.0.2")));
        for _ in 0..WRONG_MAX {
            sources.begin(&loud, 0).unwrap();
            sources.end(&loud, true);
        }
        assert!(matches!(sources.begin(&loud, 60), Err(AuthError::SignInWait(9))));
        sources.begin(&other, 60).unwrap();
        sources.begin(&other, 60).unwrap();
        assert!(matches!(sources.begin(&other, 60), Err(AuthError::Busy)));
        sources.end(&other, false);
        sources.begin(&other, 60).unwrap();
        sources.begin(&loud, WINDOW_S).unwrap();
        for n in 0..10_000_u32 {
            sources.begin(&Source::parse(Some(&std::net::Ipv4Addr::from_bits(n).to_string())), WINDOW_S).unwrap();
        }
        assert_eq!(sources.0.len(), SOURCES_MAX);
    }
}
