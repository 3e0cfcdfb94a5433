//! Which objects cross (`docs/format.md` 2).

use keepwell_format::FormatError;
use keepwell_format::codec::Reader;

/// What an object is. Classes that a receiver has no use for are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Frames and their directory.
    Pack = 1,
    /// A snapshot.
    Manifest = 2,
    /// Sealed keys.
    Keyring = 3,
    /// Ways to the vault key.
    Slots = 4,
    /// Which snapshots are forgotten.
    Tombstone = 6,
}

impl Class {
    /// All of them, ascending.
    pub const ALL: [Self; 5] = [Self::Pack, Self::Manifest, Self::Keyring, Self::Slots, Self::Tombstone];

    /// As it is in a route.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Pack => "packs",
            Self::Manifest => "manifests",
            Self::Keyring => "keyrings",
            Self::Slots => "slots",
            Self::Tombstone => "tombstones",
        }
    }

    /// The class of a route.
    pub fn of_folder(folder: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.folder() == folder)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let number = reader.u8()?;
        Self::ALL.into_iter().find(|class| *class as u8 == number).ok_or_else(|| reader.invalid("unknown class"))
    }
}
