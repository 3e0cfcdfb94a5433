//! Grants: the right to one action, signed by authd for one person, checked by vaultd before it does anything that reads, restores, loosens or deletes.
//!
//! Owns the grant's bytes, its signature, and the tables: what each role may do, what takes a fresh second factor, what can be limited to shares. Burning a grant after its one use is vaultd's.

mod bytes;
mod fresh;
mod roles;
mod scope;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _};
pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use fresh::{
    FRESH_S, HOURLY_DOWNLOAD_BYTES, REPEAT_S, UNASKED_DOWNLOAD_BYTES, may_repeat, needs_fresh_factor, needs_own_factor, needs_person,
};
pub use roles::{Role, Verb, allows};
pub use scope::{BadScope, NAME_MAX, NAMES_MAX, Scope, takes_scope};
use sha2::{Digest as _, Sha256};

/// The header that carries a grant.
pub const HEADER: &str = "keepwell-grant";
/// No grant lives longer than so many seconds.
pub const LIFE_MAX_S: i64 = 120;
/// Longest name of a user, bytes.
pub const USER_MAX: usize = 64;
/// More than a grant with the longest names in it has.
const TEXT_MAX: usize = 3_200;

/// The right of one person to one action, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The start of authd that it was made in; its key is of the same start.
    pub boot: [u8; 16],
    /// Who may do it; `token:` and a name for a program.
    pub user: String,
    /// What they are.
    pub role: Role,
    /// What may be done.
    pub verb: Verb,
    /// With what: [`digest`] of the request's body, byte for byte as it is sent.
    pub arguments: [u8; 32],
    /// No two grants have the same.
    pub nonce: [u8; 16],
    /// Until when, Unix seconds.
    pub expires_at: i64,
    /// Most bytes that may be handed out for it; none sets no bound.
    pub max_bytes: Option<u64>,
    /// From which shares.
    pub shares: Scope,
    /// A page asked by itself, and no person: the same once more within [`REPEAT_S`] needs no record of its own.
    pub background: bool,
}

/// Why a grant gives no right to what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefused {
    /// It is no grant.
    #[error("the request carries no valid grant")]
    Malformed,
    /// It was not signed by authd since it started, or was changed.
    #[error("the grant was not signed by this box's authd")]
    Forged,
    /// Its time is over, or is further away than any grant lives.
    #[error("the grant has expired: ask for a new one")]
    Expired,
    /// It is of an earlier start of authd.
    #[error("the grant is from before the last restart: ask for a new one")]
    OtherBoot,
    /// It was given for something else.
    #[error("the grant is for another action")]
    OtherVerb,
    /// It was given for the same action with other arguments.
    #[error("the grant is for the same action with other arguments")]
    OtherArguments,
}

impl GrantRefused {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "grant-malformed",
            Self::Forged => "grant-forged",
            Self::Expired => "grant-expired",
            Self::OtherBoot => "grant-other-boot",
            Self::OtherVerb => "grant-other-verb",
            Self::OtherArguments => "grant-other-arguments",
        }
    }
}

/// What a grant is bound to: SHA-256 of a request's body, byte for byte.
pub fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

impl Grant {
    /// The grant as text: base64 (RFC 4648, section 4) of its bytes and their Ed25519 signature (RFC 8032).
    ///
    /// # Panics
    /// If the user's name is longer than [`USER_MAX`].
    pub fn sign(&self, key: &SigningKey) -> String {
        assert!(self.user.len() <= USER_MAX, "authd's users have shorter names");
        let mut signed = self.encode();
        let signature = key.sign(&signed);
        signed.extend(signature.to_bytes());
        STANDARD.encode(signed)
    }

    /// The grant in `text`, if it is authd's and gives the right to `verb` with `body` at the time `now` (Unix seconds). It is not burnt by this.
    pub fn verify(text: &str, key: &VerifyingKey, now: i64, boot: &[u8; 16], verb: Verb, body: &[u8]) -> Result<Self, GrantRefused> {
        if text.len() > TEXT_MAX {
            return Err(GrantRefused::Malformed);
        }
        let signed = STANDARD.decode(text).map_err(|_| GrantRefused::Malformed)?;
        let (content, signature) = signed.split_last_chunk::<64>().ok_or(GrantRefused::Malformed)?;
        let grant = Self::decode(content).ok_or(GrantRefused::Malformed)?;
        // Before the signature: after a restart of authd, that is what is wrong.
        if grant.boot != *boot {
            return Err(GrantRefused::OtherBoot);
        }
        key.verify_strict(content, &Signature::from_bytes(signature)).map_err(|_| GrantRefused::Forged)?;
        if grant.verb != verb {
            return Err(GrantRefused::OtherVerb);
        }
        if grant.arguments != digest(body) {
            return Err(GrantRefused::OtherArguments);
        }
        if now > grant.expires_at || grant.expires_at.saturating_sub(now) > LIFE_MAX_S {
            return Err(GrantRefused::Expired);
        }
        Ok(grant)
    }
}

#[cfg(test)]
mod tests;
