//! Password, authenticator and recovery codes, changed by whose they are. What is wrong counts in the session alone: who rides one locks nobody out.

use keepwell_api::Base64;
use keepwell_api::auth::{ChangeFactor, ChangePassword, ConfirmFactor, Enrolled, EventKind, RecoveryCodes as Shown, passkey};
use sha2::{Digest as _, Sha256};

use super::passkeys::own;
use super::proving::copied;
use super::users::shown;
use super::{Authority, Person};
use crate::account::{Account, Door};
use crate::challenges::Act;
use crate::error::AuthError;
use crate::lockout::Origin;
use crate::proof::{Authenticator, Factor, Password};
use crate::recovery::RecoveryCodes;
use crate::source::Source;
use crate::store::{Change, Happened};
use crate::world::Now;

/// A new authenticator has to show its first code within so many seconds.
const PENDING_S: u64 = 15 * 60;
/// As many wait at a time; the one that began first goes.
const PENDING_MAX: usize = 64;

/// New authenticators that have shown no code yet, with the recovery codes that come with them, by the session in which they were asked for. In memory: what is lost was never
/// good for anything.
#[derive(Default)]
pub(super) struct Pending(Vec<New>);

struct New {
    session: [u8; 32],
    began: u64,
    authenticator: Authenticator,
    recovery: RecoveryCodes,
    /// Everything else is.
    lost: bool,
}

impl Pending {
    fn put(&mut self, new: New) {
        self.0.retain(|other| other.session != new.session && new.began < other.began + PENDING_S);
        if self.0.len() >= PENDING_MAX {
            self.0.remove(0);
        }
        self.0.push(new);
    }

    fn of(&mut self, session: &[u8; 32], steady: u64) -> Option<&mut New> {
        self.0.iter_mut().find(|new| new.session == *session && steady < new.began + PENDING_S)
    }

    fn end(&mut self, session: &[u8; 32]) {
        self.0.retain(|new| new.session != *session);
    }
}

fn key(session: &Base64) -> [u8; 32] {
    Sha256::digest(session.as_ref()).into()
}

impl Authority {
    /// Changes the password of who is signed in, and ends their other sessions.
    pub fn change_password(&self, request: &ChangePassword, origin: Origin) -> Result<(), AuthError> {
        let person = self.lock().person(&request.session, None, self.world.now())?;
        let new = self.work(&door(origin), || Password::new(&request.new, self.effort, &*self.world))?;
        let asks = own("password-changed", request.new.as_ref());
        self.change(&request.session, &person, (&request.password, &request.code), origin, &asks, |account, _| {
            if let Some(proofs) = &mut account.proofs {
                proofs.password = new;
            }
        })?;
        self.only_this(&request.session, &person);
        Ok(())
    }

    /// New recovery codes; those from before are void.
    pub fn new_recovery_codes(&self, request: &ChangeFactor, origin: Origin) -> Result<Shown, AuthError> {
        let person = self.lock().person(&request.session, None, self.world.now())?;
        let (recovery_codes, recovery) = RecoveryCodes::new(&*self.world)?;
        let asks = own("recovery-codes-made", &[]);
        self.change(&request.session, &person, (&request.password, &request.code), origin, &asks, |account, _| {
            if let Some(proofs) = &mut account.proofs {
                proofs.recovery = recovery;
            }
        })?;
        self.only_this(&request.session, &person);
        Ok(Shown { recovery_codes })
    }

    /// Another authenticator, and recovery codes with it. Those from before count until it has shown a code, so that one that took nothing in locks nobody out.
    pub fn new_authenticator(&self, request: &ChangeFactor, origin: Origin) -> Result<Enrolled, AuthError> {
        let person = self.lock().person(&request.session, None, self.world.now())?;
        let (recovery_codes, recovery) = RecoveryCodes::new(&*self.world)?;
        let authenticator = Authenticator::new(&*self.world)?;
        let otpauth = shown(&authenticator, &person.account.name)?;
        let proofs = (&request.password, &*request.code);
        let asks = own("authenticator-asked", &[]);
        let factor = self.change(&request.session, &person, proofs, origin, &asks, |_, factor| factor)?;
        let (mut inside, now) = (self.lock(), self.world.now());
        // Who has nothing left but paper has lost what the passkeys were on.
        let lost = factor == Factor::RecoveryCode;
        inside.pending.put(New { session: key(&request.session), began: now.steady, authenticator, recovery, lost });
        Ok(Enrolled { otpauth, recovery_codes })
    }

