//! Names: of objects, and of the files their shards lie in (`docs/format.md` 2).
//!
//! Pure. One name has one spelling; whatever else lies in a folder is foreign.

use std::fmt;
use std::str::FromStr;

use crate::layout::Layout;

/// BLAKE3 of an object's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 32]);

impl ObjectId {
    /// The id of these bytes.
    pub fn of(object: &[u8]) -> Self {
        Self(blake3::hash(object).into())
    }

    /// The first eight hex digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..8].into()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({})", self.short())
    }
}

/// The text is not 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an object id")]
pub struct ObjectIdError;

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    fn from_str(text: &str) -> Result<Self, ObjectIdError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(ObjectIdError);
        }
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (hex_digit(pair[0])? << 4) | hex_digit(pair[1])?;
        }
        Ok(Self(id))
    }
}

fn hex_digit(digit: u8) -> Result<u8, ObjectIdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ObjectIdError),
    }
}

/// What an object is; each class has its own folder.
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
    /// Index segment (reserved).
    Segment = 5,
    /// Which snapshots are forgotten.
    Tombstone = 6,
    /// Catalog of a run under way (reserved).
    Checkpoint = 7,
    /// What a receiver has signed for: a snapshot of another box. In no vault of a box's own.
    Set = 8,
}

impl Class {
    /// All classes, ascending.
    pub const ALL: [Self; 8] =
        [Self::Pack, Self::Manifest, Self::Keyring, Self::Slots, Self::Segment, Self::Tombstone, Self::Checkpoint, Self::Set];

    /// The folder its objects lie in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Pack => "packs",
            Self::Manifest => "manifests",
            Self::Keyring => "keyrings",
            Self::Slots => "slots",
            Self::Segment => "segments",
            Self::Tombstone => "tombstones",
            Self::Checkpoint => "checkpoints",
            Self::Set => "sets",
        }
    }

    /// The class with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| *class as u8 == number)
    }

    /// How objects of this class are spread by the format.
    pub fn spread(self) -> Spread {
        match self {
            Self::Keyring | Self::Slots => Spread::Everywhere,
            _ => Spread::Layout,
        }
    }
}

/// Over which disks an object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// As the pool's layout says; small objects as whole copies on m+1 disks.
    Layout,
    /// A whole copy on every disk.
    Everywhere,
}

/// An object of a vault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// What it is.
    pub class: Class,
    /// Hash of its bytes.
    pub id: ObjectId,
}

impl ObjectName {
    /// From its text, such as `packs/` and 64 digits; none when it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (folder, id) = text.split_once('/')?;
        let class = Class::ALL.into_iter().find(|class| class.folder() == folder)?;
        Some(Self { class, id: id.parse().ok()? })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class.folder(), self.id)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class.folder(), self.id.short())
    }
}

/// Begins every name that means nothing yet.
pub(crate) const TEMP: &str = ".tmp-";

/// The name of one shard's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardName {
    /// The object.
    pub object: ObjectId,
    /// Which shard.
    pub index: u8,
    /// Of how many.
    pub layout: Layout,
}

impl ShardName {
    /// Parses a file name; none when the file is foreign.
    pub fn parse(name: &str) -> Option<Self> {
        let (object, rest) = name.split_once('.')?;
        let mut numbers = rest.splitn(3, '-').map(number);
        let (index, k, m) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let layout = Layout::new(k, m)?;
        (index < layout.width()).then_some(Self { object: object.parse().ok()?, index, layout })
    }
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}-{}-{}", self.object, self.index, self.layout.k, self.layout.m)
    }
}

/// A decimal number in its one spelling.
fn number(text: &str) -> Option<u8> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_names_have_one_spelling() {
        let id = ObjectId([0xab; 32]);
        let name = ShardName { object: id, index: 2, layout: Layout::new(2, 1).unwrap() };
        assert_eq!(ShardName::parse(&name.to_string()), Some(name));
        for bad in ["3-2-1", "02-2-1", "2-2", "2-2-1-0", "2-2-+1", "2-0-3", "0-20-20", "", "-1-1"] {
            assert_eq!(ShardName::parse(&format!("{id}.{bad}")), None, "{bad}");
        }
        assert_eq!(ShardName::parse(&format!("{}.0-1-0", id.to_string().to_uppercase())), None);
    }
}
