//! Grants: the right to one action, for who is signed in and whose role allows it.

use keepwell_api::auth::{AskGrant, Granted};
use keepwell_api::grants::{Grant, LIFE_MAX_S, Verb};
use keepwell_api::hex;

use super::Authority;
use crate::error::AuthError;
use crate::world::random;

impl Authority {
    /// Signs a grant. That it was used, vaultd records.
    pub fn grant(&self, request: &AskGrant) -> Result<Granted, AuthError> {
        if request.verb == Verb::UsersManage {
            return Err(AuthError::NoGrantFor(request.verb));
        }
        let arguments = hex::decode(&request.arguments).ok_or(AuthError::Malformed("arguments: 64 hexadecimal digits are expected"))?;
        let nonce = random(&*self.world)?;
        let (mut inside, now) = (self.lock(), self.world.now());
        let person = inside.person(&request.session, Some(request.verb), now)?;
        let (boot, role, user) = (inside.boot, person.account.role, person.account.name.into());
        let expires_at = now.wall.saturating_add(LIFE_MAX_S);
        let grant = Grant { boot, user, role, verb: request.verb, arguments, nonce, expires_at, max_bytes: request.max_bytes };
        Ok(Granted { grant: grant.sign(&inside.key), expires_at })
    }
}
