//! Every verb of authd: decides who is signed in, who is given what, who may change whom.
//!
//! Two locks: one around the users, one around the work of a password, so that many wrong passwords never keep a grant waiting. Never listens, and
//! never looks which program asks: that is [`crate::service`]'s.

mod break_glass;
mod claiming;
mod copying;
mod factors;
mod granting;
mod passkeys;
mod proving;
mod signing_in;
mod tokens;
mod users;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keepwell_api::auth::{EventKind, Events, GrantKey, Status};
use keepwell_api::grants::{Role, SigningKey, Verb, allows};
use keepwell_api::{Base64, hex};
pub use tokens::is_for_programs;
use zeroize::Zeroizing;

use crate::account::{Account, Door};
use crate::attempts::Attempts;
use crate::challenges::Challenges;
use crate::claim_code::ClaimCode;
use crate::error::AuthError;
use crate::proof::{Effort, Password};
use crate::sessions::{Held, Sessions};
use crate::source::Sources;
use crate::store::{Change, Happened, Store};
use crate::tally::Tally;
use crate::world::{Now, World, random};

/// Users, disabled ones too.
pub const USERS_MAX: usize = 500;
/// People whose password is looked at or waits for that.
const WAITING_MAX: usize = 16;
/// Of these, through consoles: who stands at the box has a place.
const WAITING_FROM_CONSOLES_MAX: usize = 12;

/// What authd knows and decides.
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct Authority {
    inside: Mutex<Inside>,
    /// One password at a time: each takes 64 MiB.
    hashing: Mutex<()>,
    waiting: AtomicUsize,
    world: Arc<dyn World>,
    effort: Effort,
    nobody: Password,
}

struct Inside {
    store: Store,
    sessions: Sessions,
    boot: [u8; 16],
    key: SigningKey,
    claim_code: ClaimCode,
    claims: claiming::Claims,
    /// Wrong sealed codes. Nothing else keeps anybody from giving one.
    break_glass: Attempts,
    /// New authenticators that have shown no code yet.
    pending: factors::Pending,
    /// What passkeys were asked to sign.
    challenges: Challenges,
    sources: Sources,
    tally: Tally,
}

/// Who asks, once it is known.
struct Person {
    /// The key of their account.
    key: String,
    account: Account,
}

impl Authority {
    /// With the users that are stored, and a new key for this start.
    pub fn start(store: Store, effort: Effort, world: Arc<dyn World>) -> Result<Self, AuthError> {
        let boot = random(&*world)?;
        let key = SigningKey::from_bytes(&Zeroizing::new(random::<32>(&*world)?));
        let nobody = Password::of_nobody(effort, &*world)?;
        let mut inside = Inside {
            store,
            sessions: Sessions::default(),
            boot,
            key,
            claim_code: ClaimCode::default(),
            claims: claiming::Claims::Free,
            break_glass: Attempts::default(),
            pending: factors::Pending::default(),
            challenges: Challenges::new(Arc::clone(&world))?,
            sources: Sources::default(),
            tally: Tally::default(),
        };
        inside.tell(Happened::new(world.now().wall, EventKind::Started, "started", "authd"))?;
        Ok(Self { inside: Mutex::new(inside), hashing: Mutex::new(()), waiting: AtomicUsize::new(0), world, effort, nobody })
    }

    /// How it stands.
    pub fn status(&self) -> Result<Status, AuthError> {
        let inside = self.lock();
        let accounts = inside.store.accounts()?;
        let GrantKey { boot, public_key } = inside.public();
        let users = u32::try_from(accounts.len()).unwrap_or(u32::MAX);
        let break_glass = inside.store.sealed_code()?.is_some();
        let passkey_hosts = passkeys::hosts(&accounts);
        let (claimed, claimable) = (accounts.iter().any(Account::is_proven_owner), inside.unclaimed().is_ok());
        Ok(Status { boot, public_key, users, claimed, claimable, break_glass, passkey_hosts })
    }

    /// What grants are checked with.
    pub fn key(&self) -> GrantKey {
        self.lock().public()
    }

    /// What happened after event `after`; up to there it is forgotten here.
    pub fn events(&self, after: u64) -> Result<Events, AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let counted = inside.tally.over(now);
        if !counted.is_empty() {
            inside.store.commit(&Change { events: counted, ..Change::default() })?;
        }
        let (events, last) = inside.store.events(after)?;
        Ok(Events { events, last })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // What a verb that panicked left behind: the file is consistent at each commit, sessions at each step.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work of a password, when it is its turn. Not to be called with the users locked.
    fn work<T>(&self, door: &Door, work: impl FnOnce() -> Result<T, AuthError>) -> Result<T, AuthError> {
        let most = if *door == Door::Box { WAITING_MAX } else { WAITING_FROM_CONSOLES_MAX };
        let waiting = Waiting::join(&self.waiting, most).ok_or(AuthError::Busy)?;
        let turn = self.hashing.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work();
        drop((turn, waiting));
        done
    }
}

impl Inside {
    fn public(&self) -> GrantKey {
        GrantKey { boot: hex::encode(&self.boot), public_key: hex::encode(self.key.verifying_key().as_bytes()) }
    }

    fn tell(&mut self, event: Happened) -> Result<(), AuthError> {
        Ok(self.store.commit(&Change { events: vec![event], ..Change::default() })?)
    }

    /// The same for what can be tried without end.
    fn tell_rarely(&mut self, now: Now, verb: Option<Verb>, event: Happened) -> Result<(), AuthError> {
        let events: Vec<Happened> = self.tally.over(now).into_iter().chain(self.tally.take(now, verb, event)).collect();
        if events.is_empty() { Ok(()) } else { Ok(self.store.commit(&Change { events, ..Change::default() })?) }
    }

    /// The person whose session this is, who may do this. A refusal is told.
    fn person(&mut self, session: &Base64, verb: Option<Verb>, now: Now) -> Result<Person, AuthError> {
        let held = self.sessions.touch(session, now);
        self.person_of(held, verb, now)
    }

    fn person_of(&mut self, held: Option<Held>, verb: Option<Verb>, now: Now) -> Result<Person, AuthError> {
        let Some(held) = held else {
            self.tell_rarely(now, None, Happened::new(now.wall, EventKind::Refusal, "no-session", ""))?;
            return Err(AuthError::NoSession);
        };
        let account = self.store.account(&held.user)?.filter(Account::is_active).ok_or(AuthError::NoSession)?;
        if let Some(verb) = verb.filter(|verb| !allows(account.role, *verb)) {
            let event = Happened::new(now.wall, EventKind::Refusal, "not-allowed", account.name.as_str());
            self.tell_rarely(now, Some(verb), event.with("verb", verb).with("role", account.role))?;
            return Err(AuthError::NotAllowed { role: account.role, verb });
        }
        Ok(Person { key: held.user, account })
    }

    /// Whether somebody else could still manage the box.
    fn has_another_owner(&self, key: &str) -> Result<bool, AuthError> {
        let accounts = self.store.accounts()?;
        Ok(accounts.iter().any(|account| account.name.key() != key && account.role == Role::Owner && account.is_active()))
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let joined = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < most).then_some(count + 1));
        joined.ok().map(|_| Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
