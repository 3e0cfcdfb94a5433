//! Signing in and out. One answer to all that is wrong, after the same work.

use keepwell_api::Base64;
use keepwell_api::auth::{EventKind, Session, SignIn, SignedIn, passkey};
use zeroize::Zeroizing;

use super::proving::Shown;
use super::{Authority, Inside};
use crate::account::{Account, Door, Name};
use crate::error::AuthError;
use crate::lockout::Origin;
use crate::sessions::{Held, IDLE_S};
use crate::source::Source;
use crate::store::Happened;
use crate::world::{Now, random};

impl Authority {
    /// Signs somebody in who knows the password, and has the authenticator or a recovery code.
    pub fn sign_in(&self, request: &SignIn, origin: Origin) -> Result<SignedIn, AuthError> {
        if request.code.starts_with(passkey::ASK) {
            return Err(self.asked_at_door(&request.code)?);
        }
        let name = Name::parse(&request.user).ok();
        let key = name.as_ref().map(Name::key).unwrap_or_default();
        let door = match origin {
            Origin::Box => Door::Box,
            Origin::Console => Door::Console(Source::parse(request.from.as_deref())),
        };
        let shown = Shown { key: &key, password: &request.password, code: &request.code };
        self.prove(&shown, &door, |account, now| {
            account.signed_in_at = Some(now.wall);
            Happened::new(now.wall, EventKind::SignIn, "signed-in", account.name.as_str()).with("role", account.role)
        })?;
        let token = Zeroizing::new(random::<32>(&*self.world)?);
        let (mut inside, now) = (self.lock(), self.world.now());
        // Somebody may have been disabled in this moment.
        let account = inside.store.account(&key)?.filter(Account::is_active).ok_or(AuthError::SignInRefused)?;
        let (expires_at, _) = inside.sessions.begin(&token, &key, now).ends(now);
        Ok(SignedIn { session: token.to_vec().into(), expires_at, idle_s: IDLE_S, role: account.role })
    }

    /// Ends a session. One that does not hold is ended already.
    pub fn sign_out(&self, session: &Base64) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        if let Some(held) = inside.sessions.touch(session, now) {
            inside.sessions.end(session);
            let account = inside.store.account(&held.user)?;
            let actor = account.as_ref().map_or(held.user.as_str(), |account| account.name.as_str());
            inside.tell(Happened::new(now.wall, EventKind::SignOut, "signed-out", actor))?;
        }
        Ok(())
    }

    /// Whose session this is. Keeps it no longer alive.
    pub fn check(&self, session: &Base64) -> Result<Session, AuthError> {
        let (inside, now) = (self.lock(), self.world.now());
        let held = inside.sessions.find(session, now).ok_or(AuthError::NoSession)?;
        said(&inside, held, now)
    }

    /// The same for a request of the person's that takes no grant, such as looking at a page.
    pub fn touch(&self, session: &Base64) -> Result<Session, AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let held = inside.sessions.touch(session, now).ok_or(AuthError::NoSession)?;
        said(&inside, &held, now)
    }
}

/// What is known of who has a session.
fn said(inside: &Inside, held: &Held, now: Now) -> Result<Session, AuthError> {
    let account = inside.store.account(&held.user)?.filter(Account::is_active).ok_or(AuthError::NoSession)?;
    let (expires_at, idle_until) = held.ends(now);
    Ok(Session {
        role: account.role,
        expires_at,
        idle_until,
        fresh_until: held.fresh_until(now),
        people_until: held.people_until(now),
        papers_until: held.papers_until(now),
        download_left: held.download_left(now),
        recovery_codes_left: account.recovery_codes_left(),
        shares: account.scope(),
        passkeys: account.passkeys(),
        user: account.name.into(),
    })
}
