//! Names and paths as SMB has them: UTF-16 units, not always well-formed, in any spelling the server likes. Owns what may be a
//! component of a path; never normalizes, folds or maps a name, and never lets one name address anything but one entry of its folder.

use std::fmt;

/// Why units can't be the name of an entry or of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// No units at all.
    #[error("it is empty")]
    Empty,
    /// `\` or `/`: it would address something else.
    #[error("it holds a path separator")]
    Separator,
    /// A zero unit.
    #[error("it holds a NUL")]
    Nul,
    /// `:` would address a stream.
    #[error("it holds a colon")]
    Colon,
    /// `.` or `..`.
    #[error("it addresses a folder relative to itself")]
    Relative,
    /// The path does not fit a request (MS-SMB2 2.2.13: 65,535 bytes).
    #[error("the path is too long")]
    TooLong,
    /// Bytes that are no WTF-8.
    #[error("it is no WTF-8")]
    NotWtf8,
}

/// Units a path can have: its length in bytes is a u16 (MS-SMB2 2.2.13).
const MAX_UNITS: usize = u16::MAX as usize / 2;

const SEPARATOR: u16 = b'\\' as u16;
const COLON: u16 = b':' as u16;

/// Path of an entry below the root of a share, components joined by `\` (MS-SMB2 2.2.13). The root is empty.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WidePath {
    units: Vec<u16>,
}

impl WidePath {
    /// The root of the share.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Path of components that are spelled in WTF-8.
    ///
    /// # Errors
    /// [`BadName`] of the first component that can't be one.
    pub fn from_wtf8<'a>(components: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, BadName> {
        let mut path = Self::root();
        for component in components {
            path.push(&wide(component).ok_or(BadName::NotWtf8)?)?;
        }
        Ok(path)
    }

    /// The entry `name` of this folder.
    ///
    /// # Errors
    /// [`BadName`]
    pub fn join(&self, name: &[u16]) -> Result<Self, BadName> {
        let mut units = Vec::with_capacity(self.units.len() + 1 + name.len());
        units.extend_from_slice(&self.units);
        let mut path = Self { units };
        path.push(name)?;
        Ok(path)
    }

    /// The stream `name` of this file or folder: `path:name:$DATA` (MS-FSCC 2.1.5).
    ///
    /// # Errors
    /// [`BadName`]
    pub fn stream(&self, name: &[u16]) -> Result<Self, BadName> {
        check_stream(name)?;
        let mut units = Vec::with_capacity(self.units.len() + name.len() + 7);
        units.extend_from_slice(&self.units);
        units.push(COLON);
        units.extend_from_slice(name);
        units.extend(":$DATA".encode_utf16());
        if units.len() > MAX_UNITS { Err(BadName::TooLong) } else { Ok(Self { units }) }
    }

    /// The units of the path, as they are sent.
    #[must_use]
    pub fn units(&self) -> &[u16] {
        &self.units
    }

    /// Whether this is the root of the share.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.units.is_empty()
    }

    fn push(&mut self, name: &[u16]) -> Result<(), BadName> {
        check_name(name)?;
        if self.units.len() + 1 + name.len() > MAX_UNITS {
            return Err(BadName::TooLong);
        }
        if !self.units.is_empty() {
            self.units.push(SEPARATOR);
        }
        self.units.extend_from_slice(name);
        Ok(())
    }
}

/// Without the path itself: it may name a patient.
impl fmt::Debug for WidePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WidePath({} units)", self.units.len())
    }
}

/// Whether these units can name an entry of a folder.
///
/// # Errors
/// [`BadName`]
pub fn check_name(name: &[u16]) -> Result<(), BadName> {
    const DOT: u16 = b'.' as u16;
    if matches!(name, [DOT] | [DOT, DOT]) {
        return Err(BadName::Relative);
    }
    check_stream(name)
}

/// Whether these units can name a stream of a file; unlike an entry it may be called `.`.
fn check_stream(name: &[u16]) -> Result<(), BadName> {
    const SLASH: u16 = b'/' as u16;
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    for unit in name {
        match *unit {
            SEPARATOR | SLASH => return Err(BadName::Separator),
            COLON => return Err(BadName::Colon),
            0 => return Err(BadName::Nul),
            _ => {}
        }
    }
    Ok(())
}

