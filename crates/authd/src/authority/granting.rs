//! Grants: the right to one action, for who is signed in and whose role allows it, or for a program with a token.

use keepwell_api::Base64;
use keepwell_api::auth::{AskGrant, Granted};
use keepwell_api::grants::{Grant, LIFE_MAX_S, Role, Scope, Verb};
use keepwell_api::hex;

use super::tokens::actor;
use super::{Authority, Inside};
use crate::error::AuthError;
use crate::world::{Now, random};

impl Authority {
    /// Signs a grant. That it was used, vaultd records.
    pub fn grant(&self, request: &AskGrant) -> Result<Granted, AuthError> {
        if request.verb == Verb::UsersManage {
            return Err(AuthError::NoGrantFor(request.verb));
        }
        let arguments = hex::decode(&request.arguments).ok_or(AuthError::Malformed("arguments: 64 hexadecimal digits are expected"))?;
        let nonce = random(&*self.world)?;
        let (mut inside, now) = (self.lock(), self.world.now());
        let (user, role, shares) = match &request.token {
            Some(_) if request.code.is_some() || request.session != Base64::default() => {
                return Err(AuthError::Malformed("token: it comes without a session and without a code"));
            }
            Some(token) => inside.program(token, request.verb, now).map(|token| (actor(&token), token.role, token.shares))?,
            None => inside.somebody(request, now)?,
        };
        let (boot, expires_at) = (inside.boot, now.wall.saturating_add(LIFE_MAX_S));
        let grant = Grant { boot, user, role, verb: request.verb, arguments, nonce, expires_at, max_bytes: request.max_bytes, shares };
        Ok(Granted { grant: grant.sign(&inside.key), expires_at })
    }
}

impl Inside {
    fn somebody(&mut self, request: &AskGrant, now: Now) -> Result<(String, Role, Scope), AuthError> {
        let person = self.person(&request.session, Some(request.verb), now)?;
        self.prove_again(&request.session, &person, request.code.as_deref(), request.verb, request.max_bytes, now)?;
        Ok((person.account.name.as_str().to_owned(), person.account.role, person.account.scope()))
    }
}
