//! An authd with a clock that tests turn, and people who have authenticators.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use keepwell_api::Base64;
use keepwell_api::auth::{AddUser, AskGrant, ByOwner, Claim, Enrol, Enrolled, Event, SignIn, SignedIn};
use keepwell_api::grants::{Role, Scope, Verb};
use keepwell_authd::authority::Authority;
use keepwell_authd::error::AuthError;
use keepwell_authd::lockout::Origin;
use keepwell_authd::proof::Effort;
use keepwell_authd::store::Store;
use keepwell_authd::world::{NoRandomness, Now, World};
use totp_rs::Totp;

pub(crate) const START: i64 = 1_795_300_000;
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A clock that stands still until it is turned, and bytes that count up.
pub(crate) struct Fake {
    wall: AtomicI64,
    steady: AtomicU64,
    bytes: Mutex<u64>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { wall: AtomicI64::new(START), steady: AtomicU64::new(77), bytes: Mutex::new(0) })
    }

    /// Time goes on.
    pub(crate) fn pass(&self, seconds: u32) {
        self.wall.fetch_add(seconds.into(), Ordering::SeqCst);
        self.steady.fetch_add(seconds.into(), Ordering::SeqCst);
    }

    /// The wall clock alone jumps.
    pub(crate) fn jump(&self, seconds: i64) {
        self.wall.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl World for Fake {
    fn now(&self) -> Now {
        Now { wall: self.wall.load(Ordering::SeqCst), steady: self.steady.load(Ordering::SeqCst) }
    }

    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        let mut bytes = self.bytes.lock().unwrap();
        for chunk in out.chunks_mut(8) {
            *bytes += 0x9e37_79b9_7f4a_7c15 & 0xffff_ffff;
            let mixed = bytes.wrapping_mul(0xd134_2543_de82_ef95).to_le_bytes();
            chunk.copy_from_slice(&mixed[..chunk.len()]);
        }
        Ok(())
    }
}

pub(crate) struct Desk {
    pub(crate) authority: Authority,
    pub(crate) world: Arc<Fake>,
}

/// Somebody with an authenticator.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) recovery: Vec<String>,
    totp: Totp,
}

impl Person {
    pub(crate) fn new(name: &str, password: &str, enrolled: &Enrolled) -> Self {
        let url = std::str::from_utf8(enrolled.otpauth.as_ref()).unwrap();
        let recovery = enrolled.recovery_codes.iter().map(|code| String::from_utf8(code.as_ref().to_vec()).unwrap()).collect();
        Self { name: name.into(), password: password.into(), recovery, totp: Totp::from_url(url).unwrap() }
    }

    pub(crate) fn code(&self, world: &Fake) -> String {
        self.totp.generate(world.now().wall as u64).to_string()
    }
}

impl Desk {
    pub(crate) fn open(folder: &Path, world: &Arc<Fake>) -> Self {
        let store = Store::open(folder).unwrap();
        let authority = Authority::start(store, Effort { kib: 8, passes: 1 }, world.clone()).unwrap();
        Self { authority, world: world.clone() }
    }

    pub(crate) fn claimed(folder: &Path) -> (Self, Person) {
        let desk = Self::open(folder, &Fake::new());
        let owner = desk.claim("Dr. Owner").unwrap();
        (desk, owner)
    }

    pub(crate) fn claim(&self, name: &str) -> Result<Person, AuthError> {
        let claim = Claim { user: name.into(), password: secret(PASSWORD), code: None };
        self.authority.claim(&claim, Origin::Box).map(|enrolled| Person::new(name, PASSWORD, &enrolled))
    }

    /// Signs in with the next code that was not used.
    pub(crate) fn sign_in(&self, person: &Person) -> Result<SignedIn, AuthError> {
        self.world.pass(30);
        self.sign_in_with(&person.name, &person.password, &person.code(&self.world))
    }

    pub(crate) fn sign_in_with(&self, user: &str, password: &str, code: &str) -> Result<SignedIn, AuthError> {
        self.sign_in_from(Origin::Console, user, password, code)
    }

    pub(crate) fn sign_in_from(&self, origin: Origin, user: &str, password: &str, code: &str) -> Result<SignedIn, AuthError> {
        self.authority.sign_in(&SignIn { user: user.into(), password: secret(password), code: code.into(), from: None }, origin)
    }

    /// From a computer of the network.
    pub(crate) fn sign_in_at(&self, from: &str, user: &str, password: &str, code: &str) -> Result<SignedIn, AuthError> {
        let request = SignIn { user: user.into(), password: secret(password), code: code.into(), from: Some(from.into()) };
        self.authority.sign_in(&request, Origin::Console)
    }

    /// A session, in which an owner has shown a code to change people too.
    pub(crate) fn session(&self, person: &Person) -> Base64 {
        let SignedIn { session, role, .. } = self.sign_in(person).unwrap();
        if role == Role::Owner {
            self.world.pass(30);
            let nobody = ByOwner { session: session.clone(), code: Some(person.code(&self.world)) };
            assert_eq!(code(self.authority.disable("Nobody", &nobody)), "unknown-user");
        }
        session
    }

    pub(crate) fn add(&self, owner: &Base64, name: &str, role: Role) -> Person {
        let set_up = self
            .authority
            .add_user(&AddUser { session: owner.clone(), name: name.into(), role, shares: Scope::default(), code: None })
            .unwrap();
        self.enrol(name, set_up.code).unwrap()
    }

    pub(crate) fn enrol(&self, name: &str, code: Base64) -> Result<Person, AuthError> {
        let password = format!("{PASSWORD} of {name}");
        let enrolled = self.authority.enrol(name, &Enrol { code, password: secret(&password) })?;
        Ok(Person::new(name, &password, &enrolled))
    }

    pub(crate) fn ask(&self, session: &Base64, verb: Verb) -> Result<String, AuthError> {
        self.ask_with(session, verb, None)
    }

    pub(crate) fn ask_with(&self, session: &Base64, verb: Verb, code: Option<String>) -> Result<String, AuthError> {
        let ask = AskGrant { code, ..AskGrant::in_session(session.clone(), verb, "ab".repeat(32), Some(1000)) };
        self.authority.grant(&ask).map(|granted| granted.grant)
    }

    pub(crate) fn codes_told(&self) -> Vec<String> {
        self.told().into_iter().map(|event| event.code).collect()
    }

    pub(crate) fn told(&self) -> Vec<Event> {
        self.authority.events(0).unwrap().events
    }
}

pub(crate) fn by(session: &Base64) -> ByOwner {
    ByOwner { session: session.clone(), code: None }
}

pub(crate) fn secret(text: &str) -> Base64 {
    text.as_bytes().to_vec().into()
}

pub(crate) fn code<T>(answer: Result<T, AuthError>) -> &'static str {
    answer.err().map_or("done", |error| error.code().0)
}
