//! Passkeys (W3C Web Authentication, Level 3) as a console relays them between a browser and authd. Shapes only: authd verifies, a console believes nothing of it.
//!
//! Where a request has a `code`, a passkey proves as well, in two steps. With `?` and the host that the browser sees, authd does nothing and answers 401 `passkey-asked`, whose one cause is a
//! [`PasskeyAsked`] in JSON; its challenge is for that very request. The same request with the browser's answer ([`Answer`]) as its `code` is then carried out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::Base64;

/// What a `code` begins with that asks for a challenge; the host follows, as a browser names it: `box.practice.lan` or `localhost:8443`.
pub const ASK: char = '?';
/// What a `code` begins with that is a browser's answer.
const ANSWER: &str = "passkey";
/// Longest answer as text. The key of Level 3 that has the longest identifier (1,023 bytes) is far below.
const ANSWER_MAX: usize = 8_192;

/// What a browser has to have signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyAsked {
    /// For `navigator.credentials.get`, base64url without padding as all bytes here (RFC 4648, section 5).
    pub challenge: String,
    /// The host without its port.
    pub rp_id: String,
    /// Identifiers of the passkeys that may answer; empty at the door, where nobody is known yet.
    pub allow: Vec<String>,
    /// What is signed: a verb of [`crate::grants::Verb`], or another word for what is one's own.
    pub act: String,
}

/// What a browser answers (`AuthenticatorAssertionResponse`). As text: `passkey` and these four in base64url, with full stops between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which passkey.
    pub id: Vec<u8>,
    /// What the authenticator says, which is signed.
    pub authenticator_data: Vec<u8>,
    /// What the browser says, of which the hash is signed: JSON, byte for byte.
    pub client_data: Vec<u8>,
    /// By the passkey.
    pub signature: Vec<u8>,
}

impl Answer {
    /// Whether a `code` is meant as one.
    pub fn is_meant(code: &str) -> bool {
        code.strip_prefix(ANSWER).is_some_and(|rest| rest.starts_with('.'))
    }

    /// One from its text.
    pub fn parse(code: &str) -> Option<Self> {
        if code.len() > ANSWER_MAX {
            return None;
        }
        let mut parts = code.strip_prefix(ANSWER)?.strip_prefix('.')?.split('.');
        let mut next = || decode(parts.next()?);
        let answer = Self { id: next()?, authenticator_data: next()?, client_data: next()?, signature: next()? };
        parts.next().is_none().then_some(answer)
    }

    /// Its text.
    pub fn to_code(&self) -> String {
        let parts = [&self.id, &self.authenticator_data, &self.client_data, &self.signature].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{ANSWER}.{}", parts.join("."))
    }
}

/// Bytes as browsers exchange them here.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The same back.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// `POST /v1/passkeys/begin`: a person adds a passkey of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginPasskey {
    /// Theirs.
    pub session: Base64,
    /// Their password.
    pub password: Base64,
    /// A code that was not used before, a recovery code, or another passkey's answer.
    pub code: String,
    /// The host that the browser sees, as in [`ASK`].
    pub host: String,
}

/// `POST /v1/passkeys/begin` answers: for `navigator.credentials.create`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyBegun {
    /// Good for five minutes, once.
    pub challenge: String,
    /// As in [`PasskeyAsked`].
    pub rp_id: String,
    /// What authenticators know the person by: random, the same for all of theirs.
    pub user_handle: String,
    /// Their name.
    pub user: String,
    /// Those that they have for this host: an authenticator that has one makes no second.
    pub exclude: Vec<String>,
}

/// `POST /v1/passkeys`: the browser made one (`AuthenticatorAttestationResponse`; what it attests is not asked for and not looked at).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPasskey {
    /// The session in which it was begun.
    pub session: Base64,
    /// What the person calls it: 1 to 64 bytes, as a user's name.
    pub name: String,
    /// As in [`Answer`], base64url.
    pub client_data: String,
    /// As in [`Answer`], base64url; with the new key in it.
    pub authenticator_data: String,
}

/// `POST /v1/passkeys/{id}/rename`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenamePasskey {
    /// Of whose it is.
    pub session: Base64,
    /// As in [`AddPasskey`].
    pub name: String,
}

/// A passkey, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// Its number in addresses: the first 16 hexadecimal digits of the SHA-256 of its identifier.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// For which host it is, without a port.
    pub host: String,
    /// When it was added.
    pub added_at: i64,
    /// When it last proved something.
    pub used_at: Option<i64>,
}

/// `POST /v1/console-certificate`: an owner has the console show another certificate. authd asks for the second factor and records it; the console does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleCertificate {
    /// Of an owner.
    pub session: Base64,
    /// As in [`AskGrant`](super::AskGrant).
    #[serde(default)]
    pub code: Option<String>,
    /// SHA-256 of the certificate, 64 hexadecimal digits; none for the box's own again.
    pub fingerprint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_or_none() {
        let answer = Answer { id: vec![1], authenticator_data: vec![2; 37], client_data: b"{}".to_vec(), signature: vec![] };
        let code = answer.to_code();
        assert!(Answer::is_meant(&code) && Answer::parse(&code) == Some(answer));
        for bad in [
            "",
            "123456",
            "passkey",
            "passkey.",
            "passkey.AQ.AQ.AQ",
            "passkey.AQ.AQ.AQ.AQ.AQ",
            "passkey.A.AQ.AQ.AQ",
            "passkey.AQ=.AQ.AQ.AQ",
            "PASSKEY.AQ.AQ.AQ.AQ",
        ] {
            assert_eq!(Answer::parse(bad), None, "{bad}");
        }
        assert_eq!(Answer::parse(&format!("passkey.AQ.AQ.AQ.{}", "A".repeat(ANSWER_MAX))), None);
    }
}
