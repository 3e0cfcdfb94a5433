//! Grants: the right to one action, for who is signed in and whose role allows it, or for a program with a token.

use keepwell_api::Base64;
use keepwell_api::auth::{AskGrant, Granted};
use keepwell_api::grants::{Grant, LIFE_MAX_S, Role, Scope, Verb, may_repeat};
use keepwell_api::hex;

use super::tokens::actor;
use super::{Authority, Inside};
use crate::error::AuthError;
use crate::world::{Now, World, random};

/// Who gets a grant.
pub(super) struct To {
    pub(super) user: String,
    pub(super) role: Role,
    pub(super) shares: Scope,
}

impl Authority {
    /// Signs a grant. That it was used, vaultd records.
    pub fn grant(&self, request: &AskGrant) -> Result<Granted, AuthError> {
        if request.verb == Verb::UsersManage {
            return Err(AuthError::NoGrantFor(request.verb));
        }
        let arguments = digest_of(&request.arguments)?;
        if request.background && (request.token.is_some() || request.code.is_some() || !may_repeat(request.verb)) {
            return Err(AuthError::Malformed("background: a page asks by itself for what it reads alone, in a session and without a code"));
        }
        let (mut inside, now) = (self.lock(), self.world.now());
        let to = match &request.token {
            Some(_) if request.code.is_some() || request.session != Base64::default() => {
                return Err(AuthError::Malformed("token: it comes without a session and without a code"));
            }
            Some(token) => {
                let token = inside.program(token, request.verb, now)?;
                To { user: actor(&token), role: token.role, shares: token.shares }
            }
            None => inside.somebody(request, arguments, now)?,
        };
        inside.sign((request.verb, arguments), to, (request.max_bytes, request.background), now, &*self.world)
    }
}

/// What a grant is bound to, as it is asked for.
pub(super) fn digest_of(arguments: &str) -> Result<[u8; 32], AuthError> {
    hex::decode(arguments).ok_or(AuthError::Malformed("arguments: 64 hexadecimal digits are expected"))
}

impl Inside {
    fn somebody(&mut self, request: &AskGrant, arguments: [u8; 32], now: Now) -> Result<To, AuthError> {
        let person = if request.background {
            let held = self.sessions.find(&request.session, now).cloned();
            self.person_of(held, Some(request.verb), now)?
        } else {
            self.person(&request.session, Some(request.verb), now)?
        };
        self.prove_again(&request.session, &person, request.code.as_deref(), (request.verb, arguments, request.max_bytes), now)?;
        Ok(To { user: person.account.name.as_str().to_owned(), role: person.account.role, shares: person.account.scope() })
    }

    pub(super) fn sign(
        &self,
        (verb, arguments): (Verb, [u8; 32]),
        To { user, role, shares }: To,
        (max_bytes, background): (Option<u64>, bool),
        now: Now,
        world: &dyn World,
    ) -> Result<Granted, AuthError> {
        let (boot, nonce, expires_at) = (self.boot, random(world)?, now.wall.saturating_add(LIFE_MAX_S));
        let grant = Grant { boot, user, role, verb, arguments, nonce, expires_at, max_bytes, shares, background };
        Ok(Granted { grant: grant.sign(&self.key), expires_at })
    }
}
