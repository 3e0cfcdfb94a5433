//! Invitations (`docs/wire.md` 3): who was told a token may become a tenant, once. They live in memory alone: a start of the program ends all of them, and no file ever holds a token.

use keepwell_wire::Token;
use keepwell_wire::pairing::{Between, Side};

/// Seconds for which an invitation is good.
pub const GOOD_FOR: u64 = 3600;
/// Proofs that may be wrong before it is gone.
const WRONG: u8 = 3;
/// Open at a time.
const MOST: usize = 8;

/// One.
#[derive(Debug)]
pub struct Open {
    /// What whoever is invited has to know.
    pub token: Token,
    /// In seconds of the clock that nobody sets.
    until: u64,
    wrong: u8,
    /// What they get.
    pub terms: Offered,
}

/// What whoever was invited gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Bytes.
    pub quota: u64,
    /// What this place is called.
    pub place: String,
    /// The second organisation's key, as digits: with the papers, it can have things kept for a shorter time.
    pub second_key: Option<String>,
}

/// All that are open.
#[derive(Default)]
pub struct Invitations {
    open: Vec<Open>,
}

impl Invitations {
    /// One more. Of too many the oldest goes.
    pub fn add(&mut self, token: Token, terms: Offered, now: u64) {
        self.open.retain(|one| one.until > now);
        if self.open.len() >= MOST {
            self.open.remove(0);
        }
        self.open.push(Open { token, until: now + GOOD_FOR, wrong: 0, terms });
    }

    /// It was right, and whoever had it could not be taken in: they may try again.
    pub fn give_back(&mut self, one: Open) {
        self.open.push(one);
    }

    /// How many there are.
    pub fn count(&mut self, now: u64) -> usize {
        self.open.retain(|one| one.until > now);
        self.open.len()
    }

    /// Takes out the one that a source proves to have; a proof that fits none counts against each.
    pub fn take(&mut self, between: &Between, said: &[u8], proof: &[u8; 32], now: u64) -> Option<Open> {
        self.open.retain(|one| one.until > now);
        if let Some(found) = self.open.iter().position(|one| between.is_proven(&one.token, Side::Source, said, proof)) {
            return Some(self.open.remove(found));
        }
        self.open.iter_mut().for_each(|one| one.wrong += 1);
        self.open.retain(|one| one.wrong < WRONG);
        None
    }
}

impl std::fmt::Debug for Invitations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invitations").field("open", &self.open.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use keepwell_wire::KeyName;

    use super::*;

    fn between(source: u8) -> Between {
        Between { source: KeyName([source; 32]), receiver: KeyName([9; 32]), exporter: [5; 32] }
    }

    fn with(token: u8) -> Invitations {
        let mut invitations = Invitations::default();
        invitations.add(Token::from_bytes([token; 16]), Offered { quota: token.into(), place: String::new(), second_key: None }, 100);
        invitations
    }

    fn proof(token: u8, source: u8) -> [u8; 32] {
        between(source).proof(&Token::from_bytes([token; 16]), Side::Source, b"said")
    }

    #[test]
    fn one_source_takes_it_once() {
        let mut open = with(1);
        open.add(Token::from_bytes([2; 16]), Offered { quota: 2, place: String::new(), second_key: None }, 100);
        let taken = open.take(&between(7), b"said", &proof(2, 7), 200).map(|open| open.terms.quota);
        assert_eq!((taken, open.count(200)), (Some(2), 1));
        assert!(open.take(&between(7), b"said", &proof(2, 7), 200).is_none(), "used");
    }

    #[test]
    fn it_is_over_after_an_hour_and_after_three_wrong_proofs() {
        assert!(with(1).take(&between(7), b"said", &proof(1, 7), 100 + GOOD_FOR - 1).is_some());
        assert!(with(1).take(&between(7), b"said", &proof(1, 7), 100 + GOOD_FOR).is_none());
        let mut open = with(1);
        for (wrong, left) in [(proof(1, 8), 1), (proof(3, 7), 1), ([0; 32], 0)] {
            assert!(open.take(&between(7), b"said", &wrong, 200).is_none());
            assert_eq!(open.count(200), left);
        }
        assert!(open.take(&between(7), b"said", &proof(1, 7), 200).is_none(), "the right one comes too late");
        assert!(with(1).take(&between(7), b"other", &proof(1, 7), 200).is_none(), "of another request");
    }

    #[test]
    fn too_many_push_the_oldest_out() {
        let mut open = with(1);
        (2..=9).for_each(|n| open.add(Token::from_bytes([n; 16]), Offered { quota: 0, place: String::new(), second_key: None }, 100));
        assert_eq!(open.count(100), MOST);
        assert!(open.take(&between(7), b"said", &proof(1, 7), 200).is_none());
        assert!(open.take(&between(7), b"said", &proof(9, 7), 200).is_some());
    }
}
