//! Where there is no TPM: the sealed half under a passphrase (`stand-in.json`). Whoever has a copy of the state can try passphrases elsewhere.

use keepwell_crypt::{Argon2Cost, CryptError, Sealer, Secret, passphrase_key};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hex::Hex;

const PURPOSE: &str = "stand-in";

/// The sealed half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandIn {
    salt: [u8; 16],
    m_kib: u32,
    t: u32,
    p: u32,
    sealed: Hex,
}

impl StandIn {
    /// Seals a secret for a box. Takes the time and memory of one guess.
    pub fn seal(secret: &Secret, passphrase: &[u8], box_id: &[u8; 16], fill: &mut dyn FnMut(&mut [u8])) -> Result<Self, CryptError> {
        let mut salt = [0; 16];
        fill(&mut salt);
        let cost = Argon2Cost::DEFAULT;
        let sealed = Sealer::new(&passphrase_key(passphrase, &salt, cost)?, PURPOSE).seal(box_id, secret.expose());
        Ok(Self { salt, m_kib: cost.m_kib, t: cost.t, p: cost.p, sealed: Hex(sealed) })
    }

    /// Opens it.
    pub fn open(&self, passphrase: &[u8], box_id: &[u8; 16]) -> Result<Secret, CryptError> {
        let cost = Argon2Cost { m_kib: self.m_kib, t: self.t, p: self.p };
        let sealer = Sealer::new(&passphrase_key(passphrase, &self.salt, cost)?, PURPOSE);
        // The file's hash was right, so it is the passphrase.
        let plain = Zeroizing::new(sealer.open(box_id, &self.sealed.0).map_err(|_| CryptError::WrongKey)?);
        let mut secret = Zeroizing::new([0; 32]);
        let whole = plain.len() == secret.len();
        whole.then(|| secret.copy_from_slice(&plain)).ok_or(CryptError::Damaged { what: "the stand-in" })?;
        Ok(Secret::from_bytes(*secret))
    }
}
