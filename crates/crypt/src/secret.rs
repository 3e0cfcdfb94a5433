//! Thirty-two secret bytes that wipe themselves.
//!
//! Owns the one type keys travel in. Never shows, copies, compares or serializes them.

use std::fmt;

use zeroize::Zeroizing;

/// A key of 32 bytes, overwritten when dropped.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes the bytes over. The caller's own copy is the caller's to wipe.
    pub fn from_bytes(bytes: [u8; 32]) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// The bytes, for the moment they are used.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A fresh key from the given source of random bytes.
    pub fn random(fill: &mut dyn FnMut(&mut [u8])) -> Secret {
        let mut bytes = Zeroizing::new([0; 32]);
        fill(&mut bytes[..]);
        Secret(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
