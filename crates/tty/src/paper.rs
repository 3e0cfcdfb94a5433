//! A paper of the recovery kit as a person types it: four rows of eight words, each looked at when it is typed, so that a slip is told at once and by its place.
//! Holds one paper, in memory that is wiped.

use keepwell_api::Base64;
use keepwell_crypt::{CryptError, KitFile, Share, words};
use zeroize::Zeroizing;

/// Rows of a paper.
pub(crate) const ROWS: usize = 4;
/// A row that fits no check: it stands for those that were not typed yet.
const LATER: &str = "abandon abandon abandon abandon abandon abandon abandon abandon";

/// Rows as they were typed.
pub(crate) type Rows = [Zeroizing<String>; ROWS];

/// Looks at a row when those before it are right. What is wrong is said with the word's place.
pub(crate) fn look(rows: &Rows, row: usize) -> Result<(), String> {
    let typed: [&str; ROWS] = std::array::from_fn(|r| if r <= row { rows[r].as_str() } else { LATER });
    match words::decode(typed) {
        Ok(_) => Ok(()),
        // What is wrong with those that are still to come.
        Err(
            CryptError::KitRowLength { row: r, .. } | CryptError::KitUnknownWord { row: r, .. } | CryptError::KitRowCheck { row: r, .. },
        ) if usize::from(r) > row + 1 => Ok(()),
        Err(CryptError::KitTotalCheck) if row + 1 < ROWS => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The whole paper, as keyd reads it. Number and set are in the words; the vault is the one that this box has.
pub(crate) fn text(rows: &Rows, vault: &str) -> Result<Base64, String> {
    let share = Share::from_words(std::array::from_fn(|r| rows[r].as_str())).map_err(|error| error.to_string())?;
    let vault = u128::from_str_radix(vault, 16).map_err(|_| "the box says no vault that a paper could be of".to_owned())?;
    let kit = KitFile { vault: vault.to_be_bytes(), set: share.set(), share };
    Ok(Base64::from(kit.lines().as_bytes().to_vec()))
}

/// Which of the three papers it is.
pub(crate) fn number(rows: &Rows) -> Option<u8> {
    Share::from_words(std::array::from_fn(|r| rows[r].as_str())).ok().map(|share| share.index())
}

#[cfg(test)]
mod tests {
    use keepwell_crypt::{KitSeed, split};

    use super::*;

    fn paper() -> Rows {
        let [share, ..] = split(&KitSeed::from_bytes([7; 32]), 3, &mut |bytes| bytes.fill(9));
        share.to_words().map(|row| Zeroizing::new(row.join(" ")))
    }

    #[test]
    fn each_row_is_looked_at_when_it_is_typed() {
        let right = paper();
        let mut typed: Rows = Default::default();
        for row in 0..ROWS {
            let words: Vec<&str> = right[row].split(' ').collect();
            *typed[row] = words[..7].join(" ");
            assert!(look(&typed, row).unwrap_err().contains("7 words"));
            *typed[row] = right[row].replacen(words[3], "qqqq", 1);
            let wrong = look(&typed, row).unwrap_err();
            assert!(wrong.contains(&format!("row {}", row + 1)) && wrong.contains("word 4"), "{wrong}");
            *typed[row] = [words[1], words[0]].into_iter().chain(words[2..].iter().copied()).collect::<Vec<_>>().join(" ");
            assert!(look(&typed, row).unwrap_err().contains(&format!("row {}", row + 1)));
            typed[row].clone_from(&right[row]);
            assert_eq!(look(&typed, row), Ok(()));
        }
    }

    #[test]
    fn a_paper_becomes_the_text_that_keyd_reads() {
        let text = text(&paper(), "000102030405060708090a0b0c0d0e0f").unwrap();
        let kit = KitFile::parse(std::str::from_utf8(text.as_ref()).unwrap()).unwrap();
        assert_eq!((kit.set, kit.share.index(), kit.vault[15]), (3, 1, 15));
        assert_eq!(number(&paper()), Some(1));
        assert!(super::text(&paper(), "none").is_err());
    }
}
