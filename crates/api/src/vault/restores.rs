//! Restores: what is ordered, how one stands, and how one goes on.

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::Base64;

/// What happens where a restore meets something.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conflict {
    /// The target has to be empty.
    #[default]
    Refuse,
    /// What is there stays.
    Skip,
    /// It is replaced.
    Replace,
    /// What is restored gets another name.
    Rename,
    /// The newer one stays.
    Newer,
}

/// `POST /v1/restores`, verb `restore`. Written back by a process of its own with the account given here, which is used once and not kept.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The snapshot's id.
    pub snapshot: String,
    /// Only what lies here; all if empty.
    #[serde(default)]
    pub path: Base64,
    /// Where to, with the account that may write: `smb://writer@host/share/folder`; or `usb:SERIAL`, a disk that was prepared to be taken away, whole snapshots only.
    pub to: String,
    /// Its password.
    #[serde(default)]
    pub password: Option<Base64>,
    /// Where something is there already.
    #[serde(default)]
    pub conflict: Conflict,
    /// Nothing is written: what would be?
    #[serde(default)]
    pub dry_run: bool,
}

/// `GET /v1/restores/{id}` answers; `GET /v1/restores` a list of them.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreState {
    /// Its number.
    pub id: u64,
    /// The snapshot's id; empty for a test of several.
    pub snapshot: String,
    /// Where to; empty for a test, which goes to a place of the box's own.
    pub to: String,
    /// Who wanted it.
    pub by: String,
    /// When it began.
    pub started_at: i64,
    /// When it was over.
    pub finished_at: Option<i64>,
    /// What became of it: complete, partial, failed, cancelled or cut.
    pub outcome: Option<Outcome>,
    /// Why it is not complete.
    pub why: Option<String>,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// Files written, or that would be.
    pub files: u64,
    /// Bytes of them.
    pub written_bytes: u64,
    /// Entries read back.
    pub compared: u64,
    /// Those that are not as in the backup.
    pub differing: u64,
    /// Entries that are not there or not whole.
    pub missing: u64,
    /// Entries left out because something was there.
    pub skipped: u64,
    /// What it waits for, being neither over nor at work.
    #[serde(default)]
    pub waits: Option<Waits>,
    /// When it is tried again by itself.
    #[serde(default)]
    pub retry_at: Option<i64>,
    /// How often it was cut and went on.
    #[serde(default)]
    pub resumed: u32,
}

/// What a restore that was cut waits for.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// The password of the account that writes, which is kept nowhere: `POST /v1/restores/resume`.
    Password,
    /// The server, or the program that speaks to it. It is tried again at `retry_at`, for half an hour.
    Server,
}

/// `POST /v1/restores/resume`, verb `restore`: goes on with a restore that waits for its password.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRestore {
    /// The restore.
    pub id: u64,
    /// Of the account that it began with.
    #[serde(default)]
    pub password: Option<Base64>,
}
