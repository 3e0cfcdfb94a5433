//! Signing in and out. One answer to all that is wrong, after the same work.

use keepwell_api::Base64;
use keepwell_api::auth::{ChangePassword, EventKind, Session, SignIn, SignedIn};
use zeroize::Zeroizing;

use super::{Authority, Inside};
use crate::account::{Account, Name};
use crate::error::AuthError;
use crate::proof::Password;
use crate::sessions::IDLE_S;
use crate::store::{Change, Happened};
use crate::world::{Now, random};

impl Authority {
    /// Signs somebody in who knows the password and has the authenticator.
    pub fn sign_in(&self, request: &SignIn) -> Result<SignedIn, AuthError> {
        let name = Name::parse(&request.user).ok();
        let key = name.as_ref().map(Name::key).unwrap_or_default();
        let actor = name.as_ref().map_or("unknown", Name::as_str);
        self.prove(&key, actor, &request.password, &request.code, |account, now| {
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
        let account = inside.store.account(&held.user)?.filter(Account::is_active).ok_or(AuthError::NoSession)?;
        let (expires_at, idle_until) = held.ends(now);
        Ok(Session { user: account.name.into(), role: account.role, expires_at, idle_until })
    }

    /// Changes the password of who is signed in, and ends their other sessions.
    pub fn change_password(&self, request: &ChangePassword) -> Result<(), AuthError> {
        let person = self.lock().person(&request.session, None, self.world.now())?;
        let new = self.work(|| Password::new(&request.new, self.effort, &*self.world))?;
        self.prove(&person.key, person.account.name.as_str(), &request.password, &request.code, |account, now| {
            if let Some(proofs) = &mut account.proofs {
                proofs.password = new;
            }
            Happened::new(now.wall, EventKind::UserChanged, "password-changed", account.name.as_str())
        })?;
        self.lock().sessions.end_all_of(&person.key, Some(&request.session));
        Ok(())
    }

    /// Checks both proofs, and stores what follows: `success` changes the account and tells of it, a failure counts.
    fn prove(
        &self,
        key: &str,
        actor: &str,
        password: &Base64,
        code: &str,
        success: impl FnOnce(&mut Account, Now) -> Happened,
    ) -> Result<(), AuthError> {
        let stored = self.lock().store.account(key)?.and_then(|account| account.proofs).map(|proofs| proofs.password);
        let tried = stored.as_ref().unwrap_or(&self.nobody);
        let fits = self.work(|| tried.fits(password))?;
        let (mut inside, now) = (self.lock(), self.world.now());
        // Only a password that is still theirs counts.
        let account = inside.store.account(key)?.filter(|account| is_still(account, stored.as_ref()));
        inside.judge(
            account,
            actor,
            now,
            |account| {
                let authenticator = account.proofs.as_mut().map(|proofs| &mut proofs.authenticator);
                // Both are looked at, whatever the first says; a right code with a wrong password is used up.
                authenticator.is_some_and(|authenticator| authenticator.take(code, now.wall)) & fits
            },
            success,
        )
    }
}

fn is_still(account: &Account, password: Option<&Password>) -> bool {
    account.is_active() && account.proofs.as_ref().zip(password).is_some_and(|(proofs, password)| proofs.password.is(password))
}

impl Inside {
    fn judge(
        &mut self,
        account: Option<Account>,
        actor: &str,
        now: Now,
        proves: impl FnOnce(&mut Account) -> bool,
        success: impl FnOnce(&mut Account, Now) -> Happened,
    ) -> Result<(), AuthError> {
        let refusal = |code| Happened::new(now.wall, EventKind::Refusal, code, actor);
        let Some(mut account) = account else {
            self.tell(refusal("wrong-proof"))?;
            return Err(AuthError::SignInRefused);
        };
        let admitted = account.lockout.admits(now.wall);
        let proven = proves(&mut account);
        let (event, answer) = match (admitted, proven) {
            (true, true) => {
                account.lockout = crate::lockout::Lockout::default();
                (success(&mut account, now), Ok(()))
            }
            (true, false) if account.lockout.failed(now.wall) => (refusal("locked-out"), Err(AuthError::SignInRefused)),
            (true, false) => (refusal("wrong-proof"), Err(AuthError::SignInRefused)),
            (false, _) => (refusal("while-locked-out"), Err(AuthError::SignInRefused)),
        };
        self.store.commit(&Change { put: vec![&account], events: vec![event], ..Change::default() })?;
        answer
    }
}