    /// The new authenticator shows its first code: from now on it counts.
    pub fn confirm_authenticator(&self, request: &ConfirmFactor) -> Result<(), AuthError> {
        let (session, key) = (&request.session, key(&request.session));
        let (mut inside, now) = (self.lock(), self.world.now());
        let Person { mut account, .. } = inside.person(session, None, now)?;
        let new = inside.pending.of(&key, now.steady).ok_or(AuthError::NoPending)?;
        if !new.authenticator.take(&request.code, now.wall) {
            return Err(inside.wrong_in_session(session, &account, "wrong-code", now)?);
        }
        let (authenticator, recovery, lost) = (new.authenticator.clone(), new.recovery.clone(), new.lost);
        let Some(proofs) = &mut account.proofs else { return Err(AuthError::NoSession) };
        (proofs.authenticator, proofs.recovery) = (authenticator, recovery);
        let removed = if lost { proofs.passkeys.len() } else { 0 };
        if lost {
            proofs.passkeys.clear();
        }
        let event = Happened::new(now.wall, EventKind::UserChanged, "authenticator-changed", account.name.as_str());
        let event = event.with("passkeys-removed", removed);
        inside.store.commit(&Change { put: vec![&account], events: vec![event], ..Change::default() })?;
        inside.pending.end(&key);
        inside.sessions.freshen(session, None, now);
        inside.sessions.end_all_of(&account.name.key(), Some(session));
        Ok(())
    }

    /// What a person changes of their own proofs, with both of them.
    pub(super) fn change<T>(
        &self,
        session: &Base64,
        person: &Person,
        (password, code): (&Base64, &str),
        origin: Origin,
        what: &Act<'_>,
        change: impl FnOnce(&mut Account, Factor) -> T,
    ) -> Result<T, AuthError> {
        // What a passkey is asked is no proof yet.
        if code.starts_with(passkey::ASK) {
            return Err(self.lock().own_asked(session, person, what, code, self.world.now())?);
        }
        let stored = person.account.proofs.as_ref().map(|proofs| proofs.password.clone());
        let tried = stored.as_ref().unwrap_or(&self.nobody);
        let fits = self.work(&door(origin), || tried.fits(password))?;
        let (mut inside, now) = (self.lock(), self.world.now());
        // Only a password that is still theirs counts.
        let mut account =
            inside.store.account(&person.key)?.filter(|account| account.has_password(stored.as_ref())).ok_or(AuthError::NoSession)?;
        let given = inside.given(session, what, code, &account, now)?;
        let taken = account.proofs.as_mut().map_or(Err(None), |proofs| proofs.take(&given, now.wall, fits));
        let (Ok(factor), true) = (taken, fits) else {
            // A code that was shown is used.
            let events = copied(taken.err().flatten(), &account, now).into_iter().collect();
            inside.store.commit(&Change { put: vec![&account], events, ..Change::default() })?;
            return Err(inside.wrong_in_session(session, &account, "wrong-proof", now)?);
        };
        // Before the codes are changed, which is what may follow.
        let used = super::proving::used(factor, &account, now);
        let changed = change(&mut account, factor);
        let done = Happened::new(now.wall, EventKind::UserChanged, what.word, account.name.as_str());
        let events = used.into_iter().chain([done]).collect();
        inside.store.commit(&Change { put: vec![&account], events, ..Change::default() })?;
        if factor != Factor::Passkey {
            inside.sessions.freshen(session, None, now);
        }
        Ok(changed)
    }

    /// All other sessions of theirs are over.
    fn only_this(&self, session: &Base64, person: &Person) {
        self.lock().sessions.end_all_of(&person.key, Some(session));
    }
}

impl super::Inside {
    /// A wrong password or code of who is signed in: told, and counted in the session.
    pub(super) fn wrong_in_session(&mut self, session: &Base64, account: &Account, what: &str, now: Now) -> Result<AuthError, AuthError> {
        let over = if self.sessions.wrong_code(session) { "session-ended" } else { "session-goes-on" };
        self.tell(Happened::new(now.wall, EventKind::Refusal, what, account.name.as_str()).with("session", over))?;
        Ok(if what == "wrong-code" { AuthError::WrongCode } else { AuthError::WrongProof })
    }
}

/// Which places for a password's work it takes. From whom it comes, the session says.
pub(super) fn door(origin: Origin) -> Door {
    match origin {
        Origin::Box => Door::Box,
        Origin::Console => Door::Console(Source::default()),
    }
}
