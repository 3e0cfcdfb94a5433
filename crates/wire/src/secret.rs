//! A secret that is sealed to a kit, and the proof of who opened it: bound to what it is for, to the connection, and to what was said (`docs/wire.md` 8, 9).

use hmac::{Hmac, KeyInit as _, Mac as _};
use keepwell_format::FormatError;
use keepwell_format::codec::Reader;
use sha2::Sha256;
use zeroize::Zeroize;

use crate::pairing::Between;

/// Wiped when it goes.
pub(crate) struct Secret {
    /// What it is for: an answer for one thing is worth nothing for another.
    label: &'static [u8],
    bytes: [u8; 32],
}

impl Secret {
    pub(crate) fn from_bytes(label: &'static [u8], bytes: [u8; 32]) -> Self {
        Self { label, bytes }
    }

    /// What is sealed to the kit.
    pub(crate) fn payload(&self) -> Vec<u8> {
        [self.label, &self.bytes].concat()
    }

    /// From what the kit opened.
    pub(crate) fn of_payload(what: &'static str, label: &'static [u8], payload: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(what, payload);
        let found = reader.take(label.len())?;
        reader.check(found == label, "sealed for something else")?;
        let secret = Self { label, bytes: reader.array()? };
        reader.finish()?;
        Ok(secret)
    }

    /// The proof on this connection, over more that it is about.
    pub(crate) fn proof(&self, between: &Between, more: &[u8]) -> [u8; 32] {
        self.mac(between, more).finalize().into_bytes().into()
    }

    /// Whether it is that proof, in a time that does not tell.
    pub(crate) fn is_proven(&self, between: &Between, more: &[u8], proof: &[u8; 32]) -> bool {
        self.mac(between, more).verify_slice(proof).is_ok()
    }

    fn mac(&self, between: &Between, more: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256>>::new_from_slice(&self.bytes).expect("HMAC takes keys of any length");
        for part in [self.label, b"\0", &between.exporter, &between.source.0, &between.receiver.0, more] {
            mac.update(part);
        }
        mac
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}
