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
    let mut unknown = Vec::new();
    for (r, text) in rows.iter().enumerate() {
        let found = text.split_whitespace().count();
        if found != 8 {
            return Err(CryptError::KitRowLength { row: r as u8 + 1, found });
        }
        for (i, word) in text.split_whitespace().enumerate() {
            let word = Zeroizing::new(word.to_lowercase());
            match find(&word) {
                Some(index) => sheet[r][i] = index,
                None => unknown.push((r, i, word)),
            }
        }
    }
    if let [(r, i, word), others @ ..] = unknown.as_slice() {
        return Err(unknown_word(&sheet, (*r, *i), word, others.is_empty()));
    }
    if let Some(r) = (0..4).find(|r| !row_fits(&sheet, *r)) {
        return Err(CryptError::KitRowCheck { row: r as u8 + 1, correction: correction(&sheet, r) });
    }
    checked_body(&sheet).ok_or_else(|| unlucky_row(&sheet))
}

/// If it is the only unknown word and all others are right, the checks tell which one it was; otherwise its spelling has to do.
fn unknown_word(sheet: &[Row; 4], (r, i): (usize, usize), word: &str, only: bool) -> CryptError {
    let mut trial = sheet.clone();
    let proven = if only { fitting(&mut trial, r, i) } else { Vec::new() };
    let closest = if let [word] = proven[..] { vec![word] } else { closest(word) };
    CryptError::KitUnknownWord { row: r as u8 + 1, position: i as u8 + 1, word: word.chars().take(20).collect(), closest }
}

/// One wrong word in 2,048 passes its row's check; then the row is found by the word that makes the whole sheet right.
fn unlucky_row(sheet: &[Row; 4]) -> CryptError {
    let corrected = |r| Some((r, correction(sheet, usize::from(r))?));
    match (0..4).filter_map(corrected).collect::<Vec<_>>()[..] {
        [(r, only)] => CryptError::KitRowCheck { row: r + 1, correction: Some(only) },
        _ => CryptError::KitTotalCheck,
    }
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

/// The one substitution in row `r` that satisfies all checks, if there is exactly one.
fn correction(sheet: &[Row; 4], r: usize) -> Option<Correction> {
    let mut trial = sheet.clone();
    let fitting_at = |i| fitting(&mut trial, r, i).into_iter().map(move |word| Correction { position: i as u8 + 1, word });
    let found: Vec<Correction> = (0..8).flat_map(fitting_at).collect();
    if let [only] = found[..] { Some(only) } else { None }
}

/// The words that, put in this place, satisfy all checks.
fn fitting(trial: &mut [Row; 4], r: usize, i: usize) -> Vec<&'static str> {
    let written = trial[r][i];
    let mut words = Vec::new();
    for (index, word) in (0..).zip(Language::English.word_list()) {
        trial[r][i] = index;
        if row_fits(trial, r) && (0..4).all(|r| row_fits(trial, r)) && checked_body(trial).is_some() {
            words.push(*word);
        }
    }
    trial[r][i] = written;
    words
}

fn row_fits(sheet: &[Row; 4], r: usize) -> bool {
    sheet[r][7] == row_check(r, &sheet[r])
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
