//! The lines of a kit file that matter, written and read (`docs/format.md`, 5.3). What else a page says is for `keepwell-paper`.
//!
//! Never writes to disk and never holds two shares.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::{CryptError, Share};

/// What a kit file says.
#[derive(Debug)]
pub struct KitFile {
    /// The vault that the kit opens.
    pub vault: [u8; 16],
    /// The number that the three sheets have in common; the same as the share's.
    pub set: u16,
    /// What the words say.
    pub share: Share,
}

impl KitFile {
    /// The lines that matter, as [`KitFile::parse`] reads them.
    pub fn lines(&self) -> Zeroizing<String> {
        // The exact capacity or more: growing would leave a copy of the share behind.
        let mut page = Zeroizing::new(String::with_capacity(1024));
        page.push_str("vault: ");
        for byte in self.vault {
            write!(page, "{byte:02x}").expect("a string takes all");
        }
        write!(page, "\nset: {}\nshare: {}\n", self.set, self.share.index()).expect("a string takes all");
        for (row, words) in self.share.to_words().iter().enumerate() {
            writeln!(page, "words-{}: {}", row + 1, words.join(" ")).expect("a string takes all");
        }
        page
    }

    /// Reads the lines that matter and ignores all others. Each of them has to be there once.
    pub fn parse(text: &str) -> Result<KitFile, CryptError> {
        let vault = parse_vault(line(text, "vault")?)?;
        let set = number(text, "set", "a number from 0 to 65535")?;
        let index = number(text, "share", "1, 2 or 3")?;
        let share = Share::from_words([line(text, "words-1")?, line(text, "words-2")?, line(text, "words-3")?, line(text, "words-4")?])?;
        if share.set() != set {
            return Err(CryptError::KitLineMismatch { line: "set" });
        }
        if u16::from(share.index()) != index {
            return Err(CryptError::KitLineMismatch { line: "share" });
        }
        Ok(KitFile { vault, set, share })
    }
}

/// What follows `name:` on the only line that begins so.
fn line<'t>(text: &'t str, name: &'static str) -> Result<&'t str, CryptError> {
    let mut values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    });
    let value = values.next().ok_or(CryptError::KitLineMissing { line: name })?;
    if values.next().is_some() {
        return Err(CryptError::KitLineRepeated { line: name });
    }
    Ok(value)
}

fn number(text: &str, name: &'static str, expected: &'static str) -> Result<u16, CryptError> {
    let value = line(text, name)?;
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|_| digits).ok_or(CryptError::KitLineInvalid { line: name, expected })
}

fn parse_vault(hex: &str) -> Result<[u8; 16], CryptError> {
    let valid = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u128::from_str_radix(hex, 16).ok().filter(|_| valid);
    value.map(u128::to_be_bytes).ok_or(CryptError::KitLineInvalid { line: "vault", expected: "32 hexadecimal digits" })
}
