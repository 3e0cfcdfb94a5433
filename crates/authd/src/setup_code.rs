//! The code that a new user types once: 100 random bits in letters and digits that are not mistaken for one another. Stored as its hash.

use keepwell_api::Base64;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::world::{NoRandomness, World, random};

/// Crockford's base 32.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LEN: usize = 20;
const GROUP: usize = 5;
/// A code is good for so long.
pub const LIFE_S: i64 = 7 * 24 * 3600;

/// A set-up code as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetUpCode {
    hash: Base64,
    expires_at: i64,
}

impl SetUpCode {
    /// A new one, as it is shown and as it is stored.
    pub fn new(now: i64, world: &dyn World) -> Result<(Base64, Self), NoRandomness> {
        let bytes = Zeroizing::new(random::<LEN>(world)?);
        let letters = Zeroizing::new(bytes.map(|byte| LETTERS[usize::from(byte % 32)]));
        let shown = letters.chunks(GROUP).collect::<Vec<_>>().join(&b'-');
        let expires_at = now.saturating_add(LIFE_S);
        Ok((shown.into(), Self { hash: hash(&letters[..]), expires_at }))
    }

    /// Until when it is good.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// Whether this is it, however it was typed.
    pub fn fits(&self, typed: &Base64, now: i64) -> bool {
        let letter = |byte: &u8| match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        let mut letters = Zeroizing::new(Vec::with_capacity(2 * LEN));
        letters.extend(typed.as_ref().iter().filter(|byte| !b"- ".contains(byte)).take(LEN + 1).map(letter));
        bool::from(hash(&letters).as_ref().ct_eq(self.hash.as_ref())) && now <= self.expires_at
    }
}

fn hash(letters: &[u8]) -> Base64 {
    Sha256::digest(letters).to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_fits_however_it_is_typed_and_for_a_week() {
        let (shown, code) = SetUpCode::new(1000, &crate::world::System).unwrap();
        let text = String::from_utf8(shown.as_ref().to_vec()).unwrap();
        assert_eq!(text.len(), 23);
        let typed = |text: &str| Base64::from(text.as_bytes().to_vec());
        for variant in [text.clone(), text.replace('-', ""), text.to_lowercase().replace('0', "o").replace('1', " l")] {
            assert!(code.fits(&typed(&variant), 1000), "{variant}");
        }
        assert!(code.fits(&shown, 1000 + LIFE_S) && !code.fits(&shown, 1001 + LIFE_S));
        for wrong in ["", &text[1..], &format!("{text}0"), &text.repeat(1000)] {
            assert!(!code.fits(&typed(wrong), 1000), "{wrong}");
        }
    }
}
