//! A record: what happened, when, by whom, and the hash of the record before. Owns its shape and its limits; its bytes are [`crate::codec`]'s.

use crate::error::InvalidRecord;
use crate::event::Event;
use crate::hash::Hash;

/// Longest record in bytes.
pub const RECORD_MAX: usize = 64 << 10;
const ACTOR_MAX: usize = 256;
const NAME_MAX: usize = 64;
const VALUE_MAX: usize = 16 << 10;
const FIELDS_MAX: usize = 64;

/// A point in time: seconds since 1970-01-01T00:00:00Z, and nanoseconds below one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds; negative before 1970.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

/// What a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Words, ids, codes. No names of patients or their files.
    Text(String),
    /// A count, a size, a time.
    Number(i64),
    /// Sealed, or a digest: what not everybody who reads the ledger may see.
    Bytes(Vec<u8>),
}

/// What is to be recorded; the ledger adds its number and the hash of the record before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// When.
    pub at: Time,
    /// The start of the box in which it happened.
    pub boot: [u8; 16],
    /// Who: a user, or a program of the box. At most 256 bytes.
    pub actor: String,
    /// What.
    pub event: Event,
    /// The rest: at most 64, each name at most once, in kebab-case and at most 64 bytes; texts and bytes at most 16 KiB each, 64 KiB in all.
    pub fields: Vec<(String, Value)>,
}

impl Draft {
    /// Refuses what would not be taken back from the ledger.
    pub(crate) fn check(&self) -> Result<(), InvalidRecord> {
        let holds = |holds, why| if holds { Ok(()) } else { Err(InvalidRecord(why)) };
        holds(self.at.nanos < 1_000_000_000, "nanoseconds make a second or more")?;
        holds(self.actor.len() <= ACTOR_MAX, "the actor is longer than 256 bytes")?;
        holds(self.fields.len() <= FIELDS_MAX, "there are more than 64 fields")?;
        for (n, (name, value)) in self.fields.iter().enumerate() {
            holds(is_name(name), "the name of a field is not in kebab-case")?;
            holds(self.fields[..n].iter().all(|(other, _)| other != name), "a field is there twice")?;
            let length = match value {
                Value::Text(text) => text.len(),
                Value::Number(_) => 0,
                Value::Bytes(bytes) => bytes.len(),
            };
            holds(length <= VALUE_MAX, "a field is longer than 16 KiB")?;
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.len() <= NAME_MAX && name.split('-').all(word)
}

/// A record of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// The start of the box in which it happened.
    pub boot: [u8; 16],
    /// Who.
    pub actor: String,
    /// What.
    pub event: Event,
    /// The rest, in the order in which it was given.
    pub fields: Vec<(String, Value)>,
    /// Hash of the record before; in the first record of a file, of the file's header.
    pub before: Hash,
}

impl Record {
    /// What a field says.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}
