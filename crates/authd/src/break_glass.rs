//! The sealed code for the day on which nobody can sign in: 120 random bits on paper, good once. Stored as its hash. What it opens, vaultd decides.

use keepwell_api::Base64;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::letters;
use crate::world::{NoRandomness, World};

const LEN: usize = 24;
const GROUP: usize = 4;

/// The code as it is stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct SealedCode {
    hash: Base64,
    /// Unix seconds.
    pub made_at: i64,
}

impl SealedCode {
    /// A new one, as it is shown and as it is stored.
    pub fn new(now: i64, world: &dyn World) -> Result<(Base64, Self), NoRandomness> {
        let code = letters::make::<LEN>(world)?;
        Ok((letters::shown(&code[..], GROUP), Self { hash: letters::hash(&code[..]), made_at: now }))
    }

    /// Whether this is it, however it was typed.
    pub fn fits(&self, typed: &Base64) -> bool {
        bool::from(letters::typed(typed.as_ref(), LEN).as_ref().ct_eq(self.hash.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_however_it_is_typed() {
        let (shown, code) = SealedCode::new(7, &crate::world::System).unwrap();
        let text = String::from_utf8(shown.as_ref().to_vec()).unwrap();
        let typed = |text: &str| Base64::from(text.as_bytes().to_vec());
        assert!(text.len() == 29 && text.split('-').count() == 6);
        assert!(code.fits(&shown) && code.fits(&typed(&text.to_lowercase().replace('-', " "))));
        for wrong in ["", &text[1..], &format!("{text}0"), &text.repeat(99)] {
            assert!(!code.fits(&typed(wrong)), "{wrong}");
        }
    }
}
