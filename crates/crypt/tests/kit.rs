//! What the recovery kit promises: two sheets open, one does not, and slips of the pen are found.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fmt::Write as _;

use bip39::Language;
use keepwell_crypt::{Correction, CryptError, KitFile, KitSeed, Share, combine, object_id, split};
use proptest::prelude::*;

type Sheet = [Vec<String>; 4];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_two_shares_open(seed: [u8; 32], set: u16, random: u64) {
        let shares = deal(seed, set, random);
        prop_assert_eq!([1, 2, 3], [0, 1, 2].map(|i: usize| shares[i].index()));
        for (left, right) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
            let (left, right) = (through_words(&shares[left]), through_words(&shares[right]));
            prop_assert_eq!(*combine(&left, &right).unwrap().expose(), seed);
        }
    }

    /// For every seed there is a second share that, with this first one, gives that seed: so the first alone says nothing.
    #[test]
    fn one_share_fits_every_seed(seed: [u8; 32], other: [u8; 32], random: u64) {
        let y1 = y(&deal(seed, 1, random)[0]);
        let y2: [u8; 32] = std::array::from_fn(|i| other[i] ^ double(other[i] ^ y1[i]));
        let second = share_with(2, 1, &y2);
        prop_assert_eq!(*combine(&deal(seed, 1, random)[0], &second).unwrap().expose(), other);
    }

    #[test]
    fn shares_are_on_the_line_of_the_format(seed: [u8; 32], random: u64) {
        let [y1, y2, y3] = deal(seed, 1, random).map(|share| y(&share));
        for i in 0..32 {
            let slope = y1[i] ^ seed[i];
            prop_assert_eq!(y2[i], seed[i] ^ double(slope));
            prop_assert_eq!(y3[i], seed[i] ^ double(slope) ^ slope);
        }
    }

    #[test]
    fn commitments_tell_shares_apart(seed: [u8; 32], set: u16, random: u64, vault: [u8; 16]) {
        let shares = deal(seed, set, random);
        let other_set = deal(seed, set ^ 1, random);
        let mut other_vault = vault;
        other_vault[15] ^= 1;
        let mut all: Vec<_> = shares.iter().chain(&other_set).map(|share| share.commitment(&vault)).collect();
        all.extend(shares.iter().map(|share| share.commitment(&other_vault)));
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len(), 9);
    }

    #[test]
    fn a_wrong_word_is_corrected(random: u64, at in 0..32usize, index in 0..2048usize) {
        let right = sheet(&deal([9; 32], 77, random)[1]);
        let mut wrong = right.clone();
        wrong[at / 8][at % 8] = Language::English.word_list()[index].into();
        prop_assume!(wrong != right);
        let CryptError::KitRowCheck { row, correction } = read(&wrong).unwrap_err() else { panic!("not found at {at}") };
        prop_assert_eq!(usize::from(row), at / 8 + 1);
        let Correction { position, word } = correction.unwrap();
        prop_assert_eq!((usize::from(position), word), (at % 8 + 1, right[at / 8][at % 8].as_str()));
    }

    #[test]
    fn an_unreadable_word_is_proven(random: u64, at in 0..32usize) {
        let right = sheet(&deal([9; 32], 77, random)[1]);
        let mut wrong = right.clone();
        wrong[at / 8][at % 8] = "???".into();
        let CryptError::KitUnknownWord { row, position, closest, .. } = read(&wrong).unwrap_err() else { panic!("not found at {at}") };
        prop_assert_eq!((usize::from(row), usize::from(position)), (at / 8 + 1, at % 8 + 1));
        prop_assert_eq!(closest, vec![right[at / 8][at % 8].as_str()]);
    }

    #[test]
    fn foreign_text_is_refused(text: String, rows in prop::array::uniform4("([a-z]{3,8} ?){7,9}")) {
        prop_assert!(KitFile::parse(&text).is_err());
        prop_assert!(Share::from_words(std::array::from_fn(|r| rows[r].as_str())).is_err());
    }

    #[test]
    fn kit_files_come_back(seed: [u8; 32], set: u16, random: u64, vault: [u8; 16]) {
        for share in deal(seed, set, random) {
            let file = KitFile { vault, set, share };
            let read = KitFile::parse(&file.lines().replace('\n', "\r\n")).unwrap();
            prop_assert_eq!((read.vault, read.set, y(&read.share)), (vault, set, y(&file.share)));
        }
    }
}

