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

    /// What happened, as sentences without the last full stop. They are true at a box's first start, too: the system can't say whether there was a state before.
    pub fn happened(self) -> &'static str {
        match self {
            Self::NoTpm => "no TPM answers. This box's own state is opened by it, and made by it at a first start",
            Self::NotOpened => {
                "this box's own state could not be opened: the TPM gave no key for what is there. The disk is in another machine, the TPM was cleared, Secure Boot or its keys were \
                 changed, something was added to the start, or another state lies in its place. At a first start: none could be made"
            }
            Self::Damaged => "this box's own state could not be opened: what is on the disk with it is damaged, or the disk fails",
        }
    }

    /// What puts it right.
    pub fn to_do(self) -> &'static str {
        match self {
            Self::NoTpm => "switch the TPM on in the firmware, and restart the box",
            Self::NotOpened => "undo that change, or put the disk back into its own machine, and restart the box",
            Self::Damaged => "restart the box once; if this stays, its system disk has to be replaced",
        }
    }

    /// What to think of before papers are typed, as a sentence without its full stop. Who changed a box in order to see its papers has a look of harmless trouble about it.
    pub fn caution(self) -> Option<&'static str> {
        match self {
            Self::NotOpened => Some("If nobody of yours changed anything, have the box looked at before anybody types papers into it"),
            Self::NoTpm | Self::Damaged => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_the_tpm_did_not_open_is_no_reason_to_type_papers_at_once() {
        let words = |why: StateLocked| format!("{}|{}|{}", why.happened(), why.to_do(), why.caution().unwrap_or_default());
        let said = words(StateLocked::NotOpened);
        for part in [
            "another machine",
            "TPM was cleared",
            "Secure Boot",
            "added to the start",
            "another state",
            "undo that change",
            "before anybody types papers",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        // Who sees these may stand at a box that never was anybody's.
        for why in [StateLocked::NoTpm, StateLocked::NotOpened] {
            assert!(why.happened().contains("first start") && !words(why).contains("owner"), "{}", words(why));
        }
    }

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
