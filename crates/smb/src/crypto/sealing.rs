//! Encryption of messages (MS-SMB2 3.1.4.3, 3.2.5.1.1). Owns the cipher keys and the count of nonces; one nonce is never used twice.

use aes::{Aes128, Aes256};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U11, U16};

use crate::wire::transform;
use crate::{Cipher, SmbError};

const INVARIANT: &str = "keys have the length of their cipher and messages are shorter than its limit";

/// Encrypts what is sent.
pub(crate) struct Sealer {
    key: Key,
    session_id: u64,
    /// Nonces used. The key is new in each session, so counting from zero is enough.
    used: u64,
}

impl Sealer {
    pub(crate) fn new(cipher: Cipher, key: &[u8], session_id: u64) -> Self {
        Self { key: Key::new(cipher, key), session_id, used: 0 }
    }

    /// Encrypts `frame` in place: room for a transform header, then the message.
    pub(crate) fn seal(&mut self, frame: &mut [u8]) {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.used.to_le_bytes());
        self.used += 1;
        transform::write(frame, &nonce, self.session_id);
        let (header, message) = frame.split_at_mut(transform::LENGTH);
        let tag = self.key.seal(&nonce, &header[transform::AUTHENTICATED], message);
        header[transform::TAG].copy_from_slice(&tag);
    }
}

/// Decrypts what is received.
pub(crate) struct Opener {
    key: Key,
    session_id: u64,
}

impl Opener {
    pub(crate) fn new(cipher: Cipher, key: &[u8], session_id: u64) -> Self {
        Self { key: Key::new(cipher, key), session_id }
    }

    /// Decrypts `frame` in place; the message is what follows the transform header. `Signature` if it was changed on its way.
    pub(crate) fn open(&self, frame: &mut Vec<u8>) -> Result<(), SmbError> {
        if transform::read(frame)? != self.session_id {
            return Err(SmbError::Signature);
        }
        let end = frame.len();
        // The cipher wants its tag behind the message; buffers come with room for it.
        frame.extend_from_within(transform::TAG);
        let (header, sealed) = frame.split_at_mut(transform::LENGTH);
        let opened = self.key.open(&header[transform::NONCE], &header[transform::AUTHENTICATED], sealed);
        frame.truncate(end);
        opened.ok_or(SmbError::Signature)
    }
}

enum Key {
    Gcm(LessSafeKey),
    Ccm128(Box<ccm::Ccm<Aes128, U16, U11>>),
    Ccm256(Box<ccm::Ccm<Aes256, U16, U11>>),
}

impl Key {
    fn new(cipher: Cipher, key: &[u8]) -> Self {
        match cipher {
            Cipher::Aes128Gcm => Self::Gcm(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).expect(INVARIANT))),
            Cipher::Aes256Gcm => Self::Gcm(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect(INVARIANT))),
            Cipher::Aes128Ccm => Self::Ccm128(Box::new(KeyInit::new_from_slice(key).expect(INVARIANT))),
            Cipher::Aes256Ccm => Self::Ccm256(Box::new(KeyInit::new_from_slice(key).expect(INVARIANT))),
        }
    }

    fn seal(&self, nonce: &[u8; 16], authenticated: &[u8], message: &mut [u8]) -> [u8; 16] {
        match self {
            Self::Gcm(key) => {
                let tag = key.seal_in_place_separate_tag(gcm_nonce(nonce), Aad::from(authenticated), message).expect(INVARIANT);
                tag.as_ref().try_into().expect("a tag of 16 bytes")
            }
            Self::Ccm128(key) => seal_ccm(&**key, nonce, authenticated, message),
            Self::Ccm256(key) => seal_ccm(&**key, nonce, authenticated, message),
        }
    }

    /// `sealed`: the message, then its tag. None: not what was sealed.
    fn open(&self, nonce: &[u8], authenticated: &[u8], sealed: &mut [u8]) -> Option<()> {
        match self {
            Self::Gcm(key) => key.open_in_place(gcm_nonce(nonce), Aad::from(authenticated), sealed).ok().map(drop),
            Self::Ccm128(key) => open_ccm(&**key, nonce, authenticated, sealed),
            Self::Ccm256(key) => open_ccm(&**key, nonce, authenticated, sealed),
        }
    }
}

fn gcm_nonce(nonce: &[u8]) -> Nonce {
    Nonce::try_assume_unique_for_key(&nonce[..12]).expect("twelve bytes")
}

fn seal_ccm<C: AeadInOut<NonceSize = U11, TagSize = U16>>(key: &C, nonce: &[u8], authenticated: &[u8], message: &mut [u8]) -> [u8; 16] {
    let nonce = nonce[..11].try_into().expect("eleven bytes");
    key.encrypt_inout_detached(nonce, authenticated, message.into()).expect(INVARIANT).into()
}

fn open_ccm<C: AeadInOut<NonceSize = U11, TagSize = U16>>(key: &C, nonce: &[u8], authenticated: &[u8], sealed: &mut [u8]) -> Option<()> {
    let (message, tag) = sealed.split_last_chunk_mut::<16>()?;
    let nonce = nonce[..11].try_into().expect("eleven bytes");
    key.decrypt_inout_detached(nonce, authenticated, message.into(), &(*tag).into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_bit_is_seen() {
        for cipher in [Cipher::Aes128Ccm, Cipher::Aes128Gcm, Cipher::Aes256Ccm, Cipher::Aes256Gcm] {
            let key = if matches!(cipher, Cipher::Aes128Ccm | Cipher::Aes128Gcm) { &[9; 16][..] } else { &[9; 32] };
            let (mut sealer, opener) = (Sealer::new(cipher, key, 5), Opener::new(cipher, key, 5));
            let mut frames: Vec<Vec<u8>> = vec![[vec![0; transform::LENGTH], b"a message".to_vec()].concat(); 2];
            frames.iter_mut().for_each(|frame| sealer.seal(frame));
            assert_ne!(frames[0], frames[1], "nonces differ");
            let frame = &frames[1];
            let mut whole = frame.clone();
            opener.open(&mut whole).unwrap();
            assert_eq!(&whole[transform::LENGTH..], b"a message");
            for bit in 32..frame.len() * 8 {
                let mut changed = frame.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(opener.open(&mut changed).is_err(), "{cipher}, bit {bit}");
            }
            assert!((0..frame.len()).all(|cut| opener.open(&mut frame[..cut].to_vec()).is_err()));
        }
    }
}
