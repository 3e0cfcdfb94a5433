//! A user as it is stored: name, role, proofs, wrong attempts. Owns what a name may be; decides nothing about who may change it.

use keepwell_api::auth::{Passkey, User, UserState};
use keepwell_api::grants::{Role, Scope, USER_MAX};
use serde::{Deserialize, Serialize};

use crate::error::AuthError;
use crate::lockout::{ATTEMPTS, Lockout, Network};
use crate::passkey::{Passkeys, Shown};
use crate::proof::{Authenticator, Factor, Password};
use crate::recovery::RecoveryCodes;
use crate::setup_code::SetUpCode;
use crate::source::Source;
use crate::webauthn::Flaw;

/// What programs are called in the ledger: no person is called so.
const PROGRAMS: [&str; 13] = [
    "admin",
    "authd",
    "box",
    "break-glass",
    "consoled",
    "diskd",
    "downtime",
    "ingestd",
    "keepwell",
    "keyd",
    "notifyd",
    "unknown",
    "vaultd",
];

/// A name that a user may have: 1 to 64 bytes of letters, digits, blanks and `.-_@'`, without a blank at either end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Refuses what is no name.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let letter = |c: char| c.is_alphanumeric() || " .-_@'".contains(c);
        let good = !text.is_empty() && text.len() <= USER_MAX && text.trim() == text && text.chars().all(letter);
        if good && !PROGRAMS.contains(&text.to_lowercase().trim_start_matches("keepwell-")) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AuthError::BadName)
        }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names that differ in case only have in common.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl TryFrom<String> for Name {
    type Error = AuthError;

    fn try_from(text: String) -> Result<Self, AuthError> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// What proves that somebody is this user.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct Proofs {
    /// What they know.
    pub password: Password,
    /// What they have.
    pub authenticator: Authenticator,
    /// What stands in for it. None for who enrolled before there were any.
    #[serde(default)]
    pub recovery: RecoveryCodes,
    /// What proves as the authenticator does, and is bound to a host.
    #[serde(default)]
    pub passkeys: Passkeys,
}

/// What was given in place of a second factor.
#[derive(Debug)]
pub enum Given<'a> {
    /// A code, or what is no code.
    Code(&'a str),
    /// A passkey's answer to what authd asked, or why it is none.
    Passkey(Result<Box<Shown>, Flaw>),
}

impl Proofs {
    /// Which second factor this is, if it is one that was not used before. It is used by this; a recovery code only if all else is right, as there are few. No flaw is told of codes.
    pub fn take(&mut self, given: &Given<'_>, wall: i64, else_right: bool) -> Result<Factor, Option<Flaw>> {
        match given {
            Given::Passkey(Ok(shown)) => self.passkeys.take(shown, wall).map(|()| Factor::Passkey).map_err(Some),
            Given::Passkey(Err(flaw)) => Err(Some(*flaw)),
            Given::Code(code) if self.authenticator.take(code, wall) => Ok(Factor::Authenticator),
            Given::Code(code) if else_right && self.recovery.take(code) => Ok(Factor::RecoveryCode),
            Given::Code(_) => Err(None),
        }
    }
}

/// Where proofs are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// A console: from the network, from this computer.
    Console(Source),
    /// The box's own screen or its command line.
    Box,
}

/// A user.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct Account {
    /// Name.
    pub name: Name,
    /// Role.
    pub role: Role,
    /// When they were added, Unix seconds.
    pub added_at: i64,
    /// When they last signed in.
    pub signed_in_at: Option<i64>,
    /// An owner said that they may not sign in.
    pub disabled: bool,
    /// Since they enrolled.
    pub proofs: Option<Proofs>,
    /// Until they enrol.
    pub set_up: Option<SetUpCode>,
    /// Wrong attempts through consoles of all computers together, as an earlier release kept them.
    #[serde(default)]
    pub(crate) lockout: Lockout,
    /// Wrong attempts through consoles, that is, from the network.
    #[serde(default)]
    pub(crate) network: Option<Network>,
    /// Wrong attempts at the box's own screen and command line.
    #[serde(default)]
    pub own_lockout: Lockout,
    /// Shares that they may read from if they restore only; empty for all.
    #[serde(default)]
    pub shares: Scope,
}

