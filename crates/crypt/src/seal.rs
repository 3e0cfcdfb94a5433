//! Deterministic authenticated encryption (`docs/format.md`, 5.1; the SIV idea of RFC 5297 and RFC 8452).
//!
//! Owns the sealed form of every byte Keepwell stores. Never draws random numbers: the salt is a PRF of the message, so one message key
//! meets one message only and the fixed nonce is safe.

use std::fmt;

use aes_gcm::{Aes256Gcm, KeyInit, Nonce, aead::AeadInOut};
use zeroize::Zeroizing;

use crate::{CryptError, KeyedHash, Secret};

/// Bytes a sealed message is longer than its plaintext: salt 32, tag 16.
pub const OVERHEAD: usize = SALT + TAG;
const SALT: usize = 32;
const TAG: usize = 16;

/// AES-256-GCM with a nonce of 12 zero bytes (NIST SP 800-38D). Every implementation gives the same bytes.
pub trait Aead: Send + Sync {
    /// Encrypts in place and returns the tag.
    fn encrypt(&self, key: &[u8; 32], aad: &[u8], data: &mut [u8]) -> [u8; 16];
    /// Decrypts in place if the tag fits; otherwise leaves `data` and fails with [`CryptError::NotAuthentic`].
    fn decrypt(&self, key: &[u8; 32], aad: &[u8], data: &mut [u8], tag: &[u8; 16]) -> Result<(), CryptError>;
}

/// Seals and opens under one key for one purpose. Share it by reference or `Arc`.
pub struct Sealer {
    salts: KeyedHash,
    keys: KeyedHash,
    aead: &'static dyn Aead,
}

impl Sealer {
    /// A sealer for one purpose of a key; what is sealed for one purpose does not open for another.
    pub fn new(key: &Secret, purpose: &str) -> Sealer {
        Sealer::with_aead(key, purpose, &RustCryptoGcm)
    }

    /// The same with another implementation of the cipher.
    pub fn with_aead(key: &Secret, purpose: &str, aead: &'static dyn Aead) -> Sealer {
        Sealer {
            salts: KeyedHash::derive(&format!("keepwell v1 {purpose} salt"), key),
            keys: KeyedHash::derive(&format!("keepwell v1 {purpose} frame"), key),
            aead,
        }
    }

    /// The sealed message, `plain.len() + OVERHEAD` bytes.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.seal_into(aad, plain, &mut out);
        out
    }

    /// Appends the sealed message to `out`.
    pub fn seal_into(&self, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
        let salt = self.salt(aad, plain);
        out.reserve(plain.len() + OVERHEAD);
        out.extend_from_slice(&salt);
        let start = out.len();
        out.extend_from_slice(plain);
        let tag = self.aead.encrypt(&self.message_key(&salt), aad, &mut out[start..]);
        out.extend_from_slice(&tag);
    }

    /// The sealed message in the memory of its plaintext: for what is large and need not be kept.
    pub fn seal_in_place(&self, aad: &[u8], mut plain: Vec<u8>) -> Vec<u8> {
        let salt = self.salt(aad, &plain);
        plain.reserve_exact(OVERHEAD);
        plain.splice(..0, salt);
        let tag = self.aead.encrypt(&self.message_key(&salt), aad, &mut plain[SALT..]);
        plain.extend_from_slice(&tag);
        plain
    }

    /// The plaintext, if key, purpose, `aad` and every byte are what they were when it was sealed.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CryptError> {
        let (salt, rest) = sealed.split_first_chunk::<SALT>().ok_or(TOO_SHORT)?;
        let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(TOO_SHORT)?;
        let mut plain = body.to_vec();
        self.aead.decrypt(&self.message_key(salt), aad, &mut plain, tag)?;
        // GCM alone does not commit to its key; the salt does.
        if blake3::Hash::from_bytes(self.salt(aad, &plain)) != blake3::Hash::from_bytes(*salt) {
            return Err(CryptError::NotAuthentic);
        }
        Ok(plain)
    }

    fn salt(&self, aad: &[u8], plain: &[u8]) -> [u8; SALT] {
        let length = (aad.len() as u64).to_le_bytes();
        self.salts.hasher().update(&length).update(aad).update(plain).finish()
    }

    fn message_key(&self, salt: &[u8; SALT]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.keys.hash(salt))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

const TOO_SHORT: CryptError = CryptError::Damaged { what: "the sealed message" };
const NONCE: [u8; 12] = [0; 12];

/// The cipher of crate `aes-gcm`.
struct RustCryptoGcm;

impl Aead for RustCryptoGcm {
    fn encrypt(&self, key: &[u8; 32], aad: &[u8], data: &mut [u8]) -> [u8; 16] {
        let cipher = Aes256Gcm::new(key.into());
        let tag = cipher.encrypt_inout_detached(&Nonce::from(NONCE), aad, data.into());
        tag.expect("only fails from 64 GiB on, and no message is longer than a pack").into()
    }

    fn decrypt(&self, key: &[u8; 32], aad: &[u8], data: &mut [u8], tag: &[u8; 16]) -> Result<(), CryptError> {
        let cipher = Aes256Gcm::new(key.into());
        cipher.decrypt_inout_detached(&Nonce::from(NONCE), aad, data.into(), tag.into()).map_err(|_| CryptError::NotAuthentic)
    }
}
