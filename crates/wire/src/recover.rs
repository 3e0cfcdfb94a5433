//! A new box takes the place of one that burnt (`docs/wire.md` 8).

use std::fmt;

use keepwell_format::codec::{Reader, Writer};
use keepwell_format::{FormatError, VaultId};

use crate::pairing::Between;
use crate::secret::Secret;

/// Label of the TLS exporter that binds a proof to its connection.
pub const EXPORTER: &[u8] = b"EXPORTER-keepwell-recover-1";

const WHAT: &str = "recovery";
const LABEL: &[u8] = b"keepwell recover 1";
/// An age recipient is 62 characters.
const MAX_RECIPIENT: usize = 128;

/// Which vault, and whose kit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverRequest {
    /// The vault.
    pub vault: VaultId,
    /// `age1...`: what two papers answer for.
    pub recipient: String,
}

impl RecoverRequest {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(&self.vault.0).text(&self.recipient);
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let request = Self { vault: reader.vault()?, recipient: reader.text()? };
        let plain = request.recipient.bytes().all(|byte| byte.is_ascii_alphanumeric());
        reader.check(request.recipient.len() <= MAX_RECIPIENT && plain, "no recipient")?;
        reader.finish()?;
        Ok(request)
    }
}

/// What only the kit can read. Wiped when it goes.
pub struct RecoverSecret(Secret);

impl RecoverSecret {
    /// From random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::from_bytes(LABEL, bytes))
    }

    /// What is sealed to the kit.
    pub fn payload(&self) -> Vec<u8> {
        self.0.payload()
    }

    /// From what the kit opened.
    pub fn of_payload(payload: &[u8]) -> Result<Self, FormatError> {
        Secret::of_payload(WHAT, LABEL, payload).map(Self)
    }

    /// The proof on this connection; its source is the new box.
    pub fn proof(&self, between: &Between) -> [u8; 32] {
        self.0.proof(between, &[])
    }

    /// Whether it is that proof, in a time that does not tell.
    pub fn is_proven(&self, between: &Between, proof: &[u8; 32]) -> bool {
        self.0.is_proven(between, &[], proof)
    }
}

impl fmt::Debug for RecoverSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoverSecret(..)")
    }
}

/// The answer to a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoverProof {
    /// The vault.
    pub vault: VaultId,
    /// Of [`RecoverSecret::proof`].
    pub proof: [u8; 32],
}

impl RecoverProof {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(&self.vault.0).raw(&self.proof);
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let proof = Self { vault: reader.vault()?, proof: reader.array()? };
        reader.finish()?;
        Ok(proof)
    }
}
