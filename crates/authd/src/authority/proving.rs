//! Proofs: at the door, and again for what is dangerous.

use keepwell_api::Base64;
use keepwell_api::auth::EventKind;
use keepwell_api::grants::{Verb, needs_fresh_factor};

use super::{Authority, Inside, Person};
use crate::account::{Account, Door};
use crate::error::AuthError;
use crate::proof::Factor;
use crate::store::{Change, Happened};
use crate::world::Now;

/// What is shown at the door.
pub(super) struct Shown<'a> {
    /// The key of an account, if it can be one.
    pub(super) key: &'a str,
    pub(super) password: &'a Base64,
    pub(super) code: &'a str,
}

impl Authority {
    /// Checks both proofs, and stores what follows: `success` changes the account and tells of it, a failure counts.
    pub(super) fn prove(
        &self,
        shown: &Shown<'_>,
        door: &Door,
        success: impl FnOnce(&mut Account, Now) -> Happened,
    ) -> Result<(), AuthError> {
        let Door::Console(source) = door else { return self.judge(shown, door, success) };
        self.lock().sources.begin(source, self.world.now().steady)?;
        let answer = self.judge(shown, door, success);
        self.lock().sources.end(source, matches!(answer, Err(AuthError::SignInRefused)));
        answer
    }

    fn judge(&self, shown: &Shown<'_>, door: &Door, success: impl FnOnce(&mut Account, Now) -> Happened) -> Result<(), AuthError> {
        let stored = self.lock().store.account(shown.key)?.and_then(|account| account.proofs).map(|proofs| proofs.password);
        let tried = stored.as_ref().unwrap_or(&self.nobody);
        let fits = self.work(door, || tried.fits(shown.password))?;
        let (mut inside, now) = (self.lock(), self.world.now());
        // Only a password that is still theirs counts.
        let Some(mut account) = inside.store.account(shown.key)?.filter(|account| account.has_password(stored.as_ref())) else {
            // What was typed as a name could be a password.
            inside.tell_rarely(now, None, refusal(now, "wrong-proof", "unknown", door))?;
            return Err(AuthError::SignInRefused);
        };
        let admitted = account.admits(door, now.wall);
        // Both are looked at, whatever the first says; a right code with a wrong password is used up.
        let taken = account.proofs.as_mut().and_then(|proofs| proofs.take(shown.code, now.wall, fits && admitted));
        if let Some(factor) = taken.filter(|_| fits && admitted) {
            account.succeeded(door);
            // Before the codes are changed, which is what may follow.
            let used = used(factor, &account, now);
            let events = used.into_iter().chain([from(success(&mut account, now), door)]).collect();
            return Ok(inside.store.commit(&Change { put: vec![&account], events, ..Change::default() })?);
        }
        let what = match admitted {
            true if account.failed(door, now.wall) => "locked-out",
            true => "wrong-proof",
            false => "while-locked-out",
        };
        inside.store.commit(&Change { put: vec![&account], ..Change::default() })?;
        inside.tell_rarely(now, None, refusal(now, what, account.name.as_str(), door))?;
        Err(AuthError::SignInRefused)
    }
}

fn refusal(now: Now, code: &str, actor: &str, door: &Door) -> Happened {
    from(Happened::new(now.wall, EventKind::Refusal, code, actor), door)
}

/// With where it came from.
fn from(event: Happened, door: &Door) -> Happened {
    match door {
        Door::Console(source) => event.with("from", source.as_str()),
        Door::Box => event.with("from", "box"),
    }
}

impl Inside {
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
        let Some(code) = code else { return self.is_fresh_enough(session, verb, max_bytes, now) };
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
        self.sessions.freshen(session, Some(verb), now);
        Ok(())
    }

    /// Without a code: the last one has to be fresh, and downloads have to be within what one session gets in an hour. A download with a code of its own is not counted.
    fn is_fresh_enough(&mut self, session: &Base64, verb: Verb, max_bytes: Option<u64>, now: Now) -> Result<(), AuthError> {
        let held = self.sessions.find(session, now).ok_or(AuthError::NoSession)?;
        let bytes = if verb == Verb::Download { max_bytes.unwrap_or(u64::MAX) } else { 0 };
        if (needs_fresh_factor(verb, max_bytes) && !held.is_fresh(verb, now)) || bytes > held.download_left(now) {
            return Err(AuthError::StepUp(verb));
        }
        self.sessions.charge(session, bytes, now);
        Ok(())
    }
}

/// That there is one recovery code less is told by itself.
pub(super) fn used(factor: Factor, account: &Account, now: Now) -> Option<Happened> {
    let event = || Happened::new(now.wall, EventKind::UserChanged, "recovery-code-used", account.name.as_str());
    (factor == Factor::RecoveryCode).then(|| event().with("left", account.recovery_codes_left()))
}
