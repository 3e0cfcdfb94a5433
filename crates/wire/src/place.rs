//! What a practice keeps with its recovery papers, so that a new box finds the one that has its vault (`docs/wire.md` 8). Says where and whom to ask, and opens nothing.

use keepwell_format::codec::{Reader, Writer};
use keepwell_format::{FormatError, VaultId};

use crate::{KeyName, typed};

const WHAT: &str = "code of a place";
const PREFIX: &str = "kwplace";
const VERSION: u8 = 1;

/// Whose vault is where, with whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceCode {
    /// The vault, which is not among the words of a paper.
    pub vault: VaultId,
    /// The key of the box that keeps it: nobody else is asked.
    pub receiver: KeyName,
    /// `host:port`.
    pub address: String,
}

/// Why a text is no such code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceCodeError {
    /// Its check does not fit, or it begins otherwise.
    #[error("this is no code of a second site, or a character of it is wrong: it begins with {PREFIX}1")]
    NotOne,
    /// What it says can't be.
    #[error(transparent)]
    Inside(#[from] FormatError),
}

impl PlaceCode {
    /// As text, in lower case.
    pub fn to_text(&self) -> String {
        let mut out = Writer::new();
        out.u8(VERSION).raw(&self.vault.0).raw(&self.receiver.0).text(&self.address);
        typed::to_text(PREFIX, out.into_bytes())
    }

    /// The text in groups of four, as it is printed and typed.
    pub fn to_groups(&self) -> Vec<String> {
        let text: Vec<char> = self.to_text().chars().collect();
        text.chunks(4).map(|group| group.iter().collect()).collect()
    }

    /// Reads what a person typed: in lower or upper case, with blanks and line breaks anywhere.
    pub fn parse(text: &str) -> Result<Self, PlaceCodeError> {
        Ok(Self::decode(&typed::parse(PREFIX, text).ok_or(PlaceCodeError::NotOne)?)?)
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        typed::version(&mut reader, WHAT, VERSION)?;
        let code = Self { vault: VaultId(reader.array()?), receiver: KeyName(reader.array()?), address: typed::address(&mut reader)? };
        reader.finish()?;
        Ok(code)
    }
}
