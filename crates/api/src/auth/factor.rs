//! Proofs that people change themselves: password, authenticator, recovery codes. Shapes only.

use serde::{Deserialize, Serialize};

use crate::Base64;

/// `POST /v1/password`: a person changes their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// Theirs. All others of theirs end.
    pub session: Base64,
    /// The password until now.
    pub password: Base64,
    /// A code that was not used before.
    pub code: String,
    /// The new one.
    pub new: Base64,
}

/// `POST /v1/recovery-codes`: ten new ones, and those from before are void. `POST /v1/authenticator`: another telephone, answered with [`Enrolled`](super::Enrolled);
/// the one from before counts, and its recovery codes do, until the new one has shown a code ([`ConfirmFactor`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeFactor {
    /// Theirs.
    pub session: Base64,
    /// Their password.
    pub password: Base64,
    /// A code that was not used before, or a recovery code.
    pub code: String,
}

/// `POST /v1/recovery-codes` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryCodes {
    /// As in [`Enrolled`](super::Enrolled).
    pub recovery_codes: Vec<Base64>,
}

/// `POST /v1/authenticator/confirm`: the new authenticator works. From then on it counts, and the one from before does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmFactor {
    /// The session in which it was asked for, within the last 15 minutes.
    pub session: Base64,
    /// What the new authenticator shows.
    pub code: String,
}
