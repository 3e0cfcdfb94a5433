//! What a person carries from the receiver to the source (`docs/wire.md` 3).

use std::fmt;

use keepwell_format::FormatError;
use keepwell_format::codec::{Reader, Writer};
use zeroize::Zeroize;

use crate::{KeyName, typed};

const WHAT: &str = "invitation";
const PREFIX: &str = "kwpair";
const VERSION: u8 = 1;

/// Shows that who pairs has seen the invitation. Wiped when it goes, and in no message.
#[derive(PartialEq, Eq)]
pub struct Token(pub(crate) [u8; 16]);

impl Token {
    /// From random bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Where the receiver is, who it is, and the right to pair once.
#[derive(Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The receiver's key.
    pub receiver: KeyName,
    /// The right.
    pub token: Token,
    /// `host:port`.
    pub address: String,
}

/// Why a text is no invitation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// Its check does not fit, or it begins otherwise.
    #[error("this is no invitation, or a character of it is wrong")]
    NotOne,
    /// What it says can't be.
    #[error(transparent)]
    Inside(#[from] FormatError),
}

impl Invitation {
    /// As text. It holds the token.
    pub fn to_text(&self) -> String {
        let mut out = Writer::new();
        out.u8(VERSION).raw(&self.receiver.0).raw(&self.token.0).text(&self.address);
        typed::to_text(PREFIX, out.into_bytes())
    }

    /// Reads what a person typed: in lower or upper case, with blanks and line breaks anywhere.
    pub fn parse(text: &str) -> Result<Self, InvitationError> {
        let mut bytes = typed::parse(PREFIX, text).ok_or(InvitationError::NotOne)?;
        let invitation = Self::decode(&bytes);
        bytes.zeroize();
        Ok(invitation?)
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        typed::version(&mut reader, WHAT, VERSION)?;
        let invitation = Self { receiver: KeyName(reader.array()?), token: Token(reader.array()?), address: typed::address(&mut reader)? };
        reader.finish()?;
        Ok(invitation)
    }
}
