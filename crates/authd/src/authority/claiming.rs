//! The first owner of a box that has none: claimed in front of it, or from the network with the code that stands on its screen.

use keepwell_api::Base64;
use keepwell_api::auth::{Claim, ClaimCode, Enrolled, EventKind, MayClaim};
use keepwell_api::grants::Role;

use super::factors::door;
use super::users::{changed, shown};
use super::{Authority, Inside};
use crate::account::{Account, Name};
use crate::attempts::Tried;
use crate::error::AuthError;
use crate::lockout::Origin;
use crate::store::{Change, Happened};
use crate::world::Now;

/// Whether a box without an owner may get one. People can be lost while the keys are not: then the first who comes must not get an open vault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Claims {
    /// Nobody says.
    Free,
    /// vaultd says, and has not yet.
    Unheard,
    /// The box has no keys, or two papers of its kit were shown.
    Open,
    /// It has keys.
    KitFirst,
}

impl Authority {
    /// From now on a box without an owner gets one only when vaultd has said that it may ([`Self::claims`]).
    pub fn wait_for_claims(&self) {
        self.lock().claims = Claims::Unheard;
    }

    /// What vaultd knows of the keys; of no weight where nobody waits for it.
    pub fn claims(&self, request: &MayClaim) {
        let mut inside = self.lock();
        if inside.claims != Claims::Free {
            inside.claims = if request.open { Claims::Open } else { Claims::KitFirst };
        }
    }

    /// What stands on the box's own screen while the box is unclaimed.
    pub fn claim_code(&self) -> Result<ClaimCode, AuthError> {
        let mut inside = self.lock();
        inside.unclaimed()?;
        Ok(ClaimCode { code: inside.claim_code.shown(&*self.world)? })
    }

    /// Makes the first owner; again while that one has not signed in yet.
    pub fn claim(&self, request: &Claim, origin: Origin) -> Result<Enrolled, AuthError> {
        let name = Name::parse(&request.user)?;
        self.lock().may_claim(request.code.as_ref(), origin, self.world.now())?;
        let (proofs, recovery_codes) = self.proofs(&door(origin), &request.password)?;
        let otpauth = shown(&proofs.authenticator, &name)?;
        let (mut inside, now) = (self.lock(), self.world.now());
        // Somebody else may have been faster, with the same code.
        let drop = inside.may_claim(request.code.as_ref(), origin, now)?;
        let owner = Account { proofs: Some(proofs), ..Account::new(name, Role::Owner, now.wall) };
        let actor = match origin {
            Origin::Box => "admin",
            Origin::Console => "consoled",
        };
        let event = changed(now, "claimed", actor, &owner);
        inside.store.commit(&Change { drop, put: vec![&owner], events: vec![event], ..Change::default() })?;
        inside.claim_code.void();
        Ok(Enrolled { otpauth, recovery_codes })
    }
}

impl Inside {
    /// The keys of who may be replaced by the first owner, for who has the code or stands in front of the box.
    fn may_claim(&mut self, code: Option<&Base64>, origin: Origin, now: Now) -> Result<Vec<String>, AuthError> {
        let replaced = self.unclaimed()?;
        let empty = Base64::default();
        let Some(code) = code.or((origin == Origin::Console).then_some(&empty)) else { return Ok(replaced) };
        let (word, error) = match self.claim_code.try_one(code, now.steady) {
            Tried::Right => return Ok(replaced),
            Tried::Wrong => ("wrong-claim-code", AuthError::WrongClaimCode),
            Tried::Wait(seconds) => ("claim-wait", AuthError::ClaimWait(seconds.div_ceil(60))),
        };
        let event = Happened::new(now.wall, EventKind::Refusal, word, "");
        if word == "claim-wait" {
            self.tell_rarely(now, None, event)?
        } else {
            self.tell(event)?
        }
        Err(error)
    }

    /// Refused if the box has an owner who has signed in, or users who were restored, or keys and nobody who has shown papers.
    pub(super) fn unclaimed(&self) -> Result<Vec<String>, AuthError> {
        let accounts = self.store.accounts()?;
        let replaceable = match &accounts[..] {
            [] => true,
            [only] => only.role == Role::Owner && only.signed_in_at.is_none(),
            _ => false,
        };
        match self.claims {
            _ if !replaceable => Err(AuthError::Claimed),
            Claims::Unheard => Err(AuthError::ClaimsUnheard),
            Claims::KitFirst => Err(AuthError::KitFirst),
            Claims::Free | Claims::Open => Ok(accounts.iter().map(|account| account.name.key()).collect()),
        }
    }
}
