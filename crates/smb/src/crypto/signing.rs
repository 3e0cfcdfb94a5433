//! Signatures of messages (MS-SMB2 3.1.4.1). Owns the signing key; the same key signs and verifies.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{cmac, constant_time, hmac};

use crate::Signing;
use crate::wire::{Command, header};

const INVARIANT: &str = "keys are 16 bytes and inputs shorter than any limit of the algorithm";

/// Signs requests and verifies answers.
pub(crate) enum Signer {
    Hmac(Box<hmac::Key>),
    Cmac(cmac::Key),
    Gmac(Box<LessSafeKey>),
}

impl Signer {
    /// `key`: 16 bytes.
    pub(crate) fn new(signing: Signing, key: &[u8]) -> Self {
        match signing {
            Signing::HmacSha256 => Self::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key))),
            Signing::AesCmac => Self::Cmac(cmac::Key::new(cmac::AES_128, key).expect(INVARIANT)),
            Signing::AesGmac => Self::Gmac(Box::new(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).expect(INVARIANT)))),
        }
    }

    /// Signs `message`: header, body, and padding unless it is the last of a compound.
    pub(crate) fn sign(&self, message: &mut [u8]) {
        let mut flags = u32::from_le_bytes(message[header::FLAGS].try_into().expect("four bytes"));
        flags |= header::FLAG_SIGNED;
        message[header::FLAGS].copy_from_slice(&flags.to_le_bytes());
        message[header::SIGNATURE].fill(0);
        let signature = self.signature(message);
        message[header::SIGNATURE].copy_from_slice(&signature);
    }

    /// Whether the signature of `message`, at least a header long, is right. Clears it.
    pub(crate) fn verify(&self, message: &mut [u8]) -> bool {
        let mut given = [0; 16];
        given.copy_from_slice(&message[header::SIGNATURE]);
        message[header::SIGNATURE].fill(0);
        constant_time::verify_slices_are_equal(&given, &self.signature(message)).is_ok()
    }

    fn signature(&self, message: &[u8]) -> [u8; 16] {
        let mut signature = [0; 16];
        match self {
            Self::Hmac(key) => signature.copy_from_slice(&hmac::sign(key, message).as_ref()[..16]),
            Self::Cmac(key) => signature.copy_from_slice(cmac::sign(key, message).expect(INVARIANT).as_ref()),
            Self::Gmac(key) => {
                let tag = key.seal_in_place_separate_tag(gmac_nonce(message), Aad::from(message), &mut []).expect(INVARIANT);
                signature.copy_from_slice(tag.as_ref());
            }
        }
        signature
    }
}

/// The message id, then who sends it and whether it is a CANCEL, which shares its id with what it cancels.
fn gmac_nonce(message: &[u8]) -> Nonce {
    let answers = message[header::FLAGS][0] & header::FLAG_ANSWER as u8;
    let cancels = u8::from(message[12..14] == (Command::Cancel as u16).to_le_bytes());
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&message[header::MESSAGE_ID]);
    nonce[8] = answers | (cancels << 1);
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NtStatus;

    #[test]
    fn cmac_of_rfc_4493() {
        let key = [0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c];
        let signer = Signer::new(Signing::AesCmac, &key);
        let empty = [0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28, 0x7f, 0xa3, 0x7d, 0x12, 0x9b, 0x75, 0x67, 0x46];
        assert_eq!(signer.signature(&[]), empty);
        let block = [0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a];
        let one = [0x07, 0x0a, 0x16, 0xb4, 0x6b, 0x4d, 0x41, 0x44, 0xf7, 0x9b, 0xdd, 0x9d, 0xd0, 0x4a, 0x28, 0x7c];
        assert_eq!(signer.signature(&block), one);
    }

    #[test]
    fn any_changed_bit_is_seen() {
        for signing in [Signing::HmacSha256, Signing::AesCmac, Signing::AesGmac] {
            let signer = Signer::new(signing, &[7; 16]);
            let mut message = header::tests::answer(8, NtStatus::SUCCESS, 0, 5, 6, 1);
            message.extend([3; 21]);
            signer.sign(&mut message);
            assert!(signer.verify(&mut message.clone()));
            for bit in 0..message.len() * 8 {
                let mut changed = message.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(!signer.verify(&mut changed), "{signing}, bit {bit}");
            }
        }
    }
}
