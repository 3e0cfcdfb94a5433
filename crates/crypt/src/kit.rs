//! The recovery kit: a seed, split 2-of-3 by Shamir's scheme (`docs/format.md`, 5.3).
//!
//! Owns seed and shares and what makes a share verifiable alone. Never stores or prints them by itself; words are in `words`, paper in `kitfile`.

use std::{convert::Infallible, fmt};

use rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use crate::{CryptError, Secret, kdf, words};

/// The seed of a recovery kit.
pub struct KitSeed(Secret);

impl KitSeed {
    /// A fresh seed from the given source of random bytes.
    pub fn random(fill: &mut dyn FnMut(&mut [u8])) -> KitSeed {
        KitSeed(Secret::random(fill))
    }

    /// A seed from its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> KitSeed {
        KitSeed(Secret::from_bytes(bytes))
    }

    /// The bytes, for the moment they are used.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl fmt::Debug for KitSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KitSeed(..)")
    }
}

/// One of the three shares of a seed. Says nothing about the seed without a second one.
pub struct Share {
    set: u16,
    x: u8,
    y: Zeroizing<[u8; 32]>,
}

impl Share {
    /// The number that the three sheets of a kit have in common.
    pub fn set(&self) -> u16 {
        self.set
    }

    /// Which of the three: 1, 2 or 3.
    pub fn index(&self) -> u8 {
        self.x
    }

    /// What the key slots keep of this share, so that it can be recognised alone.
    pub fn commitment(&self, vault: &[u8; 16]) -> [u8; 32] {
        let mut material = Zeroizing::new([0; 51]);
        material[..16].copy_from_slice(vault);
        material[16..18].copy_from_slice(&self.set.to_le_bytes());
        material[18] = self.x;
        material[19..].copy_from_slice(&self.y[..]);
        *kdf("keepwell v1 kit share commitment", &material[..]).expose()
    }

    /// The share as four rows of eight words.
    pub fn to_words(&self) -> [[&'static str; 8]; 4] {
        let mut body = Zeroizing::new([0; words::BODY]);
        body[0] = VERSION << 4 | self.x;
        body[1..3].copy_from_slice(&self.set.to_be_bytes());
        body[3..].copy_from_slice(&self.y[..]);
        words::encode(&body)
    }

    /// The share from four rows of eight words, as a person types them: any case, and four letters of a word are enough.
    pub fn from_words(rows: [&str; 4]) -> Result<Share, CryptError> {
        let body = words::decode(rows)?;
        let (version, x) = (body[0] >> 4, body[0] & 15);
        if version != VERSION {
            return Err(CryptError::KitVersion { version });
        }
        if !(1..=3).contains(&x) {
            return Err(CryptError::Damaged { what: "the kit sheet's number" });
        }
        let mut y = Zeroizing::new([0; 32]);
        y.copy_from_slice(&body[3..]);
        Ok(Share { set: u16::from_be_bytes([body[1], body[2]]), x, y })
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of set {}, ..)", self.x, self.set)
    }
}

/// Splits a seed into three shares, any two of which give it back.
pub fn split(seed: &KitSeed, set: u16, fill: &mut dyn FnMut(&mut [u8])) -> [Share; 3] {
    let mut shares = blahaj::Sharks(2).dealer_rng(seed.expose(), &mut Filler(fill)).map(|dealt| {
        let bytes = Zeroizing::new(Vec::from(&dealt));
        let mut y = Zeroizing::new([0; 32]);
        y.copy_from_slice(&bytes[1..]);
        Share { set, x: bytes[0], y }
    });
    std::array::from_fn(|_| shares.next().expect("the dealer has 255 shares"))
}

/// The seed from two different shares of one set.
///
/// Any two shares give *a* seed; that it is the right one shows when a key slot opens.
pub fn combine(left: &Share, right: &Share) -> Result<KitSeed, CryptError> {
    if left.set != right.set {
        return Err(CryptError::KitOtherSet { left: left.set, right: right.set });
    }
    if left.x == right.x {
        return Err(CryptError::KitSameShare { index: left.x });
    }
    let shares = [point(left), point(right)];
    let bytes = Zeroizing::new(blahaj::Sharks(2).recover(&shares).expect("two different shares of one length"));
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&bytes);
    Ok(KitSeed::from_bytes(*seed))
}

const VERSION: u8 = 1;

fn point(share: &Share) -> blahaj::Share {
    let mut bytes = Zeroizing::new([share.x; 33]);
    bytes[1..].copy_from_slice(&share.y[..]);
    blahaj::Share::try_from(&bytes[..]).expect("33 bytes are a share")
}

/// The caller's random bytes in the shape blahaj asks for.
struct Filler<'a>(&'a mut dyn FnMut(&mut [u8]));

impl TryRng for Filler<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(out);
        Ok(())
    }
}

impl TryCryptoRng for Filler<'_> {}
