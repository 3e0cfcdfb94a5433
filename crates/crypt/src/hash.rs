//! BLAKE3 in its three modes: object ids, keyed ids, key derivation.
//!
//! Owns the choice of hash. Never compares secrets. Contexts are part of the format (`docs/format.md`).

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::Secret;

/// `H(bytes)`: the id of an object.
pub fn object_id(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// `H` or `KH` over bytes that come in pieces. Wiped when dropped.
#[derive(Clone)]
pub struct ObjectHasher(blake3::Hasher);

impl ObjectHasher {
    /// An unkeyed hasher, giving the same ids as [`object_id`].
    pub fn new() -> ObjectHasher {
        ObjectHasher(blake3::Hasher::new())
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut ObjectHasher {
        self.0.update(bytes);
        self
    }

    /// The hash of everything added so far.
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

impl Default for ObjectHasher {
    fn default() -> ObjectHasher {
        ObjectHasher::new()
    }
}

impl Drop for ObjectHasher {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for ObjectHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectHasher(..)")
    }
}

/// `KH(k, _)` with `k = KDF(context, key)`: one keyed hash per purpose.
pub struct KeyedHash(Zeroizing<[u8; 32]>);

impl KeyedHash {
    /// The hash for one purpose of a key.
    pub fn derive(context: &str, key: &Secret) -> KeyedHash {
        KeyedHash(Zeroizing::new(blake3::derive_key(context, key.expose())))
    }

    /// `KH(k, bytes)`.
    pub fn hash(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, bytes).as_bytes()
    }

    /// The same hash over bytes that come in pieces.
    pub fn hasher(&self) -> ObjectHasher {
        ObjectHasher(blake3::Hasher::new_keyed(&self.0))
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHash(..)")
    }
}

/// `KDF(context, material)`.
pub fn kdf(context: &str, material: &[u8]) -> Secret {
    Secret::from_bytes(blake3::derive_key(context, material))
}

/// The chunker's table: 2,048 bytes of keyed output over nothing, as little-endian words.
pub fn gear_table(key: &Secret) -> [u64; 256] {
    let mut bytes = Zeroizing::new([0; 2048]);
    let hasher = KeyedHash::derive("keepwell v1 gear", key).hasher();
    hasher.0.finalize_xof().fill(&mut bytes[..]);
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}
