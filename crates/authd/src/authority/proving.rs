//! Proofs: at the door, again for what is dangerous, and how they are changed by whose they are.

use keepwell_api::Base64;
use keepwell_api::auth::{ChangeFactor, ChangePassword, Enrolled, EventKind, RecoveryCodes as Shown};
use keepwell_api::grants::{Verb, needs_fresh_factor};

use super::users::shown;
use super::{Authority, Inside, Person};
use crate::account::Account;
use crate::error::AuthError;
use crate::lockout::{Lockout, Origin};
use crate::proof::{Authenticator, Factor, Password};
use crate::recovery::RecoveryCodes;
use crate::store::{Change, Happened};
use crate::world::Now;

/// The key of an account, who they say they are, and from where.
type Who<'a> = (&'a str, &'a str, Origin);

impl Authority {
    /// Changes the password of who is signed in, and ends their other sessions.
    pub fn change_password(&self, request: &ChangePassword, origin: Origin) -> Result<(), AuthError> {
        let person = self.lock().person(&request.session, None, self.world.now())?;
        let new = self.work(|| Password::new(&request.new, self.effort, &*self.world))?;
        self.change(&request.session, &person, (&request.password, &request.code), origin, "password-changed", |account| {
            if let Some(proofs) = &mut account.proofs {
                proofs.password = new;
            }
        })
    }

    /// New recovery codes; those from before are void.
    pub fn new_recovery_codes(&self, request: &ChangeFactor, origin: Origin) -> Result<Shown, AuthError> {
        let person = self.lock().person(&request.session, None, self.world.now())?;
        let (recovery_codes, recovery) = RecoveryCodes::new(&*self.world)?;
        self.change(&request.session, &person, (&request.password, &request.code), origin, "recovery-codes-made", |account| {
            if let Some(proofs) = &mut account.proofs {
                proofs.recovery = recovery;
            }
        })?;
        Ok(Shown { recovery_codes })
    }

    /// Another authenticator, and recovery codes with it, so that one that took nothing in locks nobody out.
    pub fn new_authenticator(&self, request: &ChangeFactor, origin: Origin) -> Result<Enrolled, AuthError> {
        let person = self.lock().person(&request.session, None, self.world.now())?;
        let (recovery_codes, recovery) = RecoveryCodes::new(&*self.world)?;
        let authenticator = Authenticator::new(&*self.world)?;
        let otpauth = shown(&authenticator, &person.account.name)?;
        self.change(&request.session, &person, (&request.password, &request.code), origin, "authenticator-changed", |account| {
            if let Some(proofs) = &mut account.proofs {
                (proofs.authenticator, proofs.recovery) = (authenticator, recovery);
            }
        })?;
        Ok(Enrolled { otpauth, recovery_codes })
    }

    /// What a person changes of their own proofs, with both of them.
    fn change(
        &self,
        session: &Base64,
        person: &Person,
        (password, code): (&Base64, &str),
        origin: Origin,
        what: &str,
        change: impl FnOnce(&mut Account),
    ) -> Result<(), AuthError> {
        let actor = person.account.name.as_str();
        self.prove((&person.key, actor, origin), password, code, |account, now| {
            change(account);
            Happened::new(now.wall, EventKind::UserChanged, what, account.name.as_str())
        })?;
        let (mut inside, now) = (self.lock(), self.world.now());
        inside.sessions.freshen(session, now);
        inside.sessions.end_all_of(&person.key, Some(session));
        Ok(())
    }

    /// Checks both proofs, and stores what follows: `success` changes the account and tells of it, a failure counts.
    pub(super) fn prove(
        &self,
        who: Who<'_>,
        password: &Base64,
        code: &str,
        success: impl FnOnce(&mut Account, Now) -> Happened,
    ) -> Result<(), AuthError> {
        let (key, ..) = who;
        let stored = self.lock().store.account(key)?.and_then(|account| account.proofs).map(|proofs| proofs.password);
        let tried = stored.as_ref().unwrap_or(&self.nobody);
        let fits = self.work(|| tried.fits(password))?;
        let (mut inside, now) = (self.lock(), self.world.now());
        // Only a password that is still theirs counts.
        let account = inside.store.account(key)?.filter(|account| is_still(account, stored.as_ref()));
        let factor = |account: &mut Account, admitted: bool| {
            // Both are looked at, whatever the first says; a right code with a wrong password is used up.
            let taken = account.proofs.as_mut().and_then(|proofs| proofs.take(code, now.wall, fits && admitted));
            taken.filter(|_| fits)
        };
        inside.judge(account, who, now, factor, success)
    }
}

