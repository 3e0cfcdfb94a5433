//! The box's own half of the wrapping key, and its id in the key slots (`box.json`).
//!
//! Opens nothing without the other half, which the TPM seals. In the image the folder lies on an encrypted partition.

use std::fmt;

use keepwell_crypt::{Secret, kdf};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::hex::{NoHex, decode_into};

/// Id and half key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct OwnHalf {
    #[serde(with = "secret_bytes", rename = "box")]
    id: Zeroizing<[u8; 16]>,
    #[serde(with = "secret_bytes")]
    secret: Zeroizing<[u8; 32]>,
}

impl OwnHalf {
    /// A new one.
    pub fn random(fill: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut own = Self { id: Zeroizing::new([0; 16]), secret: Zeroizing::new([0; 32]) };
        fill(&mut own.id[..]);
        fill(&mut own.secret[..]);
        own
    }

    /// The box in key slots.
    pub fn box_id(&self) -> [u8; 16] {
        *self.id
    }

    /// The half key.
    pub fn secret(&self) -> Secret {
        Secret::from_bytes(*self.secret)
    }

    /// What the TPM asks for when the identity signs.
    pub fn identity_auth(&self) -> Secret {
        kdf("keepwell v1 identity authorization", &self.secret[..])
    }
}

/// Hexadecimal digits, without a copy that stays behind.
mod secret_bytes {
    use super::*;

    pub(super) fn serialize<S: Serializer, const N: usize>(bytes: &Zeroizing<[u8; N]>, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = Zeroizing::new(String::with_capacity(2 * N));
        for byte in bytes.iter() {
            text.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<Zeroizing<[u8; N]>, D::Error> {
        deserializer.deserialize_str(Digits)
    }

    struct Digits<const N: usize>;

    impl<const N: usize> Visitor<'_> for Digits<N> {
        type Value = Zeroizing<[u8; N]>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{N} bytes in hexadecimal")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let mut bytes = Zeroizing::new([0; N]);
            // Not the text itself into the error: it may be most of a secret.
            decode_into(text, &mut bytes[..]).map_err(|NoHex| E::custom(NoHex))?;
            Ok(bytes)
        }
    }
}
