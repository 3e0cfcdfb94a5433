//! What does the receiver have? Asked by prefixes of ids (`docs/wire.md` 4).

use std::collections::BTreeSet;

use keepwell_format::FormatError;
use keepwell_format::codec::{Reader, Writer};

use crate::Class;

/// Most prefixes of a question.
pub const MAX_PREFIXES: usize = 256;
/// Most ids in the answer to a prefix; with more it is fingerprints.
pub const MAX_IDS: usize = 256;

const WHAT: &str = "survey";
const NOTHING: [u8; 32] = [0; 32];

/// The first hex digits of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    digits: u8,
    bytes: [u8; 32],
}

impl Prefix {
    /// Of every id.
    pub const ALL: Self = Self { digits: 0, bytes: [0; 32] };

    /// One digit longer; none for a prefix that is a whole id, or what is no digit.
    pub fn then(self, digit: u8) -> Option<Self> {
        if digit > 0xf || self.digits == 64 {
            return None;
        }
        let mut bytes = self.bytes;
        bytes[usize::from(self.digits / 2)] |= if self.digits.is_multiple_of(2) { digit << 4 } else { digit };
        Some(Self { digits: self.digits + 1, bytes })
    }

    /// How many digits it has.
    pub fn digits(self) -> u8 {
        self.digits
    }

    /// Of ascending ids, those that begin so.
    pub fn within(self, ids: &[[u8; 32]]) -> &[[u8; 32]] {
        let from = ids.partition_point(|id| *id < self.bytes);
        let to = from + ids[from..].partition_point(|id| self.begins(id));
        &ids[from..to]
    }

    /// Whether an id begins so.
    pub fn begins(self, id: &[u8; 32]) -> bool {
        let whole = usize::from(self.digits / 2);
        id[..whole] == self.bytes[..whole] && (self.digits.is_multiple_of(2) || id[whole] >> 4 == self.bytes[whole] >> 4)
    }

    fn write(self, out: &mut Writer) {
        out.u8(self.digits).raw(&self.bytes[..usize::from(self.digits).div_ceil(2)]);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let digits = reader.u8()?;
        reader.check(digits <= 64, "a prefix is longer than an id")?;
        let mut bytes = [0; 32];
        let given = reader.take(usize::from(digits).div_ceil(2))?;
        bytes[..given.len()].copy_from_slice(given);
        reader.check(digits.is_multiple_of(2) || given.last().is_some_and(|last| last & 0xf == 0), "half a byte too much")?;
        Ok(Self { digits, bytes })
    }
}

/// What there is below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Branch {
    /// These.
    Ids(Vec<[u8; 32]>),
    /// So many below each next digit, with their fingerprint.
    Below(Box<[(u64, [u8; 32]); 16]>),
}

impl Branch {
    /// What a receiver answers that has these, ascending.
    pub fn of(prefix: Prefix, ids: &[[u8; 32]]) -> Self {
        let mine = prefix.within(ids);
        if mine.len() <= MAX_IDS {
            return Self::Ids(mine.to_vec());
        }
        Self::Below(Box::new(std::array::from_fn(|digit| {
            let below = u8::try_from(digit).ok().and_then(|digit| prefix.then(digit)).map_or(&[][..], |next| next.within(mine));
            (below.len() as u64, fingerprint(below))
        })))
    }
}

/// The fingerprint of ascending ids.
pub fn fingerprint(ids: &[[u8; 32]]) -> [u8; 32] {
    if ids.is_empty() {
        return NOTHING;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"keepwell survey 1").update(ids.as_flattened());
    *hasher.finalize().as_bytes()
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Of which objects.
    pub class: Class,
    /// Below which prefixes.
    pub prefixes: Vec<Prefix>,
}

impl Survey {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(self.class as u8).count(self.prefixes.len());
        self.prefixes.iter().for_each(|prefix| prefix.write(&mut out));
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let class = Class::read(&mut reader)?;
        let count = reader.count(1)?;
        reader.check(count <= MAX_PREFIXES, "too many prefixes")?;
        let prefixes = (0..count).map(|_| Prefix::read(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { class, prefixes })
    }
}

/// What a source asks to find what the receiver lacks: below a prefix only where the two differ there.
#[derive(Debug)]
pub struct Search<'a> {
    class: Class,
    mine: &'a [[u8; 32]],
    open: Vec<Prefix>,
    lacks: BTreeSet<[u8; 32]>,
}

impl<'a> Search<'a> {
    /// Of a source that has these, ascending.
    pub fn of(class: Class, mine: &'a [[u8; 32]]) -> Self {
        Self { class, mine, open: vec![Prefix::ALL], lacks: BTreeSet::new() }
    }

    /// The next question; none when all is known.
    pub fn question(&mut self) -> Option<Survey> {
        let prefixes = self.open.split_off(self.open.len().saturating_sub(MAX_PREFIXES));
        (!prefixes.is_empty()).then_some(Survey { class: self.class, prefixes })
    }

