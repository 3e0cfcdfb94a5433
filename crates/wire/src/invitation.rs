//! What a person carries from the receiver to the source (`docs/wire.md` 3).

use std::fmt;

use bech32::{Bech32m, Hrp};
use keepwell_format::FormatError;
use keepwell_format::codec::{Reader, Writer};
use zeroize::Zeroize;

use crate::KeyName;

const WHAT: &str = "invitation";
const PREFIX: &str = "kwpair";
const VERSION: u8 = 1;
pub(crate) const MAX_ADDRESS: usize = 255;

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
        let mut bytes = out.into_bytes();
        let prefix = Hrp::parse(PREFIX).expect("a valid prefix");
        let text = bech32::encode::<Bech32m>(prefix, &bytes).expect("at most 305 bytes");
        bytes.zeroize();
        text
    }

    /// Reads what a person typed: in lower or upper case, with blanks and line breaks anywhere.
    pub fn parse(text: &str) -> Result<Self, InvitationError> {
        let mut dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let decoded =
            bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(&dense).map_err(|_| InvitationError::NotOne).and_then(|checked| {
                (checked.hrp().as_str().eq_ignore_ascii_case(PREFIX)).then(|| checked.byte_iter().collect()).ok_or(InvitationError::NotOne)
            });
        dense.zeroize();
        let mut bytes: Vec<u8> = decoded?;
        let invitation = Self::decode(&bytes);
        bytes.zeroize();
        Ok(invitation?)
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let version = reader.u8()?;
        if version > VERSION {
            return Err(FormatError::Newer { what: WHAT, found: version.into(), known: VERSION.into() });
        }
        reader.check(version == VERSION, "version 0")?;
        let (receiver, token, address) = (KeyName(reader.array()?), Token(reader.array()?), reader.text()?);
        let shown = address.bytes().all(|byte| byte.is_ascii_graphic());
        reader.check(!address.is_empty() && address.len() <= MAX_ADDRESS && shown, "no address")?;
        reader.finish()?;
        Ok(Self { receiver, token, address })
    }
}
