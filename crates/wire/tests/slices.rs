//! Proofs of slices: each true one holds, and nothing else does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use keepwell_wire::SliceProof;
use keepwell_wire::slice::{MAX_SIBLINGS, slices};
use proptest::prelude::*;

fn object(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from((n * 7 + n / 256) % 251).unwrap()).collect()
}

#[test]
fn every_slice_of_objects_of_all_kinds_of_length_is_proven() {
    for length in [1, 2, 1023, 1024, 1025, 4095, 4096, 4097, 5121, 8191, 8192, 8193, 12_288, 12_289, 16_385, 65_536, 100_000] {
        let object = object(length);
        let id = *blake3::hash(&object).as_bytes();
        let length = length as u64;
        for number in 0..slices(length) {
            let proof = SliceProof::of(&object, number).unwrap();
            assert!(proof.holds(&id, length, number), "slice {number} of {length}");
            assert!(!proof.holds(&id, length, number + 1), "slice {number} of {length} as the next");
        }
        assert_eq!(SliceProof::of(&object, slices(length)), None, "{length}");
    }
    assert_eq!(SliceProof::of(&[], 0), None, "nothing has no slices");
}

#[test]
fn a_whole_pack_has_as_many_siblings_as_an_answer_may_have() {
    let pack = object(64 << 20);
    let id = *blake3::hash(&pack).as_bytes();
    let last = slices(pack.len() as u64) - 1;
    let proof = SliceProof::of(&pack, last).unwrap();
    assert_eq!(proof.siblings.len(), MAX_SIBLINGS);
    assert!(proof.holds(&id, pack.len() as u64, last));
}

proptest! {
    #[test]
    fn nothing_but_the_proof_holds(length in 1..40_000_usize, pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let object = object(length);
        let id = *blake3::hash(&object).as_bytes();
        let length = length as u64;
        let number = pick.index(usize::try_from(slices(length)).unwrap()) as u64;
        let proof = SliceProof::of(&object, number).unwrap();
        prop_assert!(proof.holds(&id, length, number));

        let mut bent = proof.clone();
        let all = bent.slice.len() + 32 * bent.siblings.len();
        let at = at.index(all);
        match at.checked_sub(bent.slice.len()) {
            None => bent.slice[at] ^= 1 << bit,
            Some(beside) => bent.siblings[beside / 32][beside % 32] ^= 1 << bit,
        }
        prop_assert!(!bent.holds(&id, length, number), "a bit at {at}");

        let mut short = proof.clone();
        if short.siblings.pop().is_some() {
            prop_assert!(!short.holds(&id, length, number), "a sibling less");
        }
        let mut long = proof;
        long.siblings.push([0; 32]);
        prop_assert!(!long.holds(&id, length, number), "a sibling more");
    }
}
