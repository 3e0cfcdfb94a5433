//! What is kept of an accepted snapshot: its receipt, and what opens it (`docs/format.md` 9.2).

use keepwell_format::FormatError;
use keepwell_format::codec::{Reader, Writer};
use keepwell_wire::Receipt;

const MAGIC: &[u8; 8] = b"KWSET\0\0\0";
const WHAT: &str = "set of a receiver";

/// A snapshot that a receiver has signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRecord {
    /// What was signed.
    pub receipt: Receipt,
    /// By the receipt key.
    pub signature: [u8; 64],
    /// Key slots that were there then, ascending.
    pub slots: Vec<[u8; 32]>,
    /// Keyrings that were there then, ascending.
    pub keyrings: Vec<[u8; 32]>,
}

impl SetRecord {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(Receipt::LEN + 32 * (self.slots.len() + self.keyrings.len()) + 16);
        out.magic(MAGIC).raw(&self.receipt.encode(&self.signature));
        for list in [&self.slots, &self.keyrings] {
            out.count(list.len()).raw(list.as_flattened());
        }
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        reader.magic(MAGIC)?;
        let (receipt, signature) = Receipt::decode(reader.take(Receipt::LEN)?)?;
        let (slots, keyrings) = (read_ids(&mut reader)?, read_ids(&mut reader)?);
        reader.finish()?;
        Ok(Self { receipt, signature, slots, keyrings })
    }
}

fn read_ids(reader: &mut Reader<'_>) -> Result<Vec<[u8; 32]>, FormatError> {
    let count = reader.count(32)?;
    let ids: Vec<[u8; 32]> = (0..count).map(|_| reader.array()).collect::<Result<_, _>>()?;
    reader.check(ids.is_sorted_by(|a, b| a < b), "ids do not ascend")?;
    Ok(ids)
}
