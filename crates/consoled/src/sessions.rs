//! Who is signed in at this console. In memory alone; a cookie stands for a session, and only its hash is kept. authd has the last word on each of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use keepwell_api::auth::SignedIn;
use keepwell_api::{Base64, hex};
use tokio::sync::Semaphore;

use crate::error::ConsoleError;
use crate::pages::restore::draft::Drafts;
use crate::pages::setup::Trial;
use crate::refill::Sent;

/// The cookie. Its prefix has browsers insist on HTTPS, on this very host, and on the whole of it (RFC 6265bis, section 4.1.3.2).
pub const COOKIE: &str = "__Host-keepwell";
/// Of who is not signed in, for forms alone. Under a name of its own: a link from elsewhere comes without the cookie of a session ([`COOKIE`] is strict), and must not put
/// another one in its place.
pub const VISITOR: &str = "__Host-keepwell-visitor";
/// Passwords for writing back are kept so long for a restore that nobody begins.
const PASSWORDS_KEPT: Duration = Duration::from_secs(900);
/// Downloads of one session at a time: the others' places are not taken by one who reads slowly.
const DOWNLOADS: usize = 2;
/// Sessions at a time.
const ALL_MAX: usize = 256;
/// Of one person; the oldest goes.
const OF_ONE_MAX: usize = 8;

/// What the console knows of a session beside what authd says.
#[derive(Debug)]
pub struct Kept {
    user: String,
    /// What authd knows them by.
    session: Base64,
    expires_at: i64,
    /// To be said once on the next page.
    pub notice: Option<Notice>,
    /// A form that was not taken, to be given back on the next page.
    pub returned: Option<Sent>,
    /// The disk whose light was let blink, and until when.
    pub lit: Option<(String, i64)>,
    /// Restores that are being prepared.
    pub drafts: Drafts,
    /// The first restore, where the box is being set up.
    pub setup: Trial,
    /// Places for downloads.
    pub downloads: Arc<Semaphore>,
}

impl Kept {
    /// What authd knows them by.
    pub fn session(&self) -> &Base64 {
        &self.session
    }
}

/// Something to be said once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it went well.
    pub good: bool,
    /// In a sentence.
    pub text: String,
}

/// A session, shared by requests that run at the same time.
pub type Shared = Arc<Mutex<Kept>>;

/// Its content.
pub fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All sessions.
pub struct Sessions {
    by_cookie: Mutex<HashMap<[u8; 32], (u64, Shared)>>,
    forms: hmac::Key,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

/// A cookie's value: 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie([u8; 32]);

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookie")
    }
}

impl Cookie {
    /// A new one.
    pub fn new() -> Result<Self, ConsoleError> {
        random().map(Self)
    }

    /// The one in a `Cookie` header, if it is one.
    pub fn parse(header: &str) -> Option<Self> {
        Self::named(header, COOKIE)
    }

    /// The same, of a visitor.
    pub fn parse_visitor(header: &str) -> Option<Self> {
        Self::named(header, VISITOR)
    }

    fn named(header: &str, name: &str) -> Option<Self> {
        let mut named = header.split(';').filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
        let value = named.next().and_then(hex::decode)?;
        // Two of the same name: somebody tries something.
        named.next().is_none().then_some(Self(value))
    }

    /// For the browser to keep until it is closed.
    pub fn header(&self) -> String {
        format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict", hex::encode(&self.0))
    }

    /// The same, for a visitor.
    pub fn visitor_header(&self) -> String {
        format!("{VISITOR}={}; Path=/; Secure; HttpOnly; SameSite=Strict", hex::encode(&self.0))
    }

    fn key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, &self.0).as_ref());
        key
    }
}

