//! Show that it is there (`docs/wire.md` 7).

use keepwell_format::FormatError;
use keepwell_format::codec::{Reader, Writer};

use crate::Class;
use crate::slice::{MAX_SIBLINGS, SLICE, SliceProof, slices};

/// Most slices that are asked for at a time.
pub const MAX_ASKED: usize = 512;

const WHAT: &str = "challenge";

/// A slice that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What the object is.
    pub class: Class,
    /// Its id.
    pub id: [u8; 32],
    /// Its length, which the asker knows.
    pub length: u64,
    /// Which slice of it.
    pub slice: u64,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Never used before.
    pub nonce: [u8; 32],
    /// Slices.
    pub asked: Vec<Asked>,
}

impl Challenge {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(&self.nonce).count(self.asked.len());
        for one in &self.asked {
            out.u8(one.class as u8).raw(&one.id).varint(one.length).varint(one.slice);
        }
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let nonce = reader.array()?;
        let count = reader.count(35)?;
        reader.check(count <= MAX_ASKED, "too many slices")?;
        let asked = (0..count).map(|_| read_asked(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { nonce, asked })
    }
}

fn read_asked(reader: &mut Reader<'_>) -> Result<Asked, FormatError> {
    let asked = Asked { class: Class::read(reader)?, id: reader.array()?, length: reader.varint()?, slice: reader.varint()? };
    reader.check(asked.length <= crate::MAX_OBJECT, "longer than an object can be")?;
    reader.check(asked.slice < slices(asked.length), "no such slice")?;
    Ok(asked)
}

/// The answer: for each slice its proof, or none where the object is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// That of the question.
    pub nonce: [u8; 32],
    /// In the order of the question.
    pub proofs: Vec<Option<SliceProof>>,
}

impl Answer {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(&self.nonce);
        for proof in &self.proofs {
            match proof {
                None => {
                    out.u8(0);
                }
                Some(proof) => {
                    out.u8(1).bytes(&proof.slice).count(proof.siblings.len()).raw(proof.siblings.as_flattened());
                }
            }
        }
        out.into_bytes()
    }

    /// Parses the answer to a question.
    pub fn decode(bytes: &[u8], asked: &Challenge) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let nonce = reader.array()?;
        reader.check(nonce == asked.nonce, "the answer to another question")?;
        let proofs = asked.asked.iter().map(|_| read_proof(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { nonce, proofs })
    }

    /// What was asked for and is not proven: lost there.
    pub fn lost(&self, asked: &Challenge) -> Vec<Asked> {
        let holds =
            |one: &Asked, proof: &Option<SliceProof>| proof.as_ref().is_some_and(|proof| proof.holds(&one.id, one.length, one.slice));
        let answered = self.proofs.iter().chain(std::iter::repeat(&None));
        asked.asked.iter().zip(answered).filter(|(one, proof)| !holds(one, proof)).map(|(one, _)| *one).collect()
    }
}

fn read_proof(reader: &mut Reader<'_>) -> Result<Option<SliceProof>, FormatError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => {
            let slice = reader.bytes()?;
            reader.check(slice.len() as u64 <= SLICE, "a slice is too long")?;
            let count = reader.count(32)?;
            reader.check(count <= MAX_SIBLINGS, "too many siblings")?;
            let siblings = (0..count).map(|_| reader.array()).collect::<Result<_, _>>()?;
            Ok(Some(SliceProof { slice: slice.to_vec(), siblings }))
        }
        _ => Err(reader.invalid("unknown kind of answer")),
    }
}
