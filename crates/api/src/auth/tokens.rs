//! Tokens: what a program shows that acts for nobody in particular, such as the practice's own monitoring. Shapes only.

use serde::{Deserialize, Serialize};

use crate::Base64;
use crate::grants::{Role, Scope, Verb};

/// `POST /v1/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeToken {
    /// Of an owner.
    pub session: Base64,
    /// What the log calls it, after `token:`: 1 to 48 bytes, letters as in a user's name.
    pub name: String,
    /// Any but owner.
    pub role: Role,
    /// What it is for: verbs of that role, none that only a person may do ([`crate::grants::needs_person`]).
    pub verbs: Vec<Verb>,
    /// From which shares; empty for all. Only where all the verbs can be limited so ([`crate::grants::takes_scope`]).
    #[serde(default)]
    pub shares: Scope,
    /// Until when: at most 400 days from now.
    pub expires_at: i64,
    /// As in [`super::AskGrant`].
    #[serde(default)]
    pub code: Option<String>,
}

/// `POST /v1/tokens` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMade {
    /// Its id: 16 hexadecimal digits.
    pub id: String,
    /// The token: `kw_` and 43 characters of base64url (RFC 4648, section 5). Shown once.
    pub token: Base64,
    /// Until when.
    pub expires_at: i64,
}

/// A token, as others may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// What the log calls it, after `token:`.
    pub name: String,
    /// Role.
    pub role: Role,
    /// What it is for.
    pub verbs: Vec<Verb>,
    /// From which shares; empty for all.
    pub shares: Scope,
    /// The owner who made it.
    pub made_by: String,
    /// When.
    pub made_at: i64,
    /// Until when.
    pub expires_at: i64,
    /// When it was last shown, to a minute or so.
    pub last_used_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

/// `GET /v1/tokens` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// By name; those that are over stay for a while.
    pub tokens: Vec<Token>,
}

/// `POST /v1/tokens/check`: whose it is, for a console that a program asks what takes no grant. Answers a [`Token`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckToken {
    /// As it was shown.
    pub token: Base64,
}

/// `POST /v1/tokens/{id}/revoke`: asks for no fresh factor, because it only takes a right away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Of an owner.
    pub session: Base64,
}
