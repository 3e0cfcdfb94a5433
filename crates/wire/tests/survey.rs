//! Two sets are brought together by questions about prefixes: what differs is found, by how much was asked is bounded.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use keepwell_wire::survey::{Search, Survey, decode_answer, encode_answer};
use keepwell_wire::{Branch, Class, Prefix};
use proptest::prelude::*;

fn ids(range: std::ops::Range<u32>) -> Vec<[u8; 32]> {
    let mut ids: Vec<[u8; 32]> = range.map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
    ids.sort_unstable();
    ids
}

/// What the receiver lacks, and how many bytes it took to know.
fn missing(mine: &[[u8; 32]], theirs: &[[u8; 32]]) -> (Vec<[u8; 32]>, usize) {
    let (mut search, mut bytes) = (Search::of(Class::Pack, mine), 0);
    while let Some(asked) = search.question() {
        let question = asked.encode();
        assert_eq!(Survey::decode(&question).as_ref(), Ok(&asked));
        let answer = encode_answer(&asked.prefixes.iter().map(|prefix| Branch::of(*prefix, theirs)).collect::<Vec<_>>());
        bytes += question.len() + answer.len();
        search.answered(&asked, decode_answer(&answer, &asked).unwrap());
    }
    (search.lacks().into_iter().collect(), bytes)
}

#[test]
fn a_few_missing_of_very_many_take_a_few_questions() {
    let mine = ids(0..130_000);
    let (lacks, same) = missing(&mine, &mine);
    assert!(lacks.is_empty());
    assert!(same < 1000, "{same} bytes for two equal sets");

    let theirs: Vec<_> = mine.iter().enumerate().filter(|(n, _)| n % 13_000 != 7).map(|(_, id)| *id).collect();
    let (lacks, bytes) = missing(&mine, &theirs);
    assert_eq!(lacks.len(), 10);
    assert!(bytes < 10 * 16 * 1024, "{bytes} bytes for ten of 130,000");
}

#[test]
fn an_empty_receiver_lacks_everything_and_an_empty_source_nothing() {
    let all = ids(0..1000);
    assert_eq!(missing(&all, &[]).0, all);
    assert_eq!(missing(&[], &all).0, [[0_u8; 32]; 0]);
}

#[test]
fn an_answer_has_what_was_asked_for_alone() {
    let all = ids(0..300);
    let asked = Survey { class: Class::Manifest, prefixes: vec![Prefix::ALL.then(0xa).unwrap()] };
    let refused = |branch: Branch| assert!(decode_answer(&encode_answer(std::slice::from_ref(&branch)), &asked).is_err(), "{branch:?}");
    let below: Vec<_> = asked.prefixes[0].within(&all).to_vec();
    assert!(below.len() > 2);
    assert!(decode_answer(&encode_answer(&[Branch::Ids(below.clone())]), &asked).is_ok());
    refused(Branch::Ids(vec![below[1], below[0]]));
    refused(Branch::Ids(vec![below[0], below[0]]));
    refused(Branch::Ids(vec![[0xbb; 32]]));
    refused(Branch::Below(Box::new([(1, [0; 32]); 16])));
    refused(Branch::Below(Box::new([(0, [1; 32]); 16])));
    assert!(decode_answer(&[], &asked).is_err(), "no branch");
    assert!(
        decode_answer(&encode_answer(&[Branch::Ids(Vec::new()), Branch::Ids(Vec::new())]), &asked).is_err(),
        "two branches for one prefix"
    );
}

proptest! {
    #[test]
    fn whatever_differs_is_found(all in 0..3000_u32, modulus in 1..400_u32, rest in 0..400_u32) {
        let mine = ids(0..all);
        let mut theirs: Vec<_> = (0..all).filter(|n| n % modulus != rest).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
        // What it has besides is no matter.
        theirs.extend(ids(10_000..10_000 + rest));
        theirs.sort_unstable();
        let expected: Vec<_> = mine.iter().filter(|id| theirs.binary_search(id).is_err()).copied().collect();
        prop_assert_eq!(missing(&mine, &theirs).0, expected);
    }
}
