//! What passkeys are asked to sign. At the door: that authd asked, on which host and until when, which a key of this start vouches for, so that whoever knocks fills no memory. In a session: the
//! very request, so that the action itself is signed. Each is good for five minutes and once. Knows no passkey.

use std::sync::Arc;

use aws_lc_rs::hmac;
use keepwell_api::Base64;
use keepwell_api::auth::passkey::Answer;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::AuthError;
use crate::passkey::Shown;
use crate::webauthn::{ClientData, Flaw, Host};
use crate::world::{Now, World, random};

/// So long one may be answered, seconds.
const GOOD_S: u64 = 5 * 60;
/// Of one session at a time; the one that was asked first goes.
const OF_ONE_MAX: usize = 8;
/// In all, of those who are signed in.
const ALL_MAX: usize = 1_024;
const NONCE_LEN: usize = 16;

/// What somebody who is signed in wants done.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// A verb, or another word for what is one's own.
    pub word: &'a str,
    /// With what.
    pub arguments: [u8; 32],
    /// Most bytes that may be handed out.
    pub max_bytes: Option<u64>,
}

impl<'a> Act<'a> {
    /// Without a bound of bytes.
    pub fn new(word: &'a str, arguments: [u8; 32]) -> Self {
        Self { word, arguments, max_bytes: None }
    }
}

/// What was asked and not answered yet.
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct Challenges {
    world: Arc<dyn World>,
    key: hmac::Key,
    asked: Vec<Asked>,
    /// Answers at the door that were right: until when they would be good again.
    used: Vec<([u8; 32], u64)>,
}

struct Asked {
    session: [u8; 32],
    nonce: [u8; 32],
    host: Host,
    until: u64,
}

impl Challenges {
    /// None yet.
    pub fn new(world: Arc<dyn World>) -> Result<Self, AuthError> {
        let key = Zeroizing::new(random::<32>(&*world)?);
        Ok(Self { world, key: hmac::Key::new(hmac::HMAC_SHA256, &key[..]), asked: Vec::new(), used: Vec::new() })
    }

    /// For somebody who is signed in, and for this alone.
    pub fn ask(&mut self, session: &Base64, act: &Act<'_>, host: Host, now: Now) -> Result<[u8; 32], AuthError> {
        let (session, nonce) = (hash(session.as_ref()), random::<32>(&*self.world)?);
        self.asked.retain(|asked| now.steady < asked.until);
        let of_one = self.asked.iter().filter(|asked| asked.session == session).count();
        if of_one >= OF_ONE_MAX || self.asked.len() >= ALL_MAX {
            let first = self.asked.iter().position(|asked| of_one < OF_ONE_MAX || asked.session == session);
            first.map(|first| self.asked.remove(first));
        }
        let asked = Asked { session, nonce, host, until: now.steady + GOOD_S };
        let challenge = challenge(&asked, act);
        self.asked.push(asked);
        Ok(challenge)
    }

    /// For whoever is at the door.
    pub fn ask_at_door(&self, host: &Host, now: Now) -> Result<Vec<u8>, AuthError> {
        let nonce = random::<NONCE_LEN>(&*self.world)?;
        let until = now.steady + GOOD_S;
        let tag = hmac::sign(&self.key, &at_door(&nonce, until, host));
        Ok([&nonce[..], &until.to_le_bytes(), tag.as_ref()].concat())
    }

    /// An answer to what was asked in this session for this. It is not answered again.
    pub fn answered(&mut self, session: &Base64, act: &Act<'_>, code: &str, now: Now) -> Result<Box<Shown>, Flaw> {
        let (answer, client, given) = read(code)?;
        let session = hash(session.as_ref());
        self.asked.retain(|asked| now.steady < asked.until);
        let fits = |asked: &Asked| asked.session == session && challenge(asked, act)[..] == given[..];
        let at = self.asked.iter().position(fits).ok_or(Flaw::Challenge)?;
        let Asked { host, .. } = self.asked.remove(at);
        Ok(Box::new(Shown { answer, client, host }))
    }

    /// The same that is in a challenge of a key that is made: no answer, but what was asked of the browser.
    pub fn made(&mut self, session: &Base64, act: &Act<'_>, client: &ClientData, now: Now) -> Result<Host, Flaw> {
        let given = client.challenge().ok_or(Flaw::Malformed)?;
        let session = hash(session.as_ref());
        self.asked.retain(|asked| now.steady < asked.until);
        let at = self.asked.iter().position(|asked| asked.session == session && challenge(asked, act)[..] == given[..]);
        at.map(|at| self.asked.remove(at).host).ok_or(Flaw::Challenge)
    }

    /// An answer to what was asked at the door, if it was not used ([`Challenges::use_up`]).
    pub fn answered_at_door(&self, code: &str, now: Now) -> Result<Box<Shown>, Flaw> {
        let (answer, client, given) = read(code)?;
        let host = client.host().ok_or(Flaw::Origin)?;
        let (nonce, rest) = given.split_first_chunk::<NONCE_LEN>().ok_or(Flaw::Challenge)?;
        let (until, tag) = rest.split_first_chunk::<8>().ok_or(Flaw::Challenge)?;
        let until = u64::from_le_bytes(*until);
        let ours = hmac::verify(&self.key, &at_door(nonce, until, &host), tag).is_ok();
        if !ours || now.steady >= until || self.used.iter().any(|(used, _)| *used == hash(&given)) {
            return Err(Flaw::Challenge);
        }
        Ok(Box::new(Shown { answer, client, host }))
    }

    /// It proved something, and will not again.
    pub fn use_up(&mut self, shown: &Shown, now: Now) {
        self.used.retain(|(_, until)| now.steady < *until);
        let given = shown.client.challenge().unwrap_or_default();
        self.used.push((hash(&given), now.steady + GOOD_S));
    }
}

fn read(code: &str) -> Result<(Answer, ClientData, Vec<u8>), Flaw> {
    let answer = Answer::parse(code).ok_or(Flaw::Malformed)?;
    let client = ClientData::read(&answer.client_data)?;
    let given = client.challenge().ok_or(Flaw::Malformed)?;
    Ok((answer, client, given))
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What is signed of an act; the page on users says it byte for byte.
fn challenge(asked: &Asked, act: &Act<'_>) -> [u8; 32] {
    let mut bytes = Sha256::new();
    bytes.update(b"keepwell passkey v1\n");
    bytes.update(asked.nonce);
    bytes.update(asked.session);
    bytes.update(act.arguments);
    bytes.update([u8::from(act.max_bytes.is_some())]);
    bytes.update(act.max_bytes.unwrap_or(0).to_le_bytes());
    bytes.update((act.word.len() as u64).to_le_bytes());
    bytes.update(act.word);
    bytes.update(asked.host.as_str());
    bytes.finalize().into()
}

fn at_door(nonce: &[u8; NONCE_LEN], until: u64, host: &Host) -> Vec<u8> {
    [&nonce[..], &until.to_le_bytes(), host.as_str().as_bytes()].concat()
}
