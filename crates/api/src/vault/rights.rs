//! What the account of a share may do there, as its server says: asked before the share is taken, and never tried out. Shapes only; no file or folder is named.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Base64;

/// Fewest characters of the reason why an account that can write is taken.
pub const REASON_MIN: usize = 10;
/// Most of them.
pub const REASON_MAX: usize = 500;

/// `POST /v1/shares/check`, verb `shares-add`: signs in and looks. Keeps nothing, writes nothing there, takes at most 45 seconds.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckShare {
    /// Its address: `smb://user@host/share`, `nfs://host/export`.
    pub location: String,
    /// The account's password; used once, not kept.
    #[serde(default)]
    pub password: Option<Base64>,
}

/// Whether the account could change what is to be backed up.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rights {
    /// Nothing that was looked at can be changed by it.
    ReadOnly,
    /// It can: so could a thief who has this box, or its password.
    CanWrite,
    /// The server does not say.
    Unknown,
}

/// Something that the account may do besides reading.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum May {
    /// Make files or folders.
    Add,
    /// Change files or their attributes.
    Write,
    /// Delete or rename.
    Delete,
    /// Change who may do what: then it may do all the rest.
    ChangeRights,
}

impl May {
    /// In words that go on from "it may".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Add => "add files",
            Self::Write => "change files",
            Self::Delete => "delete",
            Self::ChangeRights => "change who may do what",
        }
    }
}

impl fmt::Display for May {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What `POST /v1/shares/check` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareChecked {
    /// Whether it could change something.
    pub rights: Rights,
    /// What; empty unless it can write.
    pub may: Vec<May>,
    /// Files and folders of those asked about where it may.
    pub changeable: u64,
    /// Files and folders whose rights were asked: the root, and the first 50 folders and 50 files below it.
    pub asked: u64,
    /// Entries that were seen while looking for them.
    pub entries: u64,
    /// The server and the way there.
    pub server: ServerFacts,
}

/// A server, and how it is reached.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `SMB 3.1.1`, `NFS 3`.
    pub protocol: String,
    /// How it is protected on the way: `encrypted, AES-128-GCM`, `signed, ...`, `not protected`.
    pub protection: String,
    /// What the server says it is, where it does.
    pub id: Option<String>,
    /// The file system behind it, as the server calls it.
    pub file_system: Option<String>,
    /// What should be put right there, in words for a person, the worst first.
    pub findings: Vec<String>,
}
