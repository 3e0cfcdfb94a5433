//! The sealed code for the day on which nobody can sign in: made by an owner, kept on paper, typed at the box's own screen. Shapes only.

use serde::{Deserialize, Serialize};

use crate::Base64;
use crate::grants::Verb;

/// Who acts with the sealed code, in grants and in the log. No user is called so.
pub const BREAK_GLASS: &str = "break-glass";

/// `POST /v1/break-glass-code` answers, to an owner ([`super::ByOwner`]). One that was there before is void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassCode {
    /// Six groups of four letters and digits. Shown once.
    pub code: Base64,
    /// When it was made.
    pub made_at: i64,
}

/// `POST /v1/break-glass-grants`, at the box's own screen alone. Answered with [`super::Granted`] for [`BREAK_GLASS`]; the code is void by that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskBreakGlass {
    /// As it was typed.
    pub code: Base64,
    /// [`Verb::EmergencyOpen`], and no other.
    pub verb: Verb,
    /// As in [`super::AskGrant`].
    pub arguments: String,
}