/// Has the browser forget it.
pub fn forget_header() -> String {
    format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

impl Sessions {
    /// None yet.
    pub fn new() -> Result<Self, ConsoleError> {
        let key: [u8; 32] = random()?;
        Ok(Self { by_cookie: Mutex::default(), forms: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// What forms that are shown to who has this cookie carry.
    pub fn form_token(&self, cookie: &Cookie) -> String {
        hex::encode(hmac::sign(&self.forms, &cookie.0).as_ref())
    }

    /// Whether a form was shown to who has this cookie.
    pub fn is_form_token(&self, cookie: &Cookie, token: &str) -> bool {
        hex::decode::<32>(token).is_some_and(|token| hmac::verify(&self.forms, &cookie.0, &token).is_ok())
    }

    /// Begins one, always under a new cookie, whatever the browser came with.
    pub fn begin(&self, user: &str, signed_in: SignedIn, now: i64) -> Result<Cookie, ConsoleError> {
        let cookie = Cookie::new()?;
        let kept = Kept {
            user: user.to_owned(),
            session: signed_in.session,
            expires_at: signed_in.expires_at,
            notice: None,
            returned: None,
            lit: None,
            drafts: Drafts::default(),
            setup: Trial::default(),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
        };
        let mut all = self.lock();
        all.retain(|_, (_, kept)| locked(kept).expires_at > now);
        while all.values().filter(|(_, kept)| locked(kept).user == user).count() >= OF_ONE_MAX {
            drop_oldest(&mut all, |kept| kept.user == user);
        }
        while all.len() >= ALL_MAX {
            drop_oldest(&mut all, |_| true);
        }
        let number = all.values().map(|(number, _)| number + 1).max().unwrap_or_default();
        all.insert(cookie.key(), (number, Arc::new(Mutex::new(kept))));
        Ok(cookie)
    }

    /// The session that a cookie stands for.
    pub fn find(&self, cookie: &Cookie) -> Option<Shared> {
        self.lock().get(&cookie.key()).map(|(_, kept)| Arc::clone(kept))
    }

    /// Forgets passwords that were typed for restores which nobody began.
    pub fn sweep(&self) {
        let all: Vec<Shared> = self.lock().values().map(|(_, kept)| Arc::clone(kept)).collect();
        all.iter().for_each(|kept| locked(kept).drafts.forget_orders(PASSWORDS_KEPT));
    }

    /// Ends one.
    pub fn end(&self, cookie: &Cookie) -> Option<Shared> {
        self.lock().remove(&cookie.key()).map(|(_, kept)| kept)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], (u64, Shared)>> {
        self.by_cookie.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_oldest(all: &mut HashMap<[u8; 32], (u64, Shared)>, of: impl Fn(&Kept) -> bool) {
    let oldest = all.iter().filter(|(_, (_, kept))| of(&locked(kept))).min_by_key(|(_, (number, _))| *number);
    if let Some(key) = oldest.map(|(key, _)| *key) {
        all.remove(&key);
    }
}

fn random() -> Result<[u8; 32], ConsoleError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(ConsoleError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use keepwell_api::grants::Role;

    use super::*;

    fn signed_in() -> SignedIn {
        SignedIn { session: vec![1; 32].into(), expires_at: 100, idle_s: 600, role: Role::Owner }
    }

    #[test]
    fn a_cookie_is_one_or_none() {
        let cookie = Cookie::new().unwrap();
        let header = cookie.header();
        let value = header.split(';').next().unwrap();
        assert_eq!(Cookie::parse(&format!("a=b; {value}; c=d")), Some(cookie));
        for bad in ["", "__Host-keepwell=00", &format!("{value}; {value}"), &format!("x{value}")] {
            assert_eq!(Cookie::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_form_belongs_to_one_cookie() {
        let sessions = Sessions::new().unwrap();
        let (one, other) = (Cookie::new().unwrap(), Cookie::new().unwrap());
        let token = sessions.form_token(&one);
        assert!(sessions.is_form_token(&one, &token));
        assert!(!sessions.is_form_token(&other, &token) && !sessions.is_form_token(&one, ""));
    }

    #[test]
    fn sessions_are_bounded_and_end() {
        let sessions = Sessions::new().unwrap();
        let first = sessions.begin("Ann", signed_in(), 0).unwrap();
        let others: Vec<_> = (0..OF_ONE_MAX).map(|_| sessions.begin("Ann", signed_in(), 0).unwrap()).collect();
        assert!(sessions.find(&first).is_none() && others.iter().all(|cookie| sessions.find(cookie).is_some()));
        assert!(sessions.end(&others[0]).is_some() && sessions.find(&others[0]).is_none());
        sessions.begin("Bob", signed_in(), 100).unwrap();
        assert_eq!(sessions.lock().len(), 1, "those that are over by authd's word are gone");
    }
}
