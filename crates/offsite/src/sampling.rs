//! Which slices a source asks for each day (`docs/wire.md` 7). Pure: randomness comes as a seed.

use keepwell_wire::Class;
use keepwell_wire::challenge::Asked;
use keepwell_wire::slice::slices;

/// What a source asks for each day: a loss of this fraction of all packs is found with this probability. Missed one day in a thousand, it is found within a day in 99 of 100 cases
/// with room to spare.
pub const FOUND: (f64, f64) = (0.001, 0.999);

/// An object that the receiver has signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it is.
    pub class: Class,
    /// Its id.
    pub id: [u8; 32],
    /// Its length.
    pub length: u64,
}

/// How many slices find a loss of this fraction of all objects with this probability, both between 0 and 1.
pub fn sample_size(loss: f64, confidence: f64) -> usize {
    // The count is small and positive: no sign and no fraction is lost.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most some thousands, rounded up")]
    let count = ((1.0 - confidence).ln() / (1.0 - loss).ln()).ceil() as usize;
    count
}

/// A day's questions: one slice of every object that is no pack, and `packs` slices of packs drawn evenly, of all of them where there are no more.
pub fn sample(known: &[Known], packs: usize, seed: [u8; 32]) -> Vec<Asked> {
    let mut random = Random(blake3::Hasher::new_keyed(&seed).update(b"keepwell sample 1").finalize_xof());
    let (mut drawn, few): (Vec<Known>, Vec<Known>) = known.iter().filter(|one| one.length > 0).partition(|one| one.class == Class::Pack);
    let count = packs.min(drawn.len());
    for n in 0..count {
        let other = n + random.below(drawn.len() - n);
        drawn.swap(n, other);
    }
    drawn.truncate(count);
    few.into_iter().chain(drawn).map(|one| one.asked(&mut random)).collect()
}

impl Known {
    fn asked(self, random: &mut Random) -> Asked {
        let count = usize::try_from(slices(self.length)).unwrap_or(1);
        Asked { class: self.class, id: self.id, length: self.length, slice: random.below(count) as u64 }
    }
}

struct Random(blake3::OutputReader);

impl Random {
    /// Evenly below a bound, but for one part in 2^40 of it at the sizes there are.
    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % (bound.max(1) as u64)) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn sizes_are_those_of_the_page() {
        assert_eq!(sample_size(0.001, 0.99), 4603);
        assert_eq!(sample_size(0.01, 0.99), 459);
        assert_eq!(sample_size(FOUND.0, FOUND.1), 6905);
    }

    #[test]
    fn all_that_is_no_pack_and_different_packs_are_asked_for() {
        let one = |n: u32, class| Known { class, id: *blake3::hash(&n.to_le_bytes()).as_bytes(), length: u64::from(n) * 1000 + 1 };
        let known: Vec<Known> = (0..500).map(|n| one(n, Class::Pack)).chain((500..520).map(|n| one(n, Class::Manifest))).collect();
        let asked = sample(&known, 100, [1; 32]);
        assert_eq!(asked.len(), 120);
        assert_eq!(asked.iter().filter(|one| one.class == Class::Manifest).count(), 20);
        assert_eq!(asked.iter().map(|one| one.id).collect::<BTreeSet<_>>().len(), 120, "none twice");
        assert!(asked.iter().all(|one| one.slice < slices(one.length)));
        assert_eq!(asked, sample(&known, 100, [1; 32]));
        assert_ne!(asked, sample(&known, 100, [2; 32]));
        assert_eq!(sample(&known, 9999, [1; 32]).len(), 520);
    }
}
