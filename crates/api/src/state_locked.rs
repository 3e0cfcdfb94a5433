//! A box that came up without its own state: the system could not open the place where it lies, and said why in a file of one word. What the programs write then is in memory, and gone
//! when the box is switched off; the backups are on the pool's disks, unharmed.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Where the system says it.
pub const FILE: &str = "/run/keepwell-state/locked";
/// Its code in a status.
pub const CODE: &str = "state-locked";
/// The word is no longer.
const WORD_MAX: u64 = 64;

/// Why the state could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateLocked {
    /// No TPM answered.
    NoTpm,
    /// The TPM did not open it.
    NotOpened,
    /// What is there can't be used.
    Damaged,
}

impl StateLocked {
    /// What the system said; none if the box has its state. A word that is not known, or a file that can't be read, is a state that was not opened.
    pub fn said_in(file: &Path) -> Option<Self> {
        let mut word = String::new();
        match File::open(file).and_then(|file| file.take(WORD_MAX).read_to_string(&mut word)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            _ => Some(match word.trim() {
                "no-tpm" => Self::NoTpm,
                "damaged" => Self::Damaged,
                _ => Self::NotOpened,
            }),
        }
    }

    /// What happened, as a sentence without its full stop.
    pub fn happened(self) -> &'static str {
        match self {
            Self::NoTpm => "this box's own state could not be opened: no TPM answers, which has the key to it",
            Self::NotOpened => {
                "this box's own state could not be opened: its TPM refused. The disk with it is in another machine, the TPM was cleared, or Secure Boot or its keys were changed"
            }
            Self::Damaged => "this box's own state could not be opened: what is on the disk with it is damaged, or the disk fails",
        }
    }

    /// What puts it right.
    pub fn to_do(self) -> &'static str {
        match self {
            Self::NoTpm => "switch the TPM on in the firmware, and restart the box",
            Self::NotOpened => "put the disk back into its own machine, or undo the change in the firmware, and restart the box",
            Self::Damaged => "restart the box once; if this stays, its system disk has to be replaced",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_one_word() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("locked");
        assert_eq!(StateLocked::said_in(&file), None);
        for (word, meant) in [
            ("no-tpm\n", StateLocked::NoTpm),
            ("damaged", StateLocked::Damaged),
            ("not-opened\n", StateLocked::NotOpened),
            ("", StateLocked::NotOpened),
            ("of a later release", StateLocked::NotOpened),
        ] {
            std::fs::write(&file, word).unwrap();
            assert_eq!(StateLocked::said_in(&file), Some(meant), "{word:?}");
        }
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert_eq!(StateLocked::said_in(&file), Some(StateLocked::NotOpened));
    }
}
