//! Proofs: at the door, and again for what is dangerous.

use keepwell_api::auth::EventKind;
use keepwell_api::grants::{Verb, needs_fresh_factor};
use keepwell_api::{Base64, hex};

use super::{Authority, Inside, Person};
use crate::account::{Account, Door, Given};
use crate::challenges::Act;
use crate::error::AuthError;
use crate::proof::Factor;
use crate::store::{Change, Happened};
use crate::webauthn::Flaw;
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
        let given = inside.given_at_door(shown.code, now);
        let taken = account.proofs.as_mut().map_or(Err(None), |proofs| proofs.take(&given, now.wall, fits && admitted));
        if let (Given::Passkey(Ok(shown)), Ok(_)) = (&given, taken) {
            inside.challenges.use_up(shown, now);
        }
        if let (Ok(factor), true) = (taken, fits && admitted) {
            account.succeeded(door);
            // Before the codes are changed, which is what may follow.
            let used = used(factor, &account, now);
            let event = from(success(&mut account, now), door).with("factor", factor.as_str());
            let events = used.into_iter().chain([event]).collect();
            return Ok(inside.store.commit(&Change { put: vec![&account], events, ..Change::default() })?);
        }
        let flaw = taken.err().flatten();
        let what = match admitted {
            true if account.failed(door, now.wall) => "locked-out",
            true => "wrong-proof",
            false => "while-locked-out",
        };
        inside.store.commit(&Change {
            put: vec![&account],
            events: copied(flaw, &account, now).into_iter().collect(),
            ..Change::default()
        })?;
        inside.tell_rarely(now, None, because(flaw, refusal(now, what, account.name.as_str(), door)))?;
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
        (verb, arguments, max_bytes): (Verb, [u8; 32], Option<u64>),
        now: Now,
    ) -> Result<(), AuthError> {
        let Some(code) = code else { return self.is_fresh_enough(session, verb, max_bytes, now) };
        let mut account = self.store.account(&person.key)?.filter(Account::is_active).ok_or(AuthError::NoSession)?;
        let given = self.given(session, &Act { word: verb.as_str(), arguments, max_bytes }, code, &account, now)?;
        let taken = account.proofs.as_mut().map_or(Err(None), |proofs| proofs.take(&given, now.wall, true));
        let factor = match taken {
            Ok(factor) => factor,
            Err(flaw) => {
                let over = if self.sessions.wrong_code(session) { "session-ended" } else { "session-goes-on" };
                let event = Happened::new(now.wall, EventKind::Refusal, "wrong-code", account.name.as_str());
                let event = because(flaw, event.with("verb", verb).with("session", over));
                let events = copied(flaw, &account, now).into_iter().chain([event]).collect();
                self.store.commit(&Change { events, ..Change::default() })?;
                return Err(AuthError::WrongCode);
            }
        };
        let proven = Happened::new(now.wall, EventKind::SignIn, "proven-again", account.name.as_str()).with("verb", verb);
        let proven = if factor == Factor::Passkey {
            proven.with("factor", factor.as_str()).with("arguments", hex::encode(&arguments))
        } else {
            proven
        };
        let events = used(factor, &account, now).into_iter().chain([proven]).collect();
        self.store.commit(&Change { put: vec![&account], events, ..Change::default() })?;
        // A passkey has signed this one act; a code says that the person is there.
        if factor != Factor::Passkey {
            self.sessions.freshen(session, Some(verb), now);
        }
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

/// Two of one authenticator are told by themselves.
pub(super) fn copied(flaw: Option<Flaw>, account: &Account, now: Now) -> Option<Happened> {
    let event = || Happened::new(now.wall, EventKind::Refusal, "passkey-copied", account.name.as_str());
    (flaw == Some(Flaw::Counter)).then(event)
}

/// With what is wrong about a passkey.
fn because(flaw: Option<Flaw>, event: Happened) -> Happened {
    match flaw {
        Some(flaw) => event.with("passkey", flaw.as_str()),
        None => event,
    }
}

/// That there is one recovery code less is told by itself.
pub(super) fn used(factor: Factor, account: &Account, now: Now) -> Option<Happened> {
    let event = || Happened::new(now.wall, EventKind::UserChanged, "recovery-code-used", account.name.as_str());
    (factor == Factor::RecoveryCode).then(|| event().with("left", account.recovery_codes_left()))
}
