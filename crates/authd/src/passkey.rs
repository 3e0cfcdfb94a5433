//! Passkeys of a user as they are stored, and how one of them proves. What an answer has to be is [`crate::webauthn`]'s.

use keepwell_api::auth::{Passkey, passkey};
use keepwell_api::{Base64, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::account::Name;
use crate::error::AuthError;
use crate::webauthn::{ClientData, Flaw, Host, Known, Made, PublicKey, answered};
use crate::world::{World, random};

/// Of one user.
pub const PASSKEYS_MAX: usize = 10;
const HANDLE_LEN: usize = 16;
const ID_MAX: usize = 1_023;

/// One of them.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The authenticator's identifier.
    id: Base64,
    name: Name,
    /// The host that it is for, without a port.
    host: String,
    key: PublicKey,
    counter: u32,
    can_be_copied: bool,
    added_at: i64,
    used_at: Option<i64>,
}

/// Those of a user.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "it is a part of what is secret")]
pub struct Passkeys {
    /// What authenticators know the person by; random, and empty before there was one.
    handle: Base64,
    all: Vec<Stored>,
}

/// An answer that has a challenge of authd's, for what is asked here.
#[derive(Debug)]
pub struct Shown {
    /// As it was sent.
    pub answer: passkey::Answer,
    /// What the browser says in it.
    pub client: ClientData,
    /// On which page authd asked.
    pub host: Host,
}

impl Passkeys {
    /// What authenticators are to know the person by.
    pub fn handle(&mut self, world: &dyn World) -> Result<Base64, AuthError> {
        if self.handle.as_ref().is_empty() {
            self.handle = random::<HANDLE_LEN>(world)?.to_vec().into();
        }
        Ok(self.handle.clone())
    }

    /// Identifiers of those for this host.
    pub fn ids(&self, host: &Host) -> Vec<String> {
        self.all.iter().filter(|one| one.host == host.rp_id()).map(|one| passkey::encode(one.id.as_ref())).collect()
    }

    /// Adds one.
    pub fn add(&mut self, name: &str, made: Made, host: &Host, now: i64) -> Result<(), AuthError> {
        let name = self.free_name(name, None)?;
        if self.all.len() >= PASSKEYS_MAX {
            return Err(AuthError::BadPasskey("there are ten already: remove one first"));
        }
        let Made { id, key, counter, can_be_copied } = made;
        if self.all.iter().any(|one| one.id.as_ref() == id) {
            return Err(AuthError::BadPasskey("it is one of yours already"));
        }
        let host = host.rp_id().to_owned();
        self.all.push(Stored { id: id.into(), name, host, key, counter, can_be_copied, added_at: now, used_at: None });
        Ok(())
    }

    /// Calls one otherwise.
    pub fn rename(&mut self, id: &str, name: &str) -> Result<(), AuthError> {
        let name = self.free_name(name, Some(id))?;
        self.all.iter_mut().find(|one| number(&one.id) == id).ok_or(AuthError::UnknownPasskey)?.name = name;
        Ok(())
    }

    /// Takes one away; its name.
    pub fn remove(&mut self, id: &str) -> Result<String, AuthError> {
        let at = self.all.iter().position(|one| number(&one.id) == id).ok_or(AuthError::UnknownPasskey)?;
        Ok(self.all.remove(at).name.into())
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.all.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether this answer is one of theirs. That it was used is kept.
    pub fn take(&mut self, shown: &Shown, now: i64) -> Result<(), Flaw> {
        let ours = |one: &&mut Stored| one.id.as_ref() == shown.answer.id && one.host == shown.host.rp_id();
        let one = self.all.iter_mut().find(ours).ok_or(Flaw::Unknown)?;
        let known = Known { key: &one.key, counter: one.counter, can_be_copied: one.can_be_copied };
        one.counter = answered(&shown.answer, &shown.client, &known, &shown.host)?;
        one.used_at = Some(now);
        Ok(())
    }

    /// As people see them.
    pub fn view(&self) -> Vec<Passkey> {
        let view = |one: &Stored| Passkey {
            id: number(&one.id),
            name: one.name.as_str().to_owned(),
            host: one.host.clone(),
            added_at: one.added_at,
            used_at: one.used_at,
        };
        self.all.iter().map(view).collect()
    }

    /// Whether what was stored elsewhere can be some.
    pub fn is_plausible(&self) -> bool {
        let sound = |one: &Stored| {
            (1..=ID_MAX).contains(&one.id.as_ref().len())
                && one.key.is_plausible()
                && Host::parse(&one.host).is_some_and(|host| host.rp_id() == one.host)
        };
        let handle = [0, HANDLE_LEN].contains(&self.handle.as_ref().len());
        handle && self.all.len() <= PASSKEYS_MAX && self.all.iter().all(sound)
    }

    fn free_name(&self, name: &str, but: Option<&str>) -> Result<Name, AuthError> {
        let bad = AuthError::BadPasskey("its name has 1 to 64 bytes: letters, digits, blanks and .-_@'");
        let name = Name::parse(name).map_err(|_| bad)?;
        let taken = self.all.iter().any(|one| one.name.key() == name.key() && but != Some(&*number(&one.id)));
        if taken { Err(AuthError::BadPasskey("you have one of this name")) } else { Ok(name) }
    }
}

fn number(id: &Base64) -> String {
    hex::encode(&Sha256::digest(id.as_ref())[..8])
}