#[test]
fn a_wrong_word_that_passes_its_row_is_still_found() {
    let right = sheet(&deal([9; 32], 77, 3)[0]);
    let unlucky = (0..28).find_map(|at| {
        let (r, i) = (at / 7, at % 7);
        let passes = |word: &&&str| {
            let mut row = right[r].clone();
            row[i] = (**word).into();
            row != right[r] && row_check(r, &row) == row[7]
        };
        Language::English.word_list().iter().find(passes).map(|word| (r, i, *word))
    });
    let (r, i, word) = unlucky.expect("one word in 2,048 passes, and there are 28 x 2,047");
    let mut wrong = right.clone();
    wrong[r][i] = word.into();
    let CryptError::KitRowCheck { row, correction: Some(Correction { position, word }) } = read(&wrong).unwrap_err() else {
        panic!("not found")
    };
    assert_eq!((row, position, word), (r as u8 + 1, i as u8 + 1, right[r][i].as_str()));
}

#[test]
fn people_may_write_upper_case_and_four_letters() {
    let share = &deal([9; 32], 77, 5)[2];
    let short = sheet(share).map(|row| row.into_iter().map(|word| word.chars().take(4).collect::<String>().to_uppercase()).collect());
    assert_eq!(y(&read(&short).unwrap()), y(share));
}

#[test]
fn errors_say_where_and_what() {
    let right = sheet(&deal([9; 32], 77, 5)[2]);
    let other = sheet(&deal([9; 32], 77, 6)[2]);
    let mut misspelt = right.clone();
    (misspelt[0][1], misspelt[3][2]) = ("abandom".into(), "zoological".into());
    assert_eq!(shown(&misspelt), "row 1, word 2: \"abandom\" is not in the word list; did you mean abandon or random?");
    let mut short = right.clone();
    short[2].pop();
    assert_eq!(shown(&short), "row 3 has 7 words; every row has 8");
    let mut two_wrong = right.clone();
    two_wrong[1].swap(2, 5);
    assert_eq!(shown(&two_wrong), "row 2 has a wrong word; compare each of its words with the sheet");
    let mixed = [right[0].clone(), other[1].clone(), right[2].clone(), right[3].clone()];
    assert_eq!(shown(&mixed), "each row is right, but the four do not belong together: they come from different sheets");
    let mut swapped = right.clone();
    swapped.swap(1, 2);
    assert!(shown(&swapped).starts_with("row 2 has a wrong word"));
}

#[test]
fn two_sheets_that_do_not_fit_are_refused() {
    let (shares, others) = (deal([1; 32], 5, 1), deal([1; 32], 6, 1));
    assert!(matches!(combine(&shares[1], &shares[1]), Err(CryptError::KitSameShare { index: 2 })));
    assert!(matches!(combine(&shares[0], &others[1]), Err(CryptError::KitOtherSet { left: 5, right: 6 })));
}

#[test]
fn a_newer_sheet_and_a_fourth_share_are_refused() {
    let words =
        |first| Share::from_words(std::array::from_fn(|r| Box::leak(body_words(first, 1, &[0; 32])[r].join(" ").into_boxed_str()) as &str));
    assert!(matches!(words(0x21), Err(CryptError::KitVersion { version: 2 })));
    assert!(matches!(words(0x14), Err(CryptError::Damaged { .. })));
    assert!(matches!(words(0x10), Err(CryptError::Damaged { .. })));
}

