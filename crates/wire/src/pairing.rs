//! How two boxes get to know each other (`docs/wire.md` 3).

use hmac::{Hmac, KeyInit as _, Mac as _};
use keepwell_format::codec::{Reader, Writer};
use keepwell_format::{FormatError, VaultId};
use sha2::Sha256;

use crate::{KeyName, Token};

/// Label of the TLS exporter that binds proofs to their connection.
pub const EXPORTER: &[u8] = b"EXPORTER-keepwell-pair-1";
/// Longest name of a practice or a place, in bytes.
pub const MAX_NAME: usize = 200;

const REQUEST: &[u8; 8] = b"KWPAIR\0\0";
const ANSWER: &[u8; 8] = b"KWPAIRED";
/// Longest slots object that is sent along.
const MAX_SLOTS: usize = 256 << 10;

/// Which end proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that sends.
    Source,
    /// The one that keeps.
    Receiver,
}

/// Which connection it is: who is at its ends, and what both drew from its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// The source's key.
    pub source: KeyName,
    /// The receiver's key.
    pub receiver: KeyName,
    /// TLS exporter with [`EXPORTER`].
    pub exporter: [u8; 32],
}

impl Between {
    /// The proof of one side over what it says.
    pub fn proof(&self, token: &Token, side: Side, said: &[u8]) -> [u8; 32] {
        self.mac(token, side, said).finalize().into_bytes().into()
    }

    /// Whether it is the proof of that side, in a time that does not tell.
    pub fn is_proven(&self, token: &Token, side: Side, said: &[u8], proof: &[u8; 32]) -> bool {
        self.mac(token, side, said).verify_slice(proof).is_ok()
    }

    fn mac(&self, token: &Token, side: Side, said: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256>>::new_from_slice(&token.0).expect("HMAC takes keys of any length");
        mac.update(b"keepwell pair 1 ");
        mac.update(match side {
            Side::Source => b"source\0",
            Side::Receiver => b"receiver\0",
        });
        for part in [&self.exporter, &self.source.0, &self.receiver.0, blake3::hash(said).as_bytes()] {
            mac.update(part);
        }
        mac
    }
}

/// A source asks to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairRequest {
    /// Its vault.
    pub vault: VaultId,
    /// The vault's key slots (`docs/format.md` 5.2).
    pub slots: Vec<u8>,
    /// What people call the practice.
    pub practice: String,
}

impl PairRequest {
    /// Its bytes but for the proof at the end.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.magic(REQUEST).raw(&self.vault.0).bytes(&self.slots).text(&self.practice);
        out.into_bytes()
    }

    /// Parses a request, and tells the bytes that the proof is over, and the proof.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8], [u8; 32]), FormatError> {
        let (said, proof) = split(REQUEST_NAME, bytes)?;
        let mut reader = Reader::new(REQUEST_NAME, said);
        reader.magic(REQUEST)?;
        let (vault, slots, practice) = (reader.vault()?, reader.bytes()?.to_vec(), reader.text()?);
        reader.check(slots.len() <= MAX_SLOTS, "the key slots are too long")?;
        reader.check(practice.len() <= MAX_NAME, "the name is too long")?;
        reader.finish()?;
        Ok((Self { vault, slots, practice }, said, proof))
    }
}

/// A receiver agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairAnswer {
    /// Checks its receipts.
    pub receipt_key: [u8; 32],
    /// Bytes that it keeps at most.
    pub quota: u64,
    /// Seconds for which it keeps every snapshot at least.
    pub floor: u64,
    /// What people call the place.
    pub place: String,
}

impl PairAnswer {
    /// Its bytes but for the proof at the end.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.magic(ANSWER).raw(&self.receipt_key).u64(self.quota).u64(self.floor).text(&self.place);
        out.into_bytes()
    }

    /// Parses an answer, and tells the bytes that the proof is over, and the proof.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8], [u8; 32]), FormatError> {
        let (said, proof) = split(ANSWER_NAME, bytes)?;
        let mut reader = Reader::new(ANSWER_NAME, said);
        reader.magic(ANSWER)?;
        let answer = Self { receipt_key: reader.array()?, quota: reader.u64()?, floor: reader.u64()?, place: reader.text()? };
        reader.check(answer.place.len() <= MAX_NAME, "the name is too long")?;
        reader.finish()?;
        Ok((answer, said, proof))
    }
}

const REQUEST_NAME: &str = "pairing request";
const ANSWER_NAME: &str = "answer to a pairing";

/// What was said, and the proof after it.
fn split<'a>(what: &'static str, bytes: &'a [u8]) -> Result<(&'a [u8], [u8; 32]), FormatError> {
    bytes.split_last_chunk().map(|(said, proof)| (said, *proof)).ok_or(FormatError::Truncated(what))
}
