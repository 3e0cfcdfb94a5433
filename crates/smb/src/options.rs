//! How to connect. Owns the defaults and the dialects; never a password.

use std::fmt;
use std::time::Duration;

use crate::{Cipher, Signing};

/// How a connection is made and kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Longest wait for the answer to one request; after it the connection is given up.
    pub timeout: Duration,
    /// Longest wait for the TCP connection.
    pub dial: Duration,
    /// Oldest dialect accepted.
    pub min_dialect: Dialect,
    /// Newest dialect offered.
    pub max_dialect: Dialect,
    /// Refuse servers that only sign. Without it, encryption is used where the server can do it.
    pub require_encryption: bool,
    /// Ciphers offered, best first; empty: never encrypt. Before SMB 3.1.1 there is only AES-128-CCM.
    pub ciphers: Vec<Cipher>,
    /// Signing algorithms offered to SMB 3.1.1 servers, best first. Older ones have no choice.
    pub signing: Vec<Signing>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            dial: Duration::from_secs(10),
            min_dialect: Dialect::Smb210,
            max_dialect: Dialect::Smb311,
            require_encryption: false,
            ciphers: vec![Cipher::Aes128Gcm, Cipher::Aes256Gcm, Cipher::Aes128Ccm, Cipher::Aes256Ccm],
            signing: vec![Signing::AesGmac, Signing::AesCmac, Signing::HmacSha256],
        }
    }
}

/// A version of the protocol (MS-SMB2 2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Dialect {
    /// SMB 2.1: signed with HMAC-SHA256, never encrypted.
    Smb210 = 0x0210,
    /// SMB 3.0.
    Smb300 = 0x0300,
    /// SMB 3.0.2.
    Smb302 = 0x0302,
    /// SMB 3.1.1: the sign-in itself is protected.
    Smb311 = 0x0311,
}

impl Dialect {
    pub(crate) const ALL: [Self; 4] = [Self::Smb210, Self::Smb300, Self::Smb302, Self::Smb311];

    pub(crate) fn from_wire(revision: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| *dialect as u16 == revision)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smb210 => "2.1",
            Self::Smb300 => "3.0",
            Self::Smb302 => "3.0.2",
            Self::Smb311 => "3.1.1",
        })
    }
}
