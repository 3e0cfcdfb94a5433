//! The sealed code: made by an owner, and the one grant that it gives, at the box's own screen. No lock-out of anybody touches it, and it touches none.

use keepwell_api::auth::{AskBreakGlass, BREAK_GLASS, BreakGlassCode, ByOwner, EventKind, Granted};
use keepwell_api::grants::{Role, Scope, Verb};

use super::granting::{To, digest_of};
use super::users::act;
use super::{Authority, Inside};
use crate::attempts::Tried;
use crate::break_glass::SealedCode;
use crate::error::AuthError;
use crate::store::{Change, Happened};
use crate::world::Now;

impl Authority {
    /// A new code; the one from before is void.
    pub fn new_break_glass_code(&self, request: &ByOwner) -> Result<BreakGlassCode, AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let owner = inside.owner(&request.session, request.code.as_deref(), act("sealed-code", "", request), now)?;
        let (code, sealed) = SealedCode::new(now.wall, &*self.world)?;
        let event = Happened::new(now.wall, EventKind::UserChanged, "break-glass-code-made", owner.account.name.as_str());
        inside.store.commit(&Change { sealed_code: Some(Some(&sealed)), events: vec![event], ..Change::default() })?;
        Ok(BreakGlassCode { code, made_at: sealed.made_at })
    }

    /// The grant that the code is for. The code is void, durably, before it is given.
    pub fn break_glass_grant(&self, request: &AskBreakGlass) -> Result<Granted, AuthError> {
        if request.verb != Verb::EmergencyOpen {
            return Err(AuthError::Malformed("verb: the sealed code is for emergency-open alone"));
        }
        let arguments = digest_of(&request.arguments)?;
        let (mut inside, now) = (self.lock(), self.world.now());
        inside.open_seal(request, now)?;
        // What the code opens, a security officer may open: it makes nobody an owner.
        let to = To { user: BREAK_GLASS.to_owned(), role: Role::Security, shares: Scope::default() };
        inside.sign((request.verb, arguments), to, (None, false), now, &*self.world)
    }
}

impl Inside {
    fn open_seal(&mut self, request: &AskBreakGlass, now: Now) -> Result<(), AuthError> {
        let sealed = self.store.sealed_code()?;
        let fits = || sealed.as_ref().is_some_and(|sealed| sealed.fits(&request.code));
        let refusal = |code| Happened::new(now.wall, EventKind::Refusal, code, BREAK_GLASS);
        match self.break_glass.take(now.steady, fits) {
            Tried::Right => {
                let used = Happened::new(now.wall, EventKind::SignIn, "break-glass-code-used", BREAK_GLASS).with("verb", request.verb);
                Ok(self.store.commit(&Change { sealed_code: Some(None), events: vec![used], ..Change::default() })?)
            }
            Tried::Wrong => {
                self.tell(refusal("wrong-break-glass-code"))?;
                Err(AuthError::WrongBreakGlass)
            }
            Tried::Wait(seconds) => {
                self.tell_rarely(now, None, refusal("break-glass-wait"))?;
                Err(AuthError::BreakGlassWait(seconds.div_ceil(60)))
            }
        }
    }
}
