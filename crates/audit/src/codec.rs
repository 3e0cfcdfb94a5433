//! A record's bytes (`docs/ledger.md` 2): one value has one encoding. Never allocates for a length that the input can't hold.

use crate::error::InvalidRecord;
use crate::event::Event;
use crate::hash::Hash;
use crate::record::{Draft, RECORD_MAX, Record, Time, Value};

/// First byte of each record.
pub(crate) const VERSION: u8 = 1;

const TEXT: u8 = 0;
const NUMBER: u8 = 1;
const BYTES: u8 = 2;

/// The bytes of a record, checked against the limits.
pub(crate) fn encode(seq: u64, before: Hash, draft: &Draft) -> Result<Vec<u8>, InvalidRecord> {
    draft.check()?;
    let mut out = vec![VERSION];
    out.extend(seq.to_le_bytes());
    out.extend(before.0);
    out.extend(draft.at.seconds.to_le_bytes());
    out.extend(draft.at.nanos.to_le_bytes());
    out.extend(draft.boot);
    out.extend(draft.event.number().to_le_bytes());
    put(&mut out, draft.actor.as_bytes());
    out.push(draft.fields.len() as u8);
    for (name, value) in &draft.fields {
        put(&mut out, name.as_bytes());
        match value {
            Value::Text(text) => {
                out.push(TEXT);
                put(&mut out, text.as_bytes());
            }
            Value::Number(number) => {
                out.push(NUMBER);
                out.extend(number.to_le_bytes());
            }
            Value::Bytes(bytes) => {
                out.push(BYTES);
                put(&mut out, bytes);
            }
        }
    }
    if out.len() > RECORD_MAX { Err(InvalidRecord("the record is longer than 64 KiB")) } else { Ok(out) }
}

/// All lengths were checked to be below 2^16.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u16).to_le_bytes());
    out.extend(bytes);
}

/// The record of these bytes, all of them.
pub(crate) fn decode(bytes: &[u8]) -> Result<Record, InvalidRecord> {
    let mut rest = Rest(bytes);
    if rest.take(1)? != [VERSION] {
        return Err(InvalidRecord("the record is of another version"));
    }
    let seq = u64::from_le_bytes(rest.array()?);
    let before = Hash(rest.array()?);
    let at = Time { seconds: i64::from_le_bytes(rest.array()?), nanos: u32::from_le_bytes(rest.array()?) };
    let boot = rest.array()?;
    let event = Event::from_number(u16::from_le_bytes(rest.array()?));
    let actor = rest.text()?;
    let [count] = rest.array()?;
    let mut fields = Vec::new();
    for _ in 0..count {
        let name = rest.text()?;
        let value = match rest.array()? {
            [TEXT] => Value::Text(rest.text()?),
            [NUMBER] => Value::Number(i64::from_le_bytes(rest.array()?)),
            [BYTES] => Value::Bytes(rest.bytes()?.to_vec()),
            _ => return Err(InvalidRecord("a field is of an unknown kind")),
        };
        fields.push((name, value));
    }
    if !rest.0.is_empty() || bytes.len() > RECORD_MAX {
        return Err(InvalidRecord("the record is longer than what it says"));
    }
    let draft = Draft { at, boot, actor, event, fields };
    draft.check()?;
    let Draft { at, boot, actor, event, fields } = draft;
    Ok(Record { seq, at, boot, actor, event, fields, before })
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], InvalidRecord> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(InvalidRecord("the record is cut"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], InvalidRecord> {
        let (head, rest) = self.0.split_first_chunk().ok_or(InvalidRecord("the record is cut"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn bytes(&mut self) -> Result<&'a [u8], InvalidRecord> {
        let length = u16::from_le_bytes(self.array()?);
        self.take(usize::from(length))
    }

    fn text(&mut self) -> Result<String, InvalidRecord> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| InvalidRecord("a text is not UTF-8"))
    }
}

impl Record {
    /// The record of these bytes, all of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidRecord> {
        decode(bytes)
    }

    /// Its bytes, as they are in the file and as they are hashed.
    pub fn encode(&self) -> Result<Vec<u8>, InvalidRecord> {
        let Self { seq, at, boot, actor, event, fields, before } = self.clone();
        encode(seq, before, &Draft { at, boot, actor, event, fields })
    }

    /// Its hash.
    pub fn hash(&self) -> Result<Hash, InvalidRecord> {
        self.encode().map(|bytes| Hash::of_record(&bytes))
    }
}
