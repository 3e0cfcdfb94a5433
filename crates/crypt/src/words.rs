//! Thirty-five bytes as 32 words that a person can copy, and back, finding the mistakes (`docs/format.md`, 5.3).
//!
//! Owns the two checks and what is proposed when they fail. Never guesses: a proposal is the only word that makes both checks right, and is
//! for the person to confirm.

use bip39::Language;
use zeroize::Zeroizing;

use crate::{Correction, CryptError};

/// Bytes in a sheet's body: version and share number, set, share.
pub const BODY: usize = 35;

/// Indices in the word list: seven that carry bits, then the row's check.
type Row = Zeroizing<[u16; 8]>;

/// The body as four rows of eight words of the English BIP-39 list.
pub fn encode(body: &[u8; BODY]) -> [[&'static str; 8]; 4] {
    let bits = with_check(body);
    std::array::from_fn(|r| {
        let mut row: Row = Zeroizing::new(std::array::from_fn(|i| if i < 7 { bits_at(&bits, 7 * r + i) } else { 0 }));
        row[7] = row_check(r, &row);
        row.map(|index| Language::English.word_list()[usize::from(index)])
    })
}

/// The body from four rows of eight words each, separated by white space.
pub fn decode(rows: [&str; 4]) -> Result<Zeroizing<[u8; BODY]>, CryptError> {
    let mut sheet: [Row; 4] = Default::default();
    for (r, text) in rows.iter().enumerate() {
        sheet[r] = read_row(r, text)?;
    }
    for r in 0..4 {
        if sheet[r][7] != row_check(r, &sheet[r]) {
            return Err(CryptError::KitRowCheck { row: r as u8 + 1, correction: correction(&sheet, r) });
        }
    }
    checked_body(&sheet).ok_or(CryptError::KitTotalCheck)
}

/// Reads one row and checks that its words exist and are eight.
fn read_row(r: usize, text: &str) -> Result<Row, CryptError> {
    let found = text.split_whitespace().count();
    if found != 8 {
        return Err(CryptError::KitRowLength { row: r as u8 + 1, found });
    }
    let mut row = Row::default();
    for (i, word) in text.split_whitespace().enumerate() {
        let lower = Zeroizing::new(word.to_lowercase());
        row[i] = find(&lower).ok_or_else(|| CryptError::KitUnknownWord {
            row: r as u8 + 1,
            position: i as u8 + 1,
            word: word.chars().take(20).collect(),
            closest: closest(&lower),
        })?;
    }
    Ok(row)
}

/// The index of a word, or of the only word that begins with these four letters or more.
fn find(word: &str) -> Option<u16> {
    let mut longer = Language::English.words_by_prefix_iter(word).filter(|_| word.len() >= 4);
    let mut unique = || longer.next().filter(|_| longer.next().is_none());
    Language::English.find_word(word).or_else(|| Language::English.find_word(unique()?))
}

/// Up to three listed words within two slips of the pen, nearest first.
fn closest(word: &str) -> Vec<&'static str> {
    if word.len() > 20 {
        return Vec::new();
    }
    let distance = |listed: &&'static str| (strsim::osa_distance(word, listed), *listed);
    let mut near: Vec<_> = Language::English.word_list().iter().map(distance).filter(|(d, _)| *d <= 2).collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, listed)| listed).collect()
}

/// The one substitution in row `bad` that satisfies both checks, if there is exactly one.
fn correction(sheet: &[Row; 4], bad: usize) -> Option<Correction> {
    let mut trial = sheet.clone();
    let mut found = None;
    for position in 0..8 {
        let written = trial[bad][position];
        for index in (0..2048).filter(|index| *index != written) {
            trial[bad][position] = index;
            if trial[bad][7] == row_check(bad, &trial[bad]) && checked_body(&trial).is_some() {
                let word = Language::English.word_list()[usize::from(index)];
                if found.replace(Correction { position: position as u8 + 1, word }).is_some() {
                    return None;
                }
            }
        }
        trial[bad][position] = written;
    }
    found
}

/// The body, if the 28 check bits fit.
fn checked_body(sheet: &[Row; 4]) -> Option<Zeroizing<[u8; BODY]>> {
    let mut bits = Zeroizing::new([0u8; 39]);
    for (i, index) in sheet.iter().flat_map(|row| &row[..7]).enumerate() {
        for b in (0..11).filter(|b| index >> (10 - b) & 1 == 1) {
            let at = 11 * i + b;
            bits[at / 8] |= 0x80 >> (at % 8);
        }
    }
    let (body, _) = bits.split_first_chunk::<BODY>()?;
    (*with_check(body) == *bits).then(|| Zeroizing::new(*body))
}

/// The body, then 28 bits of its hash, then four zero bits.
fn with_check(body: &[u8; BODY]) -> Zeroizing<[u8; 39]> {
    let hash = *blake3::Hasher::new().update(b"keepwell kit share").update(body).finalize().as_bytes();
    let mut bits = Zeroizing::new([0; 39]);
    bits[..BODY].copy_from_slice(body);
    bits[BODY..].copy_from_slice(&hash[..4]);
    bits[38] &= 0xf0;
    bits
}

/// The word index at bits `11 i ..`.
fn bits_at(bits: &[u8; 39], i: usize) -> u16 {
    (11 * i..11 * i + 11).fold(0, |index, at| index << 1 | u16::from(bits[at / 8] >> (7 - at % 8) & 1))
}

/// Eleven bits that depend on the row's number and its seven words.
fn row_check(r: usize, row: &Row) -> u16 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"keepwell kit row").update(&[r as u8]);
    for index in &row[..7] {
        hasher.update(&index.to_le_bytes());
    }
    let hash = hasher.finalize();
    u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]) >> 5
}
