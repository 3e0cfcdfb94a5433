//! Ed25519 signatures (RFC 8032) of manifests and tombstones.
//!
//! Owns signing and strict verification. Never decides what is signed.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::{CryptError, Secret};

/// A signing key.
pub struct Signer(SigningKey);

impl Signer {
    /// The key that belongs to a seed.
    pub fn from_seed(seed: &Secret) -> Signer {
        Signer(SigningKey::from_bytes(seed.expose()))
    }

    /// The public key.
    pub fn verify_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The signature of a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// Checks a signature; refuses small-order keys and points, so a signature has one meaning for every verifier.
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), CryptError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| CryptError::BadSignature)?;
    key.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| CryptError::BadSignature)
}
