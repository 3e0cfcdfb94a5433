//! A program's token as it is stored: what it is for, until when, and the hash of what the program shows. Decides nothing about who may make one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keepwell_api::auth::Token;
use keepwell_api::{Base64, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::world::{NoRandomness, World, random};

/// What all of them begin with, so that one that lies where it should not is found.
const PREFIX: &str = "kw_";
const SECRET_LEN: usize = 32;
const ID_LEN: usize = 8;

/// A token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "what it holds is secret")]
pub struct StoredToken {
    /// All that others may see.
    pub token: Token,
    /// Of what the program shows.
    pub hash: Base64,
}

impl StoredToken {
    /// Gives it an id and a secret: how it is shown, and how it is stored.
    pub fn new(token: Token, world: &dyn World) -> Result<(Base64, Self), NoRandomness> {
        let secret = Zeroizing::new(random::<SECRET_LEN>(world)?);
        let id = hex::encode(&random::<ID_LEN>(world)?);
        let mut shown = Zeroizing::new(String::with_capacity(64));
        shown.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(*secret, &mut shown);
        let hash = Self::hash(shown.as_bytes());
        Ok((Base64::from(shown.as_bytes().to_vec()), Self { token: Token { id, ..token }, hash }))
    }

    /// What is kept of one that is shown.
    pub fn hash(shown: &[u8]) -> Base64 {
        Sha256::digest(shown).to_vec().into()
    }

    /// Whether it is good for anything.
    pub fn holds(&self, now: i64) -> bool {
        self.token.revoked_at.is_none() && now < self.token.expires_at
    }

    /// Whether what was stored elsewhere can be one.
    pub fn is_plausible(&self) -> bool {
        self.hash.as_ref().len() == SECRET_LEN
            && hex::decode::<ID_LEN>(&self.token.id).is_some()
            && crate::authority::is_for_programs(&self.token)
    }
}
