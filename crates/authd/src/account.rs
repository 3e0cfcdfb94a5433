//! A user as it is stored: name, role, proofs, wrong attempts. Owns what a name may be; decides nothing about who may change it.

use keepwell_api::auth::{User, UserState};
use keepwell_api::grants::{Role, Scope, USER_MAX};
use serde::{Deserialize, Serialize};

use crate::error::AuthError;
use crate::lockout::{Lockout, Origin};
use crate::proof::{Authenticator, Factor, Password};
use crate::recovery::RecoveryCodes;
use crate::setup_code::SetUpCode;

/// What programs are called in the ledger: no person is called so.
const PROGRAMS: [&str; 11] = ["admin", "authd", "box", "consoled", "diskd", "ingestd", "keepwell", "keyd", "notifyd", "unknown", "vaultd"];

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
}

impl Proofs {
    /// Which second factor this is, if it is one that was not used before. It is used by this; a recovery code only if all else is right, as there are few.
    pub fn take(&mut self, code: &str, wall: i64, else_right: bool) -> Option<Factor> {
        if self.authenticator.take(code, wall) {
            return Some(Factor::Authenticator);
        }
        (else_right && self.recovery.take(code)).then_some(Factor::RecoveryCode)
    }
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
    /// Wrong attempts through consoles, that is, from the network.
    pub lockout: Lockout,
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
            own_lockout: lockout,
            shares,
        }
    }

    /// The wrong attempts of one side. Who tries from the network locks nobody out of the box's own screen.
    pub fn lockout(&mut self, origin: Origin) -> &mut Lockout {
        match origin {
            Origin::Console => &mut self.lockout,
            Origin::Box => &mut self.own_lockout,
        }
    }

    /// Shares that they may read from, in the role that they have.
    pub fn scope(&self) -> Scope {
        if self.role == Role::RestoreOnly { self.shares.clone() } else { Scope::default() }
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
        let state = match (self.disabled, &self.proofs, self.lockout.until(now)) {
            (true, ..) => UserState::Disabled,
            (_, None, _) => UserState::SetUp,
            (_, _, Some(until)) => UserState::LockedOut { until },
            _ => UserState::Active,
        };
        let Self { role, added_at, signed_in_at, .. } = *self;
        User { name: self.name.as_str().to_owned(), role, state, added_at, signed_in_at, shares: self.scope() }
    }

    /// Whether what was stored elsewhere can be one.
    pub fn is_plausible(&self) -> bool {
        self.proofs
            .as_ref()
            .is_none_or(|proofs| proofs.password.is_plausible() && proofs.authenticator.is_plausible() && proofs.recovery.is_plausible())
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
