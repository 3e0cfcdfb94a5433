//! What a caller asks to be opened, and what a target says in the end. Passwords are wiped and never shown.

use std::fmt;

use keepwell_format::codec::{Reader, Writer};
use keepwell_format::{FormatError, Key};
use zeroize::Zeroizing;

/// A tree to be read.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceOrder {
    /// Path or URL, without secrets.
    pub location: String,
    /// Of the account that a URL names.
    pub password: Option<Zeroizing<String>>,
    /// Which of the server's snapshots, in the words of the command line (`latest`, a time in UTC); none: as it is.
    pub as_of: Option<String>,
}

/// A place to restore to.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetOrder {
    /// Path or URL, without secrets.
    pub location: String,
    /// Of the account that a URL names.
    pub password: Option<Zeroizing<String>>,
    /// How.
    pub opening: Opening,
}

/// How a target is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is made where it is not there; something in it is an error.
    Empty,
    /// It is made where it is not there, and may hold something.
    Merge,
    /// It is only looked at; nothing is made. With `empty`, something in it is an error.
    Preview {
        /// It must be empty.
        empty: bool,
    },
}

/// What a target could not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warned {
    /// How often.
    pub count: u64,
    /// The first 100: where, and what in a person's words.
    pub first: Vec<(Key, String)>,
}

/// Longest location: a path or URL.
const LOCATION_MAX: usize = 64 << 10;
/// Longest password. Servers take far less.
const PASSWORD_MAX: usize = 4 << 10;
/// Longest name of a snapshot.
const AS_OF_MAX: usize = 256;

impl fmt::Debug for SourceOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceOrder").field("location", &self.location).field("as_of", &self.as_of).finish_non_exhaustive()
    }
}

impl fmt::Debug for TargetOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetOrder").field("location", &self.location).field("opening", &self.opening).finish_non_exhaustive()
    }
}

impl SourceOrder {
    /// `text location ‖ u8 has ‖ text password ‖ u8 has ‖ text as_of`
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = begin(&self.location, self.password.as_ref());
        out.u8(self.as_of.is_some().into());
        if let Some(as_of) = &self.as_of {
            out.text(as_of);
        }
        Zeroizing::new(out.into_bytes())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("order of a source", bytes);
        let (location, password) = read_begin(&mut reader)?;
        let as_of = read_flag(&mut reader)?.then(|| reader.text()).transpose()?;
        reader.check(as_of.as_ref().is_none_or(|as_of| as_of.len() <= AS_OF_MAX), "the name of a snapshot is too long")?;
        reader.finish()?;
        Ok(Self { location, password, as_of })
    }
}

impl TargetOrder {
    /// `text location ‖ u8 has ‖ text password ‖ u8 opening`
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = begin(&self.location, self.password.as_ref());
        out.u8(match self.opening {
            Opening::Empty => 0,
            Opening::Merge => 1,
            Opening::Preview { empty: false } => 2,
            Opening::Preview { empty: true } => 3,
        });
        Zeroizing::new(out.into_bytes())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("order of a target", bytes);
        let (location, password) = read_begin(&mut reader)?;
        let opening = match reader.u8()? {
            0 => Opening::Empty,
            1 => Opening::Merge,
            flag @ 2..=3 => Opening::Preview { empty: flag == 3 },
            _ => return Err(reader.invalid("unknown way of opening")),
        };
        reader.finish()?;
        Ok(Self { location, password, opening })
    }
}

pub(crate) fn begin(location: &str, password: Option<&Zeroizing<String>>) -> Writer {
    // All that comes fits, so that no copy of the password is left behind by growing.
    let mut out = Writer::with_capacity(location.len() + password.map_or(0, |password| password.len()) + AS_OF_MAX + 64);
    out.text(location).u8(password.is_some().into());
    if let Some(password) = password {
        out.text(password);
    }
    out
}

pub(crate) fn read_begin(reader: &mut Reader<'_>) -> Result<(String, Option<Zeroizing<String>>), FormatError> {
    let location = reader.text()?;
    let password = read_flag(reader)?.then(|| reader.text().map(Zeroizing::new)).transpose()?;
    let fits = location.len() <= LOCATION_MAX && password.as_ref().is_none_or(|password| password.len() <= PASSWORD_MAX);
    reader.check(fits, "an order is too long")?;
    Ok((location, password))
}

/// `u8`: 0 or 1.
pub(crate) fn read_flag(reader: &mut Reader<'_>) -> Result<bool, FormatError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(reader.invalid("a flag is neither 0 nor 1")),
    }
}
