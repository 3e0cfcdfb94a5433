//! Who is signed in. In memory alone: a restart signs everybody out, and a stolen state holds no session. Counts on the clock that never goes back.

use std::collections::HashMap;

use keepwell_api::Base64;
use keepwell_api::grants::{FRESH_S, HOURLY_DOWNLOAD_BYTES, Verb, needs_own_factor};
use sha2::{Digest as _, Sha256};

use crate::world::Now;

/// Without a request, a session ends after so many seconds.
pub const IDLE_S: u32 = 10 * 60;
/// No session is longer.
pub const LONGEST_S: u32 = 12 * 3600;
/// Of one user at a time; the oldest goes.
const OF_ONE_MAX: usize = 16;
/// So long a download counts, seconds.
const HOUR_S: u64 = 3600;

/// Wrong codes in a session that end it: who rides one has few guesses, and locks nobody out with them.
pub const WRONG_CODES_MAX: u32 = 5;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose: the key of their account.
    pub user: String,
    began: u64,
    used: u64,
    /// When a second factor was last shown.
    proven: u64,
    /// When one was last shown to change users, tokens or the sealed code.
    proven_for_people: Option<u64>,
    /// When one was last shown to print papers.
    proven_for_papers: Option<u64>,
    wrong_codes: u32,
    /// Since when downloads are counted, and their bytes.
    downloads: (u64, u64),
}

impl Held {
    /// When it ends, and when unless it is used, Unix seconds.
    pub fn ends(&self, now: Now) -> (i64, i64) {
        let at = |steady: u64| now.wall.saturating_add_unsigned(steady.saturating_sub(now.steady));
        let last = self.began + u64::from(LONGEST_S);
        (at(last), at(last.min(self.used + u64::from(IDLE_S))))
    }

    /// Whether the second factor was shown lately. For users, tokens and the sealed code only one counts that was shown for them, and for papers one for papers: who signs in, or wants the one, has not said that they want the other.
    pub fn is_fresh(&self, verb: Verb, now: Now) -> bool {
        let proven = match verb {
            Verb::KitPrint => self.proven_for_papers,
            verb if needs_own_factor(verb) => self.proven_for_people,
            _ => Some(self.proven),
        };
        proven.is_some_and(|proven| now.steady < proven + u64::from(FRESH_S))
    }

    /// Until when it counts, Unix seconds; past if it does no more.
    pub fn fresh_until(&self, now: Now) -> i64 {
        until(self.proven, now)
    }

    /// The same for users, tokens and the sealed code.
    pub fn people_until(&self, now: Now) -> i64 {
        self.proven_for_people.map_or(0, |proven| until(proven, now))
    }

    /// The same for papers.
    pub fn papers_until(&self, now: Now) -> i64 {
        self.proven_for_papers.map_or(0, |proven| until(proven, now))
    }

    /// Bytes that may still be downloaded in this hour without a code.
    pub fn download_left(&self, now: Now) -> u64 {
        let (began, bytes) = self.downloads;
        if now.steady < began + HOUR_S { HOURLY_DOWNLOAD_BYTES.saturating_sub(bytes) } else { HOURLY_DOWNLOAD_BYTES }
    }

    fn holds(&self, now: Now) -> bool {
        now.steady < self.began + u64::from(LONGEST_S) && now.steady < self.used + u64::from(IDLE_S)
    }
}

fn until(proven: u64, now: Now) -> i64 {
    now.wall.saturating_add((proven + u64::from(FRESH_S)).cast_signed() - now.steady.cast_signed())
}

/// All sessions, by the hash of what stands for them.
#[derive(Debug, Default)]
pub struct Sessions(HashMap<[u8; 32], Held>);

