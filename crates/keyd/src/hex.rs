//! Bytes that are written as hexadecimal digits in JSON and on command lines. Public ones only: what is secret has types of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// No even number of hexadecimal digits, or not of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the hexadecimal digits that are expected here")]
pub struct NoHex;

/// Bytes of any length.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Hex(pub Vec<u8>);

/// A SHA-256: of a PCR, a policy, a policy reference.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of a PCR that nothing was measured into.
    pub const ZERO: Self = Self([0; 32]);

    /// SHA-256 of the parts, one after the other.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        parts.iter().for_each(|part| context.update(part));
        Self(context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Two digits a byte, into `out`, which gives the length.
pub fn decode_into(text: &str, out: &mut [u8]) -> Result<(), NoHex> {
    let digits = text.as_bytes();
    if digits.len() != 2 * out.len() {
        return Err(NoHex);
    }
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8).ok_or(NoHex);
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Ok(())
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Hex);
as_text!(Digest);

impl FromStr for Hex {
    type Err = NoHex;

    fn from_str(text: &str) -> Result<Self, NoHex> {
        let mut bytes = vec![0; text.len() / 2];
        decode_into(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl FromStr for Digest {
    type Err = NoHex;

    fn from_str(text: &str) -> Result<Self, NoHex> {
        let mut bytes = [0; 32];
        decode_into(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_strict() {
        assert_eq!("00ff".parse(), Ok(Hex(vec![0, 255])));
        for wrong in ["0", "0g", "+1", " 1", "é"] {
            assert_eq!(wrong.parse::<Hex>(), Err(NoHex), "{wrong}");
        }
        assert_eq!("00".parse::<Digest>(), Err(NoHex));
        let hash = Digest::of(&[b"a", b"bc"]);
        assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "FIPS 180-2, appendix B.1");
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }
}
