//! An authenticator as software, and the browser before it: what they say can be made wrong at every place.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use keepwell_api::auth::passkey::{Answer, encode};
use sha2::{Digest as _, Sha256};

enum Key {
    Es256(EcdsaKeyPair),
    Eddsa(Ed25519KeyPair),
}

/// One with one passkey.
pub(crate) struct Authenticator {
    key: Key,
    pub(crate) id: Vec<u8>,
    pub(crate) counter: u32,
    /// User present, user verified.
    pub(crate) flags: u8,
    pub(crate) origin: String,
    pub(crate) rp_id: String,
    /// More that the browser says.
    pub(crate) more: &'static str,
}

impl Authenticator {
    pub(crate) fn es256() -> Self {
        Self::with(Key::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()), 1)
    }

    pub(crate) fn eddsa() -> Self {
        Self::with(Key::Eddsa(Ed25519KeyPair::generate().unwrap()), 2)
    }

    fn with(key: Key, id: u8) -> Self {
        let (origin, rp_id) = ("https://box.lan:8443".into(), "box.lan".into());
        Self { key, id: vec![id; 16], counter: 0, flags: 5, origin, rp_id, more: "" }
    }

    fn client(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let Self { origin, more, .. } = self;
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false{more}}}"#).into_bytes()
    }

    fn said(&self, flags: u8) -> Vec<u8> {
        let mut said = Sha256::digest(&self.rp_id).to_vec();
        said.push(flags);
        said.extend(self.counter.to_be_bytes());
        said
    }

    /// What the browser says of a new passkey, and what the authenticator does.
    pub(crate) fn make(&self, challenge: &str) -> (Vec<u8>, Vec<u8>) {
        let mut said = self.said(self.flags | 0x40);
        said.extend([0; 16]);
        said.extend((self.id.len() as u16).to_be_bytes());
        said.extend(&self.id);
        match &self.key {
            Key::Es256(key) => {
                let point = key.public_key().as_ref();
                said.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20]);
                said.extend(&point[1..33]);
                said.extend([0x22, 0x58, 0x20]);
                said.extend(&point[33..]);
            }
            Key::Eddsa(key) => {
                said.extend([0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 0x20]);
                said.extend(key.public_key().as_ref());
            }
        }
        (self.client("webauthn.create", challenge), said)
    }

    /// An answer, counted.
    pub(crate) fn answer(&mut self, challenge: &str) -> Answer {
        self.counter += 1;
        self.answer_as("webauthn.get", challenge)
    }

    pub(crate) fn answer_as(&self, kind: &str, challenge: &str) -> Answer {
        let (client_data, authenticator_data) = (self.client(kind, challenge), self.said(self.flags));
        let signed = [&authenticator_data[..], &Sha256::digest(&client_data)].concat();
        let signature = match &self.key {
            Key::Es256(key) => key.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec(),
            Key::Eddsa(key) => key.sign(&signed).as_ref().to_vec(),
        };
        Answer { id: self.id.clone(), authenticator_data, client_data, signature }
    }

    /// Its identifier as a browser has it.
    pub(crate) fn shown_id(&self) -> String {
        encode(&self.id)
    }
}