impl Sessions {
    /// Begins one.
    pub fn begin(&mut self, token: &[u8; 32], user: &str, now: Now) -> Held {
        self.0.retain(|_, held| held.holds(now));
        while self.0.values().filter(|held| held.user == user).count() >= OF_ONE_MAX {
            let oldest = self.0.iter().filter(|(_, held)| held.user == user).min_by_key(|(_, held)| held.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            self.0.remove(&oldest);
        }
        let held = Held {
            user: user.to_owned(),
            began: now.steady,
            used: now.steady,
            proven: now.steady,
            proven_for_people: None,
            proven_for_papers: None,
            wrong_codes: 0,
            downloads: (now.steady, 0),
        };
        self.0.insert(key(token), held.clone());
        held
    }

    /// The session that this stands for, if it still holds.
    pub fn find(&self, token: &Base64, now: Now) -> Option<&Held> {
        self.0.get(&key(token.as_ref())).filter(|held| held.holds(now))
    }

    /// The same, and the person did something.
    pub fn touch(&mut self, token: &Base64, now: Now) -> Option<Held> {
        let held = self.0.get_mut(&key(token.as_ref())).filter(|held| held.holds(now))?;
        held.used = now.steady;
        Some(held.clone())
    }

    /// The person has shown their second factor again, for this if it was asked for. A code for a download has the hour begin anew.
    pub fn freshen(&mut self, token: &Base64, verb: Option<Verb>, now: Now) {
        if let Some(held) = self.0.get_mut(&key(token.as_ref())) {
            (held.proven, held.wrong_codes) = (now.steady, 0);
            match verb {
                Some(Verb::KitPrint) => held.proven_for_papers = Some(now.steady),
                Some(verb) if needs_own_factor(verb) => held.proven_for_people = Some(now.steady),
                Some(Verb::Download) => held.downloads = (now.steady, 0),
                _ => {}
            }
        }
    }

    /// So many bytes are given, within what is left.
    pub fn charge(&mut self, token: &Base64, bytes: u64, now: Now) {
        if let Some(held) = self.0.get_mut(&key(token.as_ref())) {
            if now.steady >= held.downloads.0 + HOUR_S {
                held.downloads = (now.steady, 0);
            }
            held.downloads.1 = held.downloads.1.saturating_add(bytes);
        }
    }

    /// A wrong code was shown in it. Whether the session is over by that.
    pub fn wrong_code(&mut self, token: &Base64) -> bool {
        let key = key(token.as_ref());
        let Some(held) = self.0.get_mut(&key) else { return true };
        held.wrong_codes += 1;
        let over = held.wrong_codes >= WRONG_CODES_MAX;
        if over {
            self.0.remove(&key);
        }
        over
    }

    /// Ends one.
    pub fn end(&mut self, token: &Base64) {
        self.0.remove(&key(token.as_ref()));
    }

    /// Ends all of a user's, but this one.
    pub fn end_all_of(&mut self, user: &str, but: Option<&Base64>) {
        let but = but.map(|token| key(token.as_ref()));
        self.0.retain(|key, held| held.user != user || but == Some(*key));
    }
}

fn key(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(steady: u64) -> Now {
        Now { wall: 5000 + steady as i64, steady }
    }

    #[test]
    fn a_session_ends_when_idle_and_in_the_end_anyway() {
        let token = Base64::from(vec![1; 32]);
        let mut sessions = Sessions::default();
        let held = sessions.begin(&[1; 32], "a", at(0));
        assert_eq!(held.ends(at(0)), (5000 + 43_200, 5600));
        assert!(sessions.find(&token, at(599)).is_some() && sessions.find(&token, at(600)).is_none());
        // Kept alive by requests, not by looks.
        let mut now = 0;
        while sessions.touch(&token, at(now)).is_some() {
            assert!(now < u64::from(LONGEST_S));
            now += 599;
        }
        assert!(now >= u64::from(LONGEST_S));
        assert!(sessions.touch(&Base64::from(vec![2; 32]), at(0)).is_none());
    }

    #[test]
    fn a_second_factor_counts_for_five_minutes_and_the_fifth_wrong_code_ends_the_session() {
        let token = Base64::from(vec![1; 32]);
        let mut sessions = Sessions::default();
        sessions.begin(&[1; 32], "a", at(0));
        assert!(sessions.find(&token, at(299)).unwrap().is_fresh(Verb::Restore, at(299)));
        let held = sessions.touch(&token, at(300)).unwrap();
        assert!(!held.is_fresh(Verb::Restore, at(300)) && held.fresh_until(at(300)) == 5300 && held.fresh_until(at(400)) == 5300);
        assert!((0..4).all(|_| !sessions.wrong_code(&token)));
        sessions.freshen(&token, Some(Verb::Restore), at(400));
        let held = sessions.find(&token, at(699)).unwrap();
        assert!(
            held.is_fresh(Verb::Restore, at(699))
                && !held.is_fresh(Verb::UsersManage, at(400))
                && !held.is_fresh(Verb::KitPrint, at(400))
                && held.people_until(at(400)) == 0
                && held.papers_until(at(400)) == 0
        );
        sessions.freshen(&token, Some(Verb::UsersManage), at(400));
        let held = sessions.find(&token, at(699)).unwrap();
        assert!(
            held.is_fresh(Verb::UsersManage, at(699)) && !held.is_fresh(Verb::UsersManage, at(700)) && held.people_until(at(700)) == 5700
        );
        assert!(!held.is_fresh(Verb::KitPrint, at(400)) && held.papers_until(at(400)) == 0, "people are no papers");
        sessions.freshen(&token, Some(Verb::KitPrint), at(700));
        let held = sessions.find(&token, at(700)).unwrap();
        assert!(held.is_fresh(Verb::KitPrint, at(999)) && !held.is_fresh(Verb::KitPrint, at(1000)) && held.papers_until(at(700)) == 6000);
        assert!(!held.is_fresh(Verb::UsersManage, at(700)), "nor papers people");
        assert!((0..4).all(|_| !sessions.wrong_code(&token)) && sessions.wrong_code(&token));
        assert!(sessions.find(&token, at(401)).is_none() && sessions.wrong_code(&token));
    }

    #[test]
    fn downloads_are_counted_for_an_hour_or_until_a_code_is_shown_for_one() {
        let token = Base64::from(vec![1; 32]);
        let mut sessions = Sessions::default();
        sessions.begin(&[1; 32], "a", at(0));
        let left = |sessions: &mut Sessions, now| sessions.touch(&token, at(now)).unwrap().download_left(at(now));
        sessions.charge(&token, 100, at(0));
        sessions.charge(&token, 50, at(10));
        assert_eq!(left(&mut sessions, 10), HOURLY_DOWNLOAD_BYTES - 150);
        sessions.charge(&token, u64::MAX, at(20));
        sessions.freshen(&token, Some(Verb::Restore), at(20));
        assert_eq!(left(&mut sessions, 20), 0);
        sessions.freshen(&token, Some(Verb::Download), at(30));
        sessions.charge(&token, 7, at(40));
        assert_eq!(left(&mut sessions, 40), HOURLY_DOWNLOAD_BYTES - 7);
        assert!((1..7).all(|n| left(&mut sessions, 40 + n * 500) == HOURLY_DOWNLOAD_BYTES - 7));
        assert_eq!(left(&mut sessions, 3630), HOURLY_DOWNLOAD_BYTES);
        sessions.charge(&token, 9, at(3640));
        assert_eq!(left(&mut sessions, 3640), HOURLY_DOWNLOAD_BYTES - 9);
    }

    #[test]
    fn sessions_end_by_user_and_are_bounded() {
        let mut sessions = Sessions::default();
        for n in 0..40 {
            sessions.begin(&[n; 32], "a", at(n.into()));
        }
        sessions.begin(&[99; 32], "b", at(40));
        assert_eq!(sessions.0.len(), OF_ONE_MAX + 1);
        let newest = Base64::from(vec![39; 32]);
        sessions.end_all_of("a", Some(&newest));
        assert!(sessions.find(&newest, at(41)).is_some() && sessions.0.len() == 2);
        sessions.end_all_of("a", None);
        sessions.end(&Base64::from(vec![99; 32]));
        assert!(sessions.0.is_empty());
    }
}