#[test]
fn kit_files_are_read_strictly() {
    let [share, other, _] = deal([1; 32], 5, 1);
    let other = sheet(&other);
    let page = KitFile { vault: [0xab; 16], set: 5, share }.lines();
    let parse = |from: &str, to: &str| {
        assert!(page.contains(from), "{from}");
        KitFile::parse(&page.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert_eq!(parse("vault: ab", "vault: +b"), "the kit file's line \"vault: ...\" must hold 32 hexadecimal digits");
    assert_eq!(parse("vault: ", "note: "), "the kit file has no line \"vault: ...\"");
    assert_eq!(parse("set: 5\n", "set: +5\n"), "the kit file's line \"set: ...\" must hold a number from 0 to 65535");
    assert_eq!(parse("\nset: 5", "\nset: 5\nset: 5"), "the kit file has the line \"set: ...\" more than once");
    assert_eq!(
        parse("\nset: 5", "\nset: 6"),
        "the kit file's line \"set: ...\" does not match its words: the lines come from different sheets"
    );
    assert_eq!(
        parse("share: 1", "share: 2"),
        "the kit file's line \"share: ...\" does not match its words: the lines come from different sheets"
    );
    assert!(parse("words-1: ", &format!("words-1: {} ", other[0][0])).starts_with("row 1 has 9 words"));
}

fn deal(seed: [u8; 32], set: u16, random: u64) -> [Share; 3] {
    let mut count = random;
    split(&KitSeed::from_bytes(seed), set, &mut |out| {
        for byte in out {
            count = count.wrapping_add(1);
            *byte = object_id(&count.to_le_bytes())[0];
        }
    })
}

fn sheet(share: &Share) -> Sheet {
    share.to_words().map(|row| row.map(String::from).to_vec())
}

fn read(sheet: &Sheet) -> Result<Share, CryptError> {
    let rows = sheet.each_ref().map(|row| row.join(" "));
    Share::from_words(rows.each_ref().map(String::as_str))
}

fn shown(sheet: &Sheet) -> String {
    read(sheet).unwrap_err().to_string()
}

fn through_words(share: &Share) -> Share {
    read(&sheet(share)).unwrap()
}

/// The share's bytes, read back from its words by a plainer reader than the crate's.
fn y(share: &Share) -> [u8; 32] {
    let mut bits = String::new();
    for word in share.to_words().iter().flat_map(|row| &row[..7]) {
        write!(bits, "{:011b}", Language::English.find_word(word).unwrap()).unwrap();
    }
    std::array::from_fn(|i| u8::from_str_radix(&bits[24 + 8 * i..32 + 8 * i], 2).unwrap())
}

fn share_with(x: u8, set: u16, y: &[u8; 32]) -> Share {
    read(&body_words(0x10 | x, set, y)).unwrap()
}

/// A sheet with right checks around any body.
fn body_words(first: u8, set: u16, y: &[u8; 32]) -> Sheet {
    let body = [&[first], &set.to_be_bytes()[..], y].concat();
    let check = object_id(&[b"keepwell kit share", &body[..]].concat());
    let bits: String = body.iter().chain(&check[..4]).map(|byte| format!("{byte:08b}")).collect();
    let word = |i: usize| String::from(Language::English.word_list()[usize::from_str_radix(&bits[11 * i..11 * i + 11], 2).unwrap()]);
    std::array::from_fn(|r| {
        let mut row: Vec<String> = (7 * r..7 * r + 7).map(word).collect();
        row.push(row_check(r, &row));
        row
    })
}

fn row_check(r: usize, row: &[String]) -> String {
    let mut bytes = [&b"keepwell kit row"[..], &[r as u8]].concat();
    bytes.extend(row[..7].iter().flat_map(|word| Language::English.find_word(word).unwrap().to_le_bytes()));
    let hash = object_id(&bytes);
    Language::English.word_list()[usize::from(u16::from_be_bytes([hash[0], hash[1]]) >> 5)].into()
}

/// Times x in GF(2^8) with polynomial x^8+x^4+x^3+x^2+1, by hand.
fn double(byte: u8) -> u8 {
    byte << 1 ^ if byte & 0x80 != 0 { 0x1d } else { 0 }
}
