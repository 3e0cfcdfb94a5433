//! The code that stands on the box's own screen while the box has no owner: who types it into a console is in front of the box. In memory alone, of this start; never logged.
//!
//! How many wrong ones are taken goes by the box and not by who tries: behind a console everybody looks alike.

use keepwell_api::Base64;
use subtle::ConstantTimeEq as _;

use crate::attempts::{Attempts, Tried};
use crate::letters;
use crate::world::{NoRandomness, World};

const LEN: usize = 20;
const GROUP: usize = 5;

/// The code, and the wrong ones that were tried.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct ClaimCode {
    shown: Option<(Base64, Base64)>,
    wrong: Attempts,
}

impl ClaimCode {
    /// The code, made now if there is none.
    pub fn shown(&mut self, world: &dyn World) -> Result<Base64, NoRandomness> {
        if let Some((shown, _)) = &self.shown {
            return Ok(shown.clone());
        }
        let code = letters::make::<LEN>(world)?;
        let shown = letters::shown(&code[..], GROUP);
        self.shown = Some((shown.clone(), letters::hash(&code[..])));
        Ok(shown)
    }

    /// Looks at a code. A wrong one counts.
    pub fn try_one(&mut self, typed: &Base64, steady: u64) -> Tried {
        let shown = &self.shown;
        let fits = |(_, hash): &(Base64, Base64)| bool::from(letters::typed(typed.as_ref(), LEN).as_ref().ct_eq(hash.as_ref()));
        self.wrong.take(steady, || shown.as_ref().is_some_and(fits))
    }

    /// It was used, or is needed no more.
    pub fn void(&mut self) {
        self.shown = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::System;

    #[test]
    fn ten_wrong_ones_an_hour_and_then_even_the_right_one_waits() {
        let mut code = ClaimCode::default();
        let wrong = Base64::from(b"AAAAA-AAAAA-AAAAA-AAAAA".to_vec());
        assert_eq!(code.try_one(&wrong, 0), Tried::Wrong, "there is none yet");
        let shown = code.shown(&System).unwrap();
        assert_eq!(code.shown(&System).unwrap(), shown, "the same each time it is looked at");
        assert_eq!(code.try_one(&shown, 10), Tried::Right);
        assert!((1..10).all(|n| code.try_one(&wrong, n * 60) == Tried::Wrong));
        assert_eq!(code.try_one(&shown, 600), Tried::Wait(3000));
        assert_eq!(code.try_one(&shown, 3600), Tried::Right);
        code.void();
        assert_eq!(code.try_one(&shown, 3600), Tried::Wrong);
        assert_ne!(code.shown(&System).unwrap(), shown);
    }
}
