//! Keys, signatures and seals of messages (MS-SMB2 3.1.4). Owns every key; never prints or stores one.

mod kdf;
mod preauth;
mod sealing;
mod signing;

use zeroize::Zeroizing;

pub(crate) use kdf::{Keys, derive};
pub(crate) use preauth::Preauth;
pub(crate) use sealing::{Opener, Sealer};
pub(crate) use signing::Signer;

/// The key a sign-in gave. Erased from memory when dropped.
pub(crate) struct SessionKey(Zeroizing<[u8; 16]>);

impl SessionKey {
    /// The first 16 bytes of `key`, filled up with zeros (MS-SMB2 3.2.5.3).
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut bytes = Zeroizing::new([0; 16]);
        let length = key.len().min(16);
        bytes[..length].copy_from_slice(&key[..length]);
        Self(bytes)
    }
}
