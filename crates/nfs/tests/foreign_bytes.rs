//! Whatever bytes come: no panic. The fuzzer goes further with the same entry points.

use keepwell_nfs::fuzz;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz::records(&bytes);
        fuzz::reply(&bytes);
        fuzz::results(&bytes);
    }

    /// Small words reach further than any bytes do.
    #[test]
    fn small_words_are_survived(which in any::<u8>(), words in proptest::collection::vec(0_u32..9, 0..80)) {
        let results: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        fuzz::results(&[&[which], &results[..]].concat());
        fuzz::reply(&[&[which], &[0, 0, 0, 1, 0, 0, 0, 1][..], &[0; 16], &results].concat());
    }
}
