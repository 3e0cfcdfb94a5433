//! The name of a transport key, by which a box is known (`docs/wire.md` 1), and the words that two people compare (3).

use std::fmt;

use sha2::{Digest as _, Sha256};

/// SHA-256 of a SubjectPublicKeyInfo in DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(pub [u8; 32]);

impl KeyName {
    /// The name of this key.
    pub fn of(public_key_info: &[u8]) -> Self {
        Self(Sha256::digest(public_key_info).into())
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyName({self})")
    }
}

/// What both screens show after pairing: equal where nobody stands between.
pub fn words(source: KeyName, receiver: KeyName) -> [&'static str; 4] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"keepwell pair words 1").update(&source.0).update(&receiver.0);
    let hash = hasher.finalize();
    let bits = u64::from_be_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
    std::array::from_fn(|n| bip39::Language::English.word_list()[usize::try_from(bits >> (53 - 11 * n) & 0x7ff).unwrap_or(0)])
}
