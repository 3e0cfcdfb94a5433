//! Typed ids. An id is parsed once, at the edge, and is never a bare array further in.

use std::fmt;
use std::str::FromStr;

use crate::FormatError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;
            /// All zeros: stands for "none" where the format says so.
            pub const NONE: Self = Self([0; $len]);

            /// Whether this is the all-zero "none".
            pub fn is_none(&self) -> bool {
                self.0 == [0; $len]
            }

            /// The first eight hex digits, for people.
            pub fn short(&self) -> String {
                self.0[..4].iter().map(|b| format!("{b:02x}")).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = FormatError;

            fn from_str(text: &str) -> Result<Self, FormatError> {
                parse_hex(text).map(Self).ok_or(FormatError::Id(stringify!($name)))
            }
        }
    };
}

id!(
    /// A vault, for its whole life.
    VaultId, 16
);
id!(
    /// A disk of a pool.
    DiskId, 16
);
id!(
    /// Keyed BLAKE3 of a blob's plaintext.
    BlobId, 32
);
id!(
    /// BLAKE3 of a pack's ciphertext.
    PackId, 32
);
id!(
    /// BLAKE3 of a snapshot's manifest object.
    SnapshotId, 32
);
id!(
    /// BLAKE3 of a file's content (`docs/format.md` 8.1).
    ContentHash, 32
);

/// A generation of the vault's keys, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

/// A pack's number: rises with every pack of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackSeq(pub u64);

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(out)
}

/// Lower case only: an id has one spelling.
fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_has_one_spelling() {
        let id = VaultId([0xa5; 16]);
        assert_eq!(id.to_string().parse::<VaultId>().unwrap(), id);
        assert!(id.to_string().to_uppercase().parse::<VaultId>().is_err());
        assert!("a5".parse::<VaultId>().is_err());
    }
}
