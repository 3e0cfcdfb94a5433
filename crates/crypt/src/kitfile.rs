//! One sheet of the recovery kit as a text file, for a person first and for us second (`docs/format.md`, 5.3).
//!
//! Owns the page's wording and the lines that matter in it. Never writes to disk and never holds two shares.

use std::fmt::Write as _;

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
    /// The page to print or keep. `owner` and `date` are text for the reader; line breaks in them become spaces.
    pub fn render(&self, owner: &str, date: &str) -> String {
        let (owner, date, x) = (one_line(owner), one_line(date), self.share.index());
        let others = match x {
            1 => "2 and 3",
            2 => "1 and 3",
            _ => "1 and 2",
        };
        let mut page = format!(
            "KEEPWELL RECOVERY KIT - SHEET {x} OF 3\n\
             ======================================\n\n\
             Backups of:  {owner}\n\
             Made on:     {date}\n\n\
             What this is\n\
             \x20 One of three sheets that open these backups when the box is lost.\n\
             \x20 Any two of the three open everything. This one alone opens nothing.\n\n\
             Keep it\n\
             \x20 Apart from sheets {others}: another building, another person.\n\
             \x20 Not on the box, and not on a computer that it backs up.\n\
             \x20 Give it to nobody who asks by telephone or e-mail.\n\n\
             When the box is lost, stolen or broken\n\
             \x20 1. Fetch a second sheet of the same set, from who keeps it.\n\
             \x20 2. Give both to a new Keepwell box, or to the program `keepwell` on any\n\
             \x20    computer that has the backup disks:\n\
             \x20      keepwell vault restore --vault DISKS --unlock kit:SHEET,SHEET latest --to FOLDER\n\
             \x20 3. Afterwards have a new kit made, and destroy this one.\n\n\
             When this sheet is lost or was seen by a stranger\n\
             \x20 Have a new kit made. The backups are still there and still closed.\n\n\
             The lines below are the sheet itself. Copy them exactly, word by word;\n\
             the last word of each row checks the row.\n\n"
        );
        self.render_lines(&mut page);
        page
    }

    fn render_lines(&self, page: &mut String) {
        page.push_str("vault: ");
        for byte in self.vault {
            write!(page, "{byte:02x}").expect("a string takes all");
        }
        write!(page, "\nset: {}\nshare: {}\n", self.set, self.share.index()).expect("a string takes all");
        for (row, words) in self.share.to_words().iter().enumerate() {
            writeln!(page, "words-{}: {}", row + 1, words.join(" ")).expect("a string takes all");
        }
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

fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}
