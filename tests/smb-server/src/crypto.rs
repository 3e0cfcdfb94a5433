//! Owns keys, signatures and sealing of MS-SMB2 3.1.4, 3.1.5 as the server's end computes them. Test keys only: nothing here is secret.

use aes::Aes128;
use aes_gcm::{Aes128Gcm, KeyInit as _, aead::AeadInOut as _};
use cmac::Cmac;
use hmac::{Hmac, Mac};
use md4::Md4;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};

/// How messages are signed (MS-SMB2 2.2.3.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// HMAC-SHA256: dialects below 3.0.
    Hmac,
    /// AES-128-CMAC: 3.0 and later.
    Cmac,
    /// AES-128-GMAC: 3.1.1 where both ends have it.
    Gmac,
}

impl Signing {
    /// The algorithm's number in a negotiate context.
    pub(crate) fn id(self) -> u16 {
        match self {
            Signing::Hmac => 0,
            Signing::Cmac => 1,
            Signing::Gmac => 2,
        }
    }

    /// The signature of a message whose signature field is taken as zero.
    pub(crate) fn sign(self, key: &[u8; 16], message: &[u8], from_server: bool) -> [u8; 16] {
        let mut blank = message.to_vec();
        blank[48..64].fill(0);
        match self {
            Signing::Hmac => first16(&hmac_sha256(key, &[&blank])),
            Signing::Cmac => {
                let mut mac = <Cmac<Aes128> as hmac::KeyInit>::new_from_slice(key).expect("the key has 16 bytes");
                mac.update(&blank);
                mac.finalize().into_bytes().into()
            }
            Signing::Gmac => {
                let mut nonce = [0; 12];
                nonce[..8].copy_from_slice(&blank[24..32]);
                nonce[8] = u8::from(from_server) | if blank[12] == 0x0C { 2 } else { 0 };
                let cipher = Aes128Gcm::new_from_slice(key).expect("the key has 16 bytes");
                cipher.encrypt_inout_detached(&nonce.into(), &blank, [].as_mut_slice().into()).expect("nothing is sealed").into()
            }
        }
    }
}

/// Seals a message in place with AES-128-GCM; gives the tag.
pub(crate) fn seal(key: &[u8; 16], nonce: [u8; 12], aad: &[u8], message: &mut [u8]) -> [u8; 16] {
    let cipher = Aes128Gcm::new_from_slice(key).expect("the key has 16 bytes");
    cipher.encrypt_inout_detached(&nonce.into(), aad, message.into()).expect("a frame is shorter than AES-GCM's limit").into()
}

/// Opens what [`seal`] sealed, in place.
pub(crate) fn open(key: &[u8; 16], nonce: [u8; 12], aad: &[u8], message: &mut [u8], tag: [u8; 16]) -> bool {
    let cipher = Aes128Gcm::new_from_slice(key).expect("the key has 16 bytes");
    cipher.decrypt_inout_detached(&nonce.into(), aad, message.into(), &tag.into()).is_ok()
}

/// SP 800-108 counter mode with HMAC-SHA256 and a result of 128 bits (MS-SMB2 3.1.4.2).
pub(crate) fn derive(key: &[u8], label: &[u8], context: &[u8]) -> [u8; 16] {
    first16(&hmac_sha256(key, &[&[0, 0, 0, 1], label, &[0], context, &[0, 0, 0, 128]]))
}

pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

pub(crate) fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = <Hmac<Md5> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

pub(crate) fn md4(bytes: &[u8]) -> [u8; 16] {
    Md4::digest(bytes).into()
}

pub(crate) fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// The next value of the pre-authentication hash (MS-SMB2 3.1.4.4.1).
pub(crate) fn preauth(hash: &[u8; 64], message: &[u8]) -> [u8; 64] {
    Sha512::new().chain_update(hash).chain_update(message).finalize().into()
}

/// SHA-256: how the program tells contents apart.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// RC4, which NTLM wraps session keys with: a dozen lines need no crate.
#[derive(Clone, Debug)]
pub(crate) struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut state: [u8; 256] = std::array::from_fn(|at| at as u8);
        let mut j = 0u8;
        for at in 0..256 {
            j = j.wrapping_add(state[at]).wrapping_add(key[at % key.len()]);
            state.swap(at, usize::from(j));
        }
        Self { state, i: 0, j: 0 }
    }

    pub(crate) fn apply<const N: usize>(&mut self, mut bytes: [u8; N]) -> [u8; N] {
        for byte in &mut bytes {
            self.i = self.i.wrapping_add(1);
            self.j = self.j.wrapping_add(self.state[usize::from(self.i)]);
            self.state.swap(usize::from(self.i), usize::from(self.j));
            let sum = self.state[usize::from(self.i)].wrapping_add(self.state[usize::from(self.j)]);
            *byte ^= self.state[usize::from(sum)];
        }
        bytes
    }
}

fn first16(hash: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rc4_gives_the_known_stream() {
        assert_eq!(Rc4::new(b"Key").apply(*b"Plaintext"), [0xBB, 0xF3, 0x16, 0xE8, 0xD9, 0x40, 0xAF, 0x0A, 0xD3]);
    }
}
