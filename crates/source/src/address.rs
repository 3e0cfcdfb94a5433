//! What a person writes for a tree, and the doors that lead there. Never holds or tells a password.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use keepwell_format::Key;
use keepwell_format::port::Source;

use crate::url::strip_scheme;
use crate::{
    AsOf, LocalSource, LocalTarget, NfsSource, NfsTarget, NfsUrl, Opening, RestoreTarget, SmbSource, SmbTarget, SmbUrl, SourceError,
};

/// Where a tree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A folder of an SMB share.
    Smb(SmbUrl),
    /// A folder of an NFS export.
    Nfs(NfsUrl),
}

impl Address {
    /// A URL with the scheme `smb:` or `nfs:`, or a path.
    ///
    /// # Errors
    /// [`SourceError::Url`] if it is such a URL and can't be read.
    pub fn parse(text: &OsStr) -> Result<Self, SourceError> {
        // What is no UTF-8 turns into U+FFFD, which no one means in a URL; a path is taken as it is.
        let url = text.to_string_lossy();
        if strip_scheme(&url, "smb:").is_some() {
            SmbUrl::parse(&url).map(Self::Smb)
        } else if strip_scheme(&url, "nfs:").is_some() {
            NfsUrl::parse(&url).map(Self::Nfs)
        } else {
            Ok(Self::Folder(text.into()))
        }
    }

    /// Whether it takes a password to get in.
    pub fn needs_password(&self) -> bool {
        matches!(self, Self::Smb(_))
    }

    /// A name for snapshots of it: the last part of the path, or the share's.
    pub fn name(&self) -> String {
        let of = |name: &[u8]| Key::root().join(name).map(|key| key.to_string()).ok();
        let name = match self {
            Self::Folder(path) => whole(path).file_name().and_then(|name| of(name.as_encoded_bytes())),
            Self::Smb(url) => Some(url.path.last().unwrap_or(&url.share).clone()),
            Self::Nfs(url) => {
                of(url.path.last().map_or_else(|| url.export.rsplit(|b| *b == b'/').next().unwrap_or_default(), Vec::as_slice))
            }
        };
        name.unwrap_or_else(|| "root".into())
    }

    /// The path or URL, without secrets.
    pub fn location(&self) -> String {
        match self {
            Self::Folder(path) => whole(path).to_string_lossy().into_owned(),
            Self::Smb(url) => url.to_string(),
            Self::Nfs(url) => url.to_string(),
        }
    }

    /// Opens it for reading. Only shares have passwords and snapshots.
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn open_source(&self, password: Option<&str>, as_of: AsOf) -> Result<Box<dyn Source>, SourceError> {
        match self {
            Self::Smb(url) => Ok(Box::new(SmbSource::connect(url, self.password(password)?, as_of)?)),
            _ if as_of != AsOf::Live => Err(SourceError::NoSnapshots { location: self.location() }),
            Self::Folder(path) => Ok(Box::new(LocalSource::open(path)?)),
            Self::Nfs(url) => Ok(Box::new(NfsSource::connect(url)?)),
        }
    }

    /// Opens it for writing what is restored.
    ///
    /// # Errors
    /// [`SourceError`]; [`SourceError::NotEmpty`] if it must be and is not.
    pub fn open_target(&self, password: Option<&str>, opening: Opening) -> Result<Box<dyn RestoreTarget>, SourceError> {
        Ok(match (self, opening) {
            (Self::Folder(path), Opening::Empty) => Box::new(LocalTarget::create(path)?),
            (Self::Folder(path), Opening::Merge) => Box::new(LocalTarget::merge(path)?),
            (Self::Folder(path), Opening::Preview { empty }) => Box::new(LocalTarget::preview(path, empty)?),
            (Self::Smb(url), _) => Box::new(SmbTarget::connect(url, self.password(password)?, opening)?),
            (Self::Nfs(url), _) => Box::new(NfsTarget::connect(url, opening)?),
        })
    }

    pub(crate) fn password<'p>(&self, password: Option<&'p str>) -> Result<&'p str, SourceError> {
        password.ok_or_else(|| SourceError::NoPassword { location: self.location() })
    }
}

fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, SourceError> {
        Address::parse(OsStr::new(text))
    }

    #[test]
    fn schemes_tell_shares_from_folders() {
        assert!(matches!(parse("SMB://u@h/s"), Ok(Address::Smb(_))));
        assert!(matches!(parse("nfs://h/s?version=4.1"), Ok(Address::Nfs(_))));
        assert!(matches!(parse("/srv/smb:/x"), Ok(Address::Folder(_))));
        for bad in ["smb:/h/s", "smb:", "Nfs:x"] {
            assert!(matches!(parse(bad), Err(SourceError::Url { .. })), "{bad}");
        }
    }

    #[test]
    fn names_come_from_the_last_part() {
        for (text, name) in [
            ("smb://u@h/Daten", "Daten"),
            ("smb://u@h/Daten/R%C3%B6ntgen/", "Röntgen"),
            ("nfs://h/srv/export", "export"),
            ("nfs://h/srv?path=a/b%ff", "b\\xff"),
            ("nfs://h/", "root"),
            ("/no/such/folder", "folder"),
            ("/", "root"),
        ] {
            assert_eq!(parse(text).unwrap().name(), name, "{text}");
        }
    }

    #[test]
    fn only_shares_have_snapshots() {
        let location = |error: SourceError| matches!(error, SourceError::NoSnapshots { .. });
        assert!(parse("/").unwrap().open_source(None, AsOf::Latest).map(|_| ()).is_err_and(location));
    }
}