impl Account {
    /// Somebody new.
    pub fn new(name: Name, role: Role, now: i64) -> Self {
        let (lockout, shares) = (Lockout::default(), Scope::default());
        Self {
            name,
            role,
            added_at: now,
            signed_in_at: None,
            disabled: false,
            proofs: None,
            set_up: None,
            lockout,
            network: None,
            own_lockout: lockout,
            shares,
        }
    }

    /// Takes in an attempt: whether it counts, that is, whether the user is not locked out there.
    pub fn admits(&mut self, door: &Door, now: i64) -> bool {
        match door {
            Door::Console(source) => self.network().admits(source, now),
            Door::Box => self.own_lockout.admits(now),
        }
    }

    /// A wrong attempt that counts. Whether it led to a lock.
    pub fn failed(&mut self, door: &Door, now: i64) -> bool {
        match door {
            Door::Console(source) => self.network().failed(source, now),
            Door::Box => self.own_lockout.failed(now, ATTEMPTS),
        }
    }

    /// A right one.
    pub fn succeeded(&mut self, door: &Door) {
        match door {
            Door::Console(source) => self.network().succeeded(source),
            Door::Box => self.own_lockout = Lockout::default(),
        }
    }

    /// Nothing that was wrong before counts any more.
    pub fn unlock(&mut self) {
        (self.network, self.lockout, self.own_lockout) = (None, Lockout::default(), Lockout::default());
    }

    fn network(&mut self) -> &mut Network {
        self.network.get_or_insert_with(|| Network::of_all(self.lockout))
    }

    /// Shares that they may read from, in the role that they have.
    pub fn scope(&self) -> Scope {
        if self.role == Role::RestoreOnly { self.shares.clone() } else { Scope::default() }
    }

    /// Whether they can sign in, and this is their password as it is stored.
    pub fn has_password(&self, password: Option<&Password>) -> bool {
        self.is_active() && self.proofs.as_ref().zip(password).is_some_and(|(proofs, password)| proofs.password.is(password))
    }

    /// Passkeys that they have.
    pub fn passkeys(&self) -> Vec<Passkey> {
        self.proofs.as_ref().map_or_else(Vec::new, |proofs| proofs.passkeys.view())
    }

    /// Recovery codes that are left.
    pub fn recovery_codes_left(&self) -> u32 {
        self.proofs.as_ref().map_or(0, |proofs| proofs.recovery.left())
    }

    /// Whether they could sign in now or after a lock.
    pub fn is_active(&self) -> bool {
        !self.disabled && self.proofs.is_some()
    }

    /// An owner on whom the box can rely: one who can sign in, and did.
    pub fn is_proven_owner(&self) -> bool {
        self.role == Role::Owner && self.is_active() && self.signed_in_at.is_some()
    }

    /// What others may see of it.
    pub fn view(&self, now: i64) -> User {
        let before = Network::of_all(self.lockout);
        let network = self.network.as_ref().unwrap_or(&before);
        let state = match (self.disabled, &self.proofs, network.until(now)) {
            (true, ..) => UserState::Disabled,
            (_, None, _) => UserState::SetUp,
            (_, _, Some(until)) => UserState::LockedOut { until },
            _ => UserState::Active,
        };
        let Self { role, added_at, signed_in_at, .. } = *self;
        User {
            name: self.name.as_str().to_owned(),
            role,
            state,
            added_at,
            signed_in_at,
            shares: self.scope(),
            refused_from: network.refused_from(now),
            passkeys: self.passkeys(),
        }
    }

    /// Whether what was stored elsewhere can be one.
    pub fn is_plausible(&self) -> bool {
        let sound = |proofs: &Proofs| {
            let known = proofs.password.is_plausible() && proofs.authenticator.is_plausible();
            known && proofs.recovery.is_plausible() && proofs.passkeys.is_plausible()
        };
        self.proofs.as_ref().is_none_or(sound) && self.network.as_ref().is_none_or(Network::is_plausible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "Dr. Müller-O'Hara", "x@praxis.example", &"ß".repeat(32)] {
            assert_eq!(Name::parse(good).map(String::from).ok().as_deref(), Some(good));
        }
        for bad in ["", " a", "a ", "a\n", "a/b", "a:b", "a\u{202e}b", &"ß".repeat(33), "vaultd", "Keepwell-authd", "ADMIN"] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Name::parse("MÜLLER").unwrap().key(), Name::parse("Müller").unwrap().key());
    }
}