    /// What came back, as [`decode_answer`] has it.
    pub fn answered(&mut self, asked: &Survey, branches: Vec<Branch>) {
        for (prefix, branch) in asked.prefixes.iter().zip(branches) {
            match branch {
                Branch::Ids(there) => {
                    self.lacks.extend(prefix.within(self.mine).iter().filter(|id| there.binary_search(id).is_err()));
                }
                Branch::Below(children) => {
                    let below = (0..16).filter_map(|digit| prefix.then(digit)).zip(children.iter());
                    let differs = |next: Prefix, (count, print): &(u64, [u8; 32])| {
                        let here = next.within(self.mine);
                        here.len() as u64 != *count || fingerprint(here) != *print
                    };
                    self.open.extend(below.filter(|(next, child)| differs(*next, child)).map(|(next, _)| next));
                }
            }
        }
    }

    /// What the receiver lacks, when there is no further question.
    pub fn lacks(self) -> BTreeSet<[u8; 32]> {
        self.lacks
    }
}

/// What a box asks that has nothing yet, to find all that the receiver has.
#[derive(Debug)]
pub struct Listing {
    class: Class,
    open: Vec<Prefix>,
    there: BTreeSet<[u8; 32]>,
}

impl Listing {
    /// Of this class.
    pub fn of(class: Class) -> Self {
        Self { class, open: vec![Prefix::ALL], there: BTreeSet::new() }
    }

    /// The next question; none when all is known.
    pub fn question(&mut self) -> Option<Survey> {
        let prefixes = self.open.split_off(self.open.len().saturating_sub(MAX_PREFIXES));
        (!prefixes.is_empty()).then_some(Survey { class: self.class, prefixes })
    }

    /// What came back, as [`decode_answer`] has it.
    pub fn answered(&mut self, asked: &Survey, branches: Vec<Branch>) {
        for (prefix, branch) in asked.prefixes.iter().zip(branches) {
            match branch {
                Branch::Ids(ids) => self.there.extend(ids),
                Branch::Below(children) => {
                    let below = (0..16).filter_map(|digit| prefix.then(digit)).zip(children.iter());
                    self.open.extend(below.filter(|(_, (count, _))| *count > 0).map(|(next, _)| next));
                }
            }
        }
    }

    /// All of them, when there is no further question.
    pub fn there(self) -> BTreeSet<[u8; 32]> {
        self.there
    }
}

/// The bytes of an answer: a branch for each prefix, in order.
pub fn encode_answer(branches: &[Branch]) -> Vec<u8> {
    let mut out = Writer::new();
    for branch in branches {
        match branch {
            Branch::Ids(ids) => {
                out.u8(0).count(ids.len()).raw(ids.as_flattened());
            }
            Branch::Below(children) => {
                out.u8(1);
                for (count, fingerprint) in children.iter() {
                    out.varint(*count).raw(fingerprint);
                }
            }
        }
    }
    out.into_bytes()
}

/// Parses the answer to a question.
pub fn decode_answer(bytes: &[u8], asked: &Survey) -> Result<Vec<Branch>, FormatError> {
    let mut reader = Reader::new(WHAT, bytes);
    let branches = asked.prefixes.iter().map(|prefix| read_branch(&mut reader, *prefix)).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(branches)
}

fn read_branch(reader: &mut Reader<'_>, prefix: Prefix) -> Result<Branch, FormatError> {
    match reader.u8()? {
        0 => {
            let count = reader.count(32)?;
            reader.check(count <= MAX_IDS, "too many ids")?;
            let ids: Vec<[u8; 32]> = (0..count).map(|_| reader.array()).collect::<Result<_, _>>()?;
            reader.check(ids.is_sorted_by(|a, b| a < b), "ids do not ascend")?;
            reader.check(ids.iter().all(|id| prefix.begins(id)), "an id that was not asked for")?;
            Ok(Branch::Ids(ids))
        }
        1 => {
            reader.check(prefix.digits < 64, "more than one of an id")?;
            let mut children = [(0, NOTHING); 16];
            for child in &mut children {
                *child = (reader.varint()?, reader.array()?);
                reader.check((child.0 == 0) == (child.1 == NOTHING), "a fingerprint of nothing, or none of something")?;
            }
            Ok(Branch::Below(Box::new(children)))
        }
        _ => Err(reader.invalid("unknown kind of answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(digits: &[u8]) -> Prefix {
        digits.iter().fold(Prefix::ALL, |prefix, digit| prefix.then(*digit).expect("a digit"))
    }

    #[test]
    fn prefixes_find_what_begins_so() {
        let mut ids: Vec<[u8; 32]> = (0..=255).map(|first| [first; 32]).collect();
        ids.push([0xff; 32]);
        ids.dedup();
        assert_eq!(Prefix::ALL.within(&ids).len(), 256);
        assert_eq!(prefix(&[0xa]).within(&ids).len(), 16);
        assert_eq!(prefix(&[0xa, 0xb]).within(&ids), [[0xab; 32]]);
        assert_eq!(prefix(&[0xf, 0xf]).within(&ids), [[0xff; 32]]);
        assert_eq!(prefix(&[0xa, 0xb, 0xc]).within(&ids), [[0_u8; 32]; 0]);
        assert_eq!(prefix(&[0xa, 0xb, 0xa]).within(&ids), [[0xab; 32]]);
        assert_eq!(prefix(&[0xf; 64]).within(&ids), [[0xff; 32]]);
        assert_eq!(prefix(&[0xf; 64]).then(0), None);
        assert_eq!(Prefix::ALL.then(16), None);
    }
}
