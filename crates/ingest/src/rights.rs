//! What an account may do at its server, as the answering end was told there: asked, answered, over. No name of a file is in it.

use keepwell_format::FormatError;
use keepwell_format::codec::{Reader, Writer};
use zeroize::Zeroizing;

use crate::message::{read_text, read_texts, text, write_texts};
use crate::order::{begin, read_begin, read_flag};

/// A share whose account is to be looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckOrder {
    /// URL, without secrets.
    pub location: String,
    /// Of the account that it names.
    pub password: Option<Zeroizing<String>>,
}

/// Something that can be done besides reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum May {
    /// Make files or folders.
    Add = 1,
    /// Change content or attributes.
    Write = 2,
    /// Delete or rename.
    Delete = 4,
    /// Change who may do what.
    ChangeRights = 8,
}

impl May {
    const ALL: [Self; 4] = [Self::Add, Self::Write, Self::Delete, Self::ChangeRights];
}

/// What a server says of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Whether it says anything of the share's root.
    pub told: bool,
    /// What the account may do somewhere, ascending.
    pub may: Vec<May>,
    /// Entries where it may.
    pub changeable: u64,
    /// Entries that were asked about.
    pub asked: u64,
    /// Entries that were seen.
    pub entries: u64,
    /// `SMB 3.1.1`.
    pub protocol: String,
    /// `encrypted, AES-128-GCM`.
    pub protection: String,
    /// What the server says it is.
    pub server: Option<String>,
    /// What is behind the share.
    pub file_system: Option<String>,
    /// What should be put right, for a person.
    pub findings: Vec<String>,
}

impl CheckOrder {
    /// `text location ‖ u8 has ‖ text password`
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(begin(&self.location, self.password.as_ref()).into_bytes())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("order of a check", bytes);
        let (location, password) = read_begin(&mut reader)?;
        reader.finish()?;
        Ok(Self { location, password })
    }
}

impl std::fmt::Debug for CheckOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckOrder").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Checked {
    /// `u8 told ‖ u8 may ‖ varint changeable ‖ varint asked ‖ varint entries ‖ text protocol ‖ text protection ‖ optional texts server, file system ‖ texts findings`
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let may = self.may.iter().fold(0, |bits, may| bits | *may as u8);
        out.u8(self.told.into()).u8(may).varint(self.changeable).varint(self.asked).varint(self.entries);
        text(&mut out, &self.protocol);
        text(&mut out, &self.protection);
        for optional in [&self.server, &self.file_system] {
            out.u8(optional.is_some().into());
            if let Some(word) = optional {
                text(&mut out, word);
            }
        }
        write_texts(&mut out, &self.findings);
        out.into_bytes()
    }

    /// What contradicts itself is an error: nothing to be done and somewhere to do it, or the other way round.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("rights", bytes);
        let told = read_flag(&mut reader)?;
        let bits = reader.u8()?;
        reader.check(bits < 16, "an unknown right")?;
        let may: Vec<May> = May::ALL.into_iter().filter(|may| bits & *may as u8 != 0).collect();
        let (changeable, asked, entries) = (reader.varint()?, reader.varint()?, reader.varint()?);
        reader.check(may.is_empty() == (changeable == 0) && changeable <= asked, "rights that contradict each other")?;
        let (protocol, protection) = (read_text(&mut reader)?, read_text(&mut reader)?);
        let mut optional = || read_flag(&mut reader)?.then(|| read_text(&mut reader)).transpose();
        let (server, file_system) = (optional()?, optional()?);
        let findings = read_texts(&mut reader)?;
        reader.finish()?;
        Ok(Self { told, may, changeable, asked, entries, protocol, protection, server, file_system, findings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Checked {
        Checked {
            told: true,
            may: vec![May::Add, May::Delete],
            changeable: 2,
            asked: 40,
            entries: 1_000,
            protocol: "SMB 3.1.1".into(),
            protection: "signed".into(),
            server: Some("x".into()),
            file_system: None,
            findings: vec!["one".into(), "two".into()],
        }
    }

    #[test]
    fn what_is_said_arrives_as_it_was_said() {
        for checked in [some(), Checked::default(), Checked { may: Vec::new(), changeable: 0, ..some() }] {
            assert_eq!(Checked::decode(&checked.encode()).unwrap(), checked);
        }
        let order = CheckOrder { location: "smb://u@h/s".into(), password: Some(Zeroizing::new("secret".into())) };
        assert_eq!(CheckOrder::decode(&order.encode()).unwrap(), order);
        assert!(!format!("{order:?}").contains("secret"));
    }

    #[test]
    fn what_contradicts_itself_or_is_cut_is_refused() {
        let bytes = some().encode();
        for end in 0..bytes.len() {
            assert!(Checked::decode(&bytes[..end]).is_err(), "{end}");
        }
        for wrong in [Checked { changeable: 0, ..some() }, Checked { may: Vec::new(), ..some() }, Checked { changeable: 41, ..some() }] {
            assert!(Checked::decode(&wrong.encode()).is_err(), "{wrong:?}");
        }
        let mut unknown = bytes;
        unknown[1] = 16;
        assert!(Checked::decode(&unknown).is_err());
    }
}
