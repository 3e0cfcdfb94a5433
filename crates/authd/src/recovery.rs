//! What stands in for a lost authenticator: ten codes of 80 random bits, each good once. Stored as their hashes; one that is used is gone.

use keepwell_api::Base64;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::letters;
use crate::world::{NoRandomness, World};

/// As many at a time.
pub const CODES: usize = 10;
const LEN: usize = 16;
const GROUP: usize = 4;

/// Those that are left of a user, as they are stored.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct RecoveryCodes(Vec<Base64>);

impl RecoveryCodes {
    /// New ones, as they are shown and as they are stored.
    pub fn new(world: &dyn World) -> Result<(Vec<Base64>, Self), NoRandomness> {
        let (mut shown, mut stored) = (Vec::with_capacity(CODES), Vec::with_capacity(CODES));
        for _ in 0..CODES {
            let code = letters::make::<LEN>(world)?;
            shown.push(letters::shown(&code[..], GROUP));
            stored.push(letters::hash(&code[..]));
        }
        Ok((shown, Self(stored)))
    }

    /// Whether this is one of them, however it was typed. It is gone by this.
    pub fn take(&mut self, typed: &str) -> bool {
        let typed = letters::typed(typed.as_bytes(), LEN);
        let before = self.0.len();
        self.0.retain(|hash| !bool::from(typed.as_ref().ct_eq(hash.as_ref())));
        self.0.len() < before
    }

    /// How many there are.
    pub fn left(&self) -> u32 {
        self.0.len() as u32
    }

    /// Whether what was stored elsewhere can be some.
    pub fn is_plausible(&self) -> bool {
        self.0.len() <= CODES && self.0.iter().all(|hash| hash.as_ref().len() == 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_good_once_however_it_is_typed() {
        let (shown, mut codes) = RecoveryCodes::new(&crate::world::System).unwrap();
        let text = |n: usize| String::from_utf8(shown[n].as_ref().to_vec()).unwrap();
        assert!(text(0).len() == 19 && codes.left() == 10 && codes.is_plausible());
        assert!(codes.take(&text(3).to_lowercase().replace('-', " ")) && !codes.take(&text(3)));
        for wrong in ["", "123456", &text(0)[1..], &text(0).repeat(9), &format!("{}0", text(0)), "é"] {
            assert!(!codes.take(wrong), "{wrong}");
        }
        assert!((0..10).filter(|n| codes.take(&text(*n))).count() == 9 && codes.left() == 0);
    }
}