/// Units as WTF-8: UTF-8 in which unpaired surrogates are three bytes each. Each sequence of units has exactly one such spelling.
#[must_use]
pub fn wtf8(units: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(units.len() + 8);
    for decoded in char::decode_utf16(units.iter().copied()) {
        match decoded {
            Ok(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                // 1110xxxx 10xxxxxx 10xxxxxx, and a surrogate begins with 1101.
                bytes.extend_from_slice(&[0xED, 0x80 | (high & 0x0F) << 2 | low >> 6, 0x80 | low & 0x3F]);
            }
        }
    }
    bytes
}

/// Units of WTF-8. None if the bytes are none, or spell a surrogate pair as two halves.
#[must_use]
pub fn wide(bytes: &[u8]) -> Option<Vec<u16>> {
    let mut units: Vec<u16> = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => {
                units.extend(text.encode_utf16());
                return Some(units);
            }
            Err(error) => error.valid_up_to(),
        };
        let (text, lone) = rest.split_at(valid);
        units.extend(std::str::from_utf8(text).ok()?.encode_utf16());
        let [0xED, high @ 0xA0..=0xBF, low @ 0x80..=0xBF, after @ ..] = lone else { return None };
        let unit = 0xD000 | u16::from(high & 0x3F) << 6 | u16::from(low & 0x3F);
        if unit >= 0xDC00 && units.last().is_some_and(|last| (0xD800..0xDC00).contains(last)) {
            return None;
        }
        units.push(unit);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn any_units_survive_both_ways() {
        let cases: &[&[u16]] = &[
            &[],
            &[0x41, 0xE4, 0x20AC, 0xD83E, 0xDDB7],
            &[0xD800],
            &[0xDFFF, 0xD800, 0x41],
            &[0xDC00, 0xD800, 0xD800, 0xDC00],
            &[0xDBFF, 0xDBFF, 0xDFFF, 0xDFFF],
        ];
        for units in cases {
            assert_eq!(wide(&wtf8(units)).as_deref(), Some(*units));
        }
        assert_eq!(wtf8(&[0xD800]), [0xED, 0xA0, 0x80]);
        assert_eq!(wtf8(&[0xDFFF]), [0xED, 0xBF, 0xBF]);
        assert_eq!(wtf8(&u("Käse 🦷")), "Käse 🦷".as_bytes());
    }

    #[test]
    fn what_is_no_wtf8_is_refused() {
        let cases: &[&[u8]] =
            &[b"\xFF", b"a\xC0\x80", b"\xED", b"\xED\xA0", b"\xED\xA0\x80\xED\xB0\x80", b"\xF4\x90\x80\x80", b"\xE4", b"a\xED\xA0\x80\x80"];
        for bytes in cases {
            assert_eq!(wide(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn a_name_addresses_one_entry() {
        let root = WidePath::root();
        for (name, bad) in [
            ("", BadName::Empty),
            (".", BadName::Relative),
            ("..", BadName::Relative),
            ("a\\b", BadName::Separator),
            ("a/b", BadName::Separator),
            ("a\0", BadName::Nul),
            ("a:b", BadName::Colon),
        ] {
            assert_eq!(root.join(&u(name)), Err(bad), "{name:?}");
        }
        for name in ["...", " ", "a.", "a ", "CON", "a*?\"<>|"] {
            assert_eq!(root.join(&u(name)).unwrap().units(), u(name));
        }
        assert_eq!(root.join(&vec![0x61; MAX_UNITS]).map(|_| ()), Err(BadName::TooLong));
    }

    #[test]
    fn paths_join() {
        let path = WidePath::from_wtf8([&b"a"[..], b"b.", b"c"]).unwrap();
        assert_eq!(path.units(), u("a\\b.\\c"));
        assert_eq!(path.stream(&u("Zone.Identifier")).unwrap().units(), u("a\\b.\\c:Zone.Identifier:$DATA"));
        assert_eq!(path.stream(&u("x:$INDEX")), Err(BadName::Colon));
        assert!(WidePath::from_wtf8([]).unwrap().is_root());
        assert_eq!(WidePath::from_wtf8([&b"a"[..], b"\xFF"]), Err(BadName::NotWtf8));
        assert!(!format!("{path:?}").contains('b'));
    }
}
