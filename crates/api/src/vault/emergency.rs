//! The downtime share: the last good copies of all tier 1 shares, to be read on the practice's network for some hours while its own servers are down. Shapes only.
//!
//! Opening takes a grant; whoever has the secret that it gives reads without one until it is closed. Times are Unix seconds by the box's own reckoning; it closes by
//! the time that has passed, whatever happens to clocks.

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::Base64;

/// The name that goes with the secret where a name is asked for.
pub const EMERGENCY_USER: &str = "downtime";
/// Who opens with the sealed code, at the box's own screen.
pub const BREAK_GLASS: &str = "break-glass";
/// No opening lasts longer, hours.
pub const EMERGENCY_HOURS_MAX: u8 = 4;

/// `POST /v1/emergency/open`, verb `emergency-open`. One that is open already is closed by it, and its secret is void.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenEmergency {
    /// Why, in a person's words: 3 to 500 characters. Goes into the log, sealed.
    pub reason: String,
    /// For how many hours: 1 to 4.
    pub hours: u8,
}

/// Its answer.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyOpened {
    /// Its number; what was opened before has a lower one.
    pub id: u64,
    /// Four groups of five letters and digits with `-` between them, UTF-8: the password of [`EMERGENCY_USER`]. Told this once.
    pub secret: Base64,
    /// When it closes by itself.
    pub until: i64,
    /// What can be read.
    pub shares: Vec<EmergencyShare>,
    /// Names of tier 1 shares that have no good copy.
    pub without_copy: Vec<String>,
}

/// A share that can be read, as it was then.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyShare {
    /// Its name.
    pub share: String,
    /// The snapshot that is shown: the newest good one when it was opened.
    pub snapshot: String,
    /// When its run began.
    pub taken_at: i64,
    /// Complete or partial.
    pub outcome: Outcome,
}

/// `POST /v1/emergency/close`, verb `emergency-open` or `incidents-acknowledge`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseEmergency {
    /// Which.
    pub id: u64,
}

/// `GET /v1/emergency` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyState {
    /// What is open now.
    pub open: Option<EmergencyNow>,
    /// Tier 1 shares that an opening would show now; none while something is open.
    pub ready: Vec<EmergencyShare>,
    /// Names of tier 1 shares that have no good copy; none while something is open.
    pub without_copy: Vec<String>,
    /// Openings that are over and that nobody has looked at yet: numbers.
    pub to_review: Vec<u64>,
    /// Whom to call on the worst day: a line each, as an owner wrote them.
    #[serde(default)]
    pub call: Vec<String>,
    /// Since when old copies are not forgotten, because somebody froze them.
    #[serde(default)]
    pub frozen: Option<Frozen>,
}

/// That nothing old is forgotten.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Who froze it.
    pub by: String,
    /// When.
    pub at: i64,
}

/// Most lines of whom to call.
pub const CALL_LINES_MAX: usize = 12;
/// Longest of them, characters.
pub const CALL_LINE_MAX: usize = 120;

/// `POST /v1/emergency/call`, verb `settings-change`, owners only: whom to call on the worst day, in place of what was there.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetCall {
    /// At most [`CALL_LINES_MAX`], of 1 to [`CALL_LINE_MAX`] characters.
    pub lines: Vec<String>,
}

/// `POST /v1/deletions/freeze`, verb `deletions-freeze`, and `POST /v1/deletions/thaw`, verb `deletions-thaw`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deletions {}

/// What is open, without its secret.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyNow {
    /// Its number.
    pub id: u64,
    /// Who opened it; `break-glass` for whoever had the sealed code at the box's own screen.
    pub by: String,
    /// When.
    pub opened_at: i64,
    /// When it closes by itself.
    pub until: i64,
    /// Files that were opened since, one that was opened again within ten minutes counted once.
    pub files_opened: u64,
    /// What can be read.
    pub shares: Vec<EmergencyShare>,
}

/// What each reading shows in place of a grant.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmergencyKey {
    /// Which opening.
    pub id: u64,
    /// Its secret, as it was told.
    pub secret: Base64,
    /// Address of whoever asks, as the console sees it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub from: Option<std::net::IpAddr>,
}

/// `POST /v1/emergency/entry`: one file or folder. Answers a [`super::File`].
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmergencyEntry {
    /// In place of a grant.
    pub key: EmergencyKey,
    /// One of the snapshots that are shown.
    pub snapshot: String,
    /// Names with `/` between them; empty for the root.
    pub path: Base64,
}

/// `POST /v1/emergency/files`: what lies directly in a folder. Answers [`super::Files`].
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmergencyFiles {
    /// In place of a grant.
    pub key: EmergencyKey,
    /// One of the snapshots that are shown.
    pub snapshot: String,
    /// As in [`super::ListFiles`].
    #[serde(default)]
    pub path: Base64,
    /// Only what comes after this name.
    #[serde(default)]
    pub after: Option<Base64>,
    /// At most so many, up to 1,000.
    pub limit: u32,
}

/// `POST /v1/emergency/content`: bytes of a file, from `offset` on. Fewer where the file ends; none beyond its end.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmergencyContent {
    /// In place of a grant.
    pub key: EmergencyKey,
    /// One of the snapshots that are shown.
    pub snapshot: String,
    /// The file.
    pub path: Base64,
    /// First byte.
    #[serde(default)]
    pub offset: u64,
    /// Most bytes; all to the end if absent.
    #[serde(default)]
    pub length: Option<u64>,
}
