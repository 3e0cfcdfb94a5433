//! What can go wrong with keys, in words for the person who holds them.
//!
//! Never carries a key. Kit errors name places on the paper and at most one word of one share: 11 bits of a share that opens nothing alone.

use thiserror::Error;

/// Every failure of this crate.
#[derive(Debug, Error)]
pub enum CryptError {
    /// The cipher cannot tell which of the two it is.
    #[error("could not be opened: the key is wrong, or the data is damaged")]
    NotAuthentic,
    /// The data is whole as far as can be told, but belongs to another key or passphrase.
    #[error("the key or passphrase does not fit")]
    WrongKey,
    /// No key can open this.
    #[error("{what} is damaged")]
    Damaged { what: &'static str },
    /// A signature does not match.
    #[error("the signature is not valid for this key")]
    BadSignature,
    /// Argon2 parameters beyond the limits of the format.
    #[error("the passphrase slot asks for {m_kib} KiB, {t} passes and {p} lanes, which is outside the limits of the format")]
    CostOutOfRange { m_kib: u32, t: u32, p: u32 },
    /// Not an age X25519 recipient.
    #[error("the kit's recipient is not a valid age recipient (age1...)")]
    BadRecipient,
    /// Writing an age file failed.
    #[error("the key could not be wrapped for the recovery kit")]
    WrapFailed(#[source] age::EncryptError),

    /// A row of a kit sheet has too few or too many words.
    #[error("row {row} has {found} words; every row has 8")]
    KitRowLength { row: u8, found: usize },
    /// A word that is not in the list. `row` 1..=4, `position` 1..=8.
    #[error("row {row}, word {position}: \"{word}\" is not in the word list{}", suggest(.closest))]
    KitUnknownWord { row: u8, position: u8, word: String, closest: Vec<&'static str> },
    /// All words exist, but one or more in this row are not those on the sheet.
    #[error("row {row} has a wrong word{}", correct(.correction))]
    KitRowCheck { row: u8, correction: Option<Correction> },
    /// Every row is right by itself.
    #[error("each row is right, but the four do not belong together: they come from different sheets")]
    KitTotalCheck,
    /// Made by a later program.
    #[error("this recovery kit has format version {version}, made by a newer program: use a newer keepwell")]
    KitVersion { version: u8 },
    /// The same sheet given twice.
    #[error("both sheets are sheet {index}: two different sheets of the three are needed")]
    KitSameShare { index: u8 },
    /// Sheets of two kits.
    #[error("the sheets belong to different kits (set {left} and set {right}): use two sheets of the same set")]
    KitOtherSet { left: u16, right: u16 },
    /// A line of a kit file that has to be there is not.
    #[error("the kit file has no line \"{line}: ...\"")]
    KitLineMissing { line: &'static str },
    /// A line of a kit file is there twice.
    #[error("the kit file has the line \"{line}: ...\" more than once")]
    KitLineRepeated { line: &'static str },
    /// A line of a kit file cannot be read.
    #[error("the kit file's line \"{line}: ...\" must hold {expected}")]
    KitLineInvalid { line: &'static str, expected: &'static str },
    /// A kit file whose readable lines contradict its words.
    #[error("the kit file's line \"{line}: ...\" does not match its words: the lines come from different sheets")]
    KitLineMismatch { line: &'static str },
}

/// The one word that makes a row and the whole sheet right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// Where in its row, 1..=8.
    pub position: u8,
    /// What belongs there.
    pub word: &'static str,
}

fn suggest(closest: &[&str]) -> String {
    if closest.is_empty() { String::new() } else { format!("; did you mean {}?", closest.join(" or ")) }
}

fn correct(correction: &Option<Correction>) -> String {
    match correction {
        Some(Correction { position, word }) => format!("; word {position} is probably \"{word}\""),
        None => String::from("; compare each of its words with the sheet"),
    }
}
