//! The code that a new user types once: 100 random bits. Stored as its hash.

use keepwell_api::Base64;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::letters;
use crate::world::{NoRandomness, World};

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
        let code = letters::make::<LEN>(world)?;
        let stored = Self { hash: letters::hash(&code[..]), expires_at: now.saturating_add(LIFE_S) };
        Ok((letters::shown(&code[..], GROUP), stored))
    }

    /// Until when it is good.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// Whether this is it, however it was typed.
    pub fn fits(&self, typed: &Base64, now: i64) -> bool {
        bool::from(letters::typed(typed.as_ref(), LEN).as_ref().ct_eq(self.hash.as_ref())) && now <= self.expires_at
    }
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
