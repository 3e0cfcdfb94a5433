//! What is read from snapshots: files and folders as bytes, names, versions, what differs. Shapes only.
//!
//! Paths are names with `/` between them, empty for the root, as the server spelled them: bytes that need not be UTF-8.

use serde::{Deserialize, Serialize};

use super::File;
use crate::Base64;

/// `POST /v1/files/content`, verb `download`: one file. The answer is its bytes, `application/octet-stream`, with their number.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// The snapshot's id.
    pub snapshot: String,
    /// The file.
    pub path: Base64,
}

/// `POST /v1/files/zip`, verb `download`: files and folders with all that is in them. The answer is a ZIP archive (APPNOTE 6.3.10, ZIP64 where needed) that is made
/// while it is sent; its last entry, `keepwell-receipt.txt`, names what is missing from it. Rights, owners, streams and links are lost.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownloadZip {
    /// The snapshot's id.
    pub snapshot: String,
    /// What is wanted: 1 to 200 of one folder.
    pub paths: Vec<Base64>,
}

/// `POST /v1/files/search`, verb `files-list`: entries whose name holds a text, whatever the case of its letters.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchFiles {
    /// The snapshot's id.
    pub snapshot: String,
    /// Only in this folder and below.
    #[serde(default)]
    pub path: Base64,
    /// The text: 2 to 100 characters.
    pub text: Base64,
    /// At most so many, up to 200.
    pub limit: u32,
}

/// An entry, and where it is.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The folder it is in.
    pub folder: Base64,
    /// The entry.
    pub file: File,
}

/// `POST /v1/files/search` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundFiles {
    /// In the order of the catalog.
    pub found: Vec<Found>,
    /// Whether there are more, or may be: the search took too long and was ended.
    pub more: bool,
    /// Whether a part of the catalog can't be read any more, so that what was in it is not found.
    #[serde(default)]
    pub damaged: bool,
}

/// `POST /v1/files/versions`, verb `files-list`: what all snapshots of a share have at one path.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListVersions {
    /// Name of the share.
    pub share: String,
    /// The path.
    pub path: Base64,
}

/// One version of a file: the same bytes in one snapshot or in several that follow one another.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The newest snapshot that has it so.
    pub snapshot: String,
    /// When that one was taken.
    pub taken_at: i64,
    /// When the oldest one was taken that has it so.
    pub first_taken_at: i64,
    /// In how many snapshots.
    pub snapshots: u32,
    /// The entry; none where the path was absent in between.
    pub file: Option<File>,
}

/// `POST /v1/files/versions` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Newest first, at most 1,000.
    pub versions: Vec<Version>,
    /// There may be others: older ones, or in snapshots that could not be read.
    #[serde(default)]
    pub more: bool,
}

/// `POST /v1/snapshots/compare`, verb `files-list`: what differs between two snapshots.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareSnapshots {
    /// The earlier one's id.
    pub older: String,
    /// The later one's id.
    pub newer: String,
    /// Only in this folder and below.
    #[serde(default)]
    pub path: Base64,
    /// Only what comes after this path.
    #[serde(default)]
    pub after: Option<Base64>,
    /// At most so many, up to 1,000.
    pub limit: u32,
}

/// How an entry differs.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only in the later one.
    Added,
    /// Only in the earlier one.
    Removed,
    /// Another kind, or other bytes.
    Content,
    /// The same bytes with other times, owner, rights or attributes.
    Metadata,
}

/// An entry that differs.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Its path.
    pub path: Base64,
    /// How.
    pub change: Change,
}

/// `POST /v1/snapshots/compare` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// In the order of the catalog.
    pub changes: Vec<Changed>,
    /// Whether there are more.
    pub more: bool,
}

/// `POST /v1/runs/gaps`, verb `files-list`: what a run could not read.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListGaps {
    /// The run.
    pub run: u64,
}

/// Something that a run could not read.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its path.
    pub path: Base64,
    /// Why, in words.
    pub why: String,
}

/// `POST /v1/runs/gaps` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// The first ones: a snapshot's manifest names 100.
    pub gaps: Vec<Gap>,
    /// How many there are.
    pub total: u64,
}