fn is_still(account: &Account, password: Option<&Password>) -> bool {
    account.is_active() && account.proofs.as_ref().zip(password).is_some_and(|(proofs, password)| proofs.password.is(password))
}

impl Inside {
    fn judge(
        &mut self,
        account: Option<Account>,
        (_, actor, origin): Who<'_>,
        now: Now,
        proves: impl FnOnce(&mut Account, bool) -> Option<Factor>,
        success: impl FnOnce(&mut Account, Now) -> Happened,
    ) -> Result<(), AuthError> {
        let refusal = |code| Happened::new(now.wall, EventKind::Refusal, code, actor);
        let Some(mut account) = account else {
            self.tell(refusal("wrong-proof"))?;
            return Err(AuthError::SignInRefused);
        };
        let admitted = account.lockout(origin).admits(now.wall);
        let proven = proves(&mut account, admitted);
        let (events, answer) = match (admitted, proven) {
            (true, Some(factor)) => {
                *account.lockout(origin) = Lockout::default();
                // Before the codes are changed, which is what may follow.
                let used = used(factor, &account, now);
                (used.into_iter().chain([success(&mut account, now)]).collect(), Ok(()))
            }
            (true, None) if account.lockout(origin).failed(now.wall) => (vec![refusal("locked-out")], Err(AuthError::SignInRefused)),
            (true, None) => (vec![refusal("wrong-proof")], Err(AuthError::SignInRefused)),
            (false, _) => (vec![refusal("while-locked-out")], Err(AuthError::SignInRefused)),
        };
        self.store.commit(&Change { put: vec![&account], events, ..Change::default() })?;
        answer
    }

    /// For what is dangerous: the second factor was shown lately in this session, or is shown now. Wrong ones end the session and count in it alone: whoever rides it locks nobody
    /// out, and whoever locks somebody out keeps them from nothing in a session that they have.
    pub(super) fn prove_again(
        &mut self,
        session: &Base64,
        person: &Person,
        code: Option<&str>,
        verb: Verb,
        max_bytes: Option<u64>,
        now: Now,
    ) -> Result<(), AuthError> {
        let Some(code) = code else {
            let fresh = self.sessions.find(session, now).is_some_and(|held| held.is_fresh(now));
            return if fresh || !needs_fresh_factor(verb, max_bytes) { Ok(()) } else { Err(AuthError::StepUp(verb)) };
        };
        let mut account = self.store.account(&person.key)?.filter(Account::is_active).ok_or(AuthError::NoSession)?;
        let taken = account.proofs.as_mut().and_then(|proofs| proofs.take(code, now.wall, true));
        let Some(factor) = taken else {
            let over = if self.sessions.wrong_code(session) { "session-ended" } else { "session-goes-on" };
            let event = Happened::new(now.wall, EventKind::Refusal, "wrong-code", account.name.as_str());
            self.tell(event.with("verb", verb).with("session", over))?;
            return Err(AuthError::WrongCode);
        };
        let proven = Happened::new(now.wall, EventKind::SignIn, "proven-again", account.name.as_str()).with("verb", verb);
        let events = used(factor, &account, now).into_iter().chain([proven]).collect();
        self.store.commit(&Change { put: vec![&account], events, ..Change::default() })?;
        self.sessions.freshen(session, now);
        Ok(())
    }
}

/// That there is one recovery code less is told by itself.
fn used(factor: Factor, account: &Account, now: Now) -> Option<Happened> {
    let event = || Happened::new(now.wall, EventKind::UserChanged, "recovery-code-used", account.name.as_str());
    (factor == Factor::RecoveryCode).then(|| event().with("left", account.recovery_codes_left()))
}
