//! What a connection turned out to be. Owns plain facts; never a key.

use std::fmt;

use crate::{Dialect, FileTime};

/// What was agreed with the server, and what it said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The protocol version in use.
    pub dialect: Dialect,
    /// How messages are protected.
    pub protection: Protection,
    /// The server's own id; the same over all its shares.
    pub server_guid: [u8; 16],
    /// Most bytes of one read.
    pub max_read: u32,
    /// Most bytes of one write.
    pub max_write: u32,
    /// Most bytes of one query or listing answer.
    pub max_transact: u32,
    /// Whether the share is part of a DFS namespace.
    pub share_is_dfs: bool,
    /// The most the user may do on this share: access bits (MS-SMB2 2.2.13.1).
    pub maximal_access: u32,
    /// The server's clock when the connection was made.
    pub server_time: FileTime,
}

/// How messages are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Nobody between can read or change them.
    Encrypted(Cipher),
    /// Nobody between can change them, but they can be read.
    Signed(Signing),
}

/// Ciphers of SMB 3 (MS-SMB2 2.2.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Cipher {
    /// AES-128-CCM.
    Aes128Ccm = 1,
    /// AES-128-GCM.
    Aes128Gcm = 2,
    /// AES-256-CCM.
    Aes256Ccm = 3,
    /// AES-256-GCM.
    Aes256Gcm = 4,
}

/// Signing algorithms (MS-SMB2 2.2.3.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Signing {
    /// HMAC-SHA256, before SMB 3.
    HmacSha256 = 0,
    /// AES-128-CMAC.
    AesCmac = 1,
    /// AES-128-GMAC.
    AesGmac = 2,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted(cipher) => write!(f, "encrypted, {cipher}"),
            Self::Signed(signing) => write!(f, "signed, {signing}"),
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes128Ccm => "AES-128-CCM",
            Self::Aes128Gcm => "AES-128-GCM",
            Self::Aes256Ccm => "AES-256-CCM",
            Self::Aes256Gcm => "AES-256-GCM",
        })
    }
}

impl fmt::Display for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HmacSha256 => "HMAC-SHA256",
            Self::AesCmac => "AES-128-CMAC",
            Self::AesGmac => "AES-128-GMAC",
        })
    }
}
