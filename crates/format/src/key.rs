//! The key of a catalog entry: a path as the source spells it, comparable as bytes (`docs/format.md` 8).

use std::fmt;

/// Path components joined by `0x00`; the root is empty. Sorts a folder directly before all that is in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(Vec<u8>);

/// Why a name cannot be part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a file name: empty, '.', '..', with a separator in it, or its path is longer than 128 KiB")]
pub struct KeyError;

impl Key {
    /// Longest key, in bytes.
    pub const MAX_LEN: usize = 128 << 10;

    /// The root of a source.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Parses an encoded key.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, KeyError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(KeyError);
        }
        if !bytes.is_empty() {
            bytes.split(|b| *b == 0).try_for_each(check_name)?;
        }
        Ok(Self(bytes))
    }

    /// Makes this the key of which only the first `kept` bytes are as they are here. What was checked is not checked again.
    pub(crate) fn replace_end(&mut self, kept: usize, end: &[u8]) -> Result<(), KeyError> {
        let changed = self.0.get(..kept).ok_or(KeyError)?.iter().rposition(|b| *b == 0).map_or(0, |at| at + 1);
        self.0.truncate(kept);
        self.0.extend_from_slice(end);
        if self.0.len() > Self::MAX_LEN {
            return Err(KeyError);
        }
        if self.0.is_empty() { Ok(()) } else { self.0[changed..].split(|b| *b == 0).try_for_each(check_name) }
    }

    /// Parses a path as a person writes it: components separated by `/`, leading and trailing ones ignored.
    pub fn from_path(path: &[u8]) -> Result<Self, KeyError> {
        path.split(|b| *b == b'/').filter(|name| !name.is_empty()).try_fold(Self::root(), |key, name| key.join(name))
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of `name` in this folder.
    pub fn join(&self, name: &[u8]) -> Result<Self, KeyError> {
        check_name(name)?;
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        if !bytes.is_empty() {
            bytes.push(0);
        }
        bytes.extend_from_slice(name);
        if bytes.len() > Self::MAX_LEN { Err(KeyError) } else { Ok(Self(bytes)) }
    }

    /// The components, from the top.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == 0).filter(|name| !name.is_empty())
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == 0).next().unwrap_or_default()
    }

    /// The folder this is in; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|b| *b == 0).unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// Whether `self` is `folder` or lies below it.
    pub fn is_in(&self, folder: &Self) -> bool {
        match self.0.strip_prefix(folder.0.as_slice()) {
            Some(rest) => folder.is_root() || rest.is_empty() || rest[0] == 0,
            None => false,
        }
    }

    /// The path from `folder` to `self`, where [`Key::is_in`] holds.
    pub fn below(&self, folder: &Self) -> Option<Self> {
        if !self.is_in(folder) {
            return None;
        }
        let rest = &self.0[folder.0.len()..];
        Some(Self(rest.strip_prefix(&[0]).unwrap_or(rest).to_vec()))
    }

    /// Components joined by `/`, as bytes.
    pub fn to_path(&self) -> Vec<u8> {
        self.0.iter().map(|b| if *b == 0 { b'/' } else { *b }).collect()
    }
}

fn check_name(name: &[u8]) -> Result<(), KeyError> {
    let bad = name.is_empty() || name == b"." || name == b".." || name.iter().any(|b| matches!(b, 0 | b'/'));
    if bad { Err(KeyError) } else { Ok(()) }
}

/// For people: what is no UTF-8 is escaped.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("/");
        }
        for chunk in self.to_path().utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            chunk.invalid().iter().try_for_each(|b| write!(f, "\\x{b:02x}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_sorts_directly_before_its_content() {
        let mut keys: Vec<Key> = ["a.txt", "a/b", "a", "a\u{1}", "a/b/c", "b"]
            .iter()
            .map(|p| Key::from_path(p.as_bytes()).unwrap())
            .chain([Key::root()])
            .collect();
        keys.sort();
        let shown: Vec<String> = keys.iter().map(Key::to_string).collect();
        assert_eq!(shown, ["/", "a", "a/b", "a/b/c", "a\\u{1}", "a.txt", "b"]);
    }

    #[test]
    fn names_that_would_leave_the_tree_are_refused() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0b"] {
            assert_eq!(Key::root().join(bad), Err(KeyError));
        }
        assert_eq!(Key::from_bytes(b"a\0\0b".to_vec()), Err(KeyError));
        assert_eq!(Key::from_bytes(b"a\0..".to_vec()), Err(KeyError));
        assert_eq!(Key::from_path(b"a/../b"), Err(KeyError));
        let longest = Key::from_bytes(vec![b'a'; Key::MAX_LEN]).unwrap();
        assert_eq!(longest.join(b"b"), Err(KeyError));
        assert_eq!(Key::from_bytes(vec![b'a'; Key::MAX_LEN + 1]), Err(KeyError));
    }

    #[test]
    fn parents_and_relative_keys() {
        let key = Key::from_path(b"/a/b/c/").unwrap();
        assert_eq!(key.name(), b"c");
        assert_eq!(key.parent().unwrap(), Key::from_path(b"a/b").unwrap());
        assert_eq!(key.below(&Key::from_path(b"a").unwrap()).unwrap(), Key::from_path(b"b/c").unwrap());
        assert!(!Key::from_path(b"ab").unwrap().is_in(&Key::from_path(b"a").unwrap()));
    }
}
