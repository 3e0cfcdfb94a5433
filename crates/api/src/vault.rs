//! What vaultd is asked and what it answers. Shapes only. What reads, restores, changes or deletes needs a grant ([`crate::grants`]), bound to the verb and to
//! the very bytes of the request: so all that such a request is about stands in its body, and nothing in its route.
//!
//! Times are Unix seconds by the box's own reckoning. File names are in answers to granted requests alone.

mod channels;
mod emergency;
mod events;
mod first_pool;
mod kit;
mod pool;
mod reading;
mod restores;
mod rights;
mod screen;
mod support;

pub use channels::*;
pub use emergency::*;
pub use events::Event;
pub use first_pool::*;
pub use kit::*;
pub use pool::*;
pub use reading::*;
pub use restores::*;
pub use rights::*;
pub use screen::*;
use serde::{Deserialize, Serialize};
pub use support::*;

use crate::Base64;
use crate::grants::Verb;

/// Where vaultd listens.
pub const SOCKET: &str = "/run/keepwell/vaultd.sock";
/// With less than this free on the box's own disk, its programs can't be counted on to write what they have to: bytes, and files.
pub const OWN_DISK_LOW: (u64, u64) = (2 << 20, 32);

/// How much a share matters: drives its schedule, its order in a restore, and how soon somebody is told.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Patients are harmed, or the practice stops, without it.
    One,
    /// Needed the same day.
    Two,
    /// All else.
    Three,
}

/// A share that is backed up.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its id: 16 hexadecimal digits.
    pub id: String,
    /// What people call it, and what its snapshots are called.
    pub name: String,
    /// Address without password: `smb://user@host/share`, `nfs://host/export`.
    pub location: String,
    /// How much it matters.
    pub tier: Tier,
    /// A person said that it is not to be backed up for now.
    pub paused: bool,
    /// When it was added.
    pub added_at: i64,
    /// Its run under way.
    pub running: Option<u64>,
    /// Its last run that is over.
    pub last: Option<Run>,
    /// When the copy was taken that a restore would bring back; none if there is none.
    pub newest_copy_at: Option<i64>,
    /// When its next run is due.
    pub next_due: Option<i64>,
    /// Why an account that can write there is used, in the words of who said so; none if it can only read, or its server does not say.
    #[serde(default)]
    pub may_write: Option<String>,
}

/// `POST /v1/shares`, verb `shares-add`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddShare {
    /// What people will call it: 1 to 64 characters, no control characters; unlike all others.
    pub name: String,
    /// Its address.
    pub location: String,
    /// The account's password; kept sealed, never told again.
    #[serde(default)]
    pub password: Option<Base64>,
    /// How much it matters.
    pub tier: Tier,
    /// Why an account that can write there is taken: 10 to 500 characters. Without it, such an account is refused (`can-write`).
    #[serde(default)]
    pub may_write: Option<String>,
}

/// Its answer.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareAdded {
    /// The share's id.
    pub id: String,
}

/// `POST /v1/shares/change`, verb [`ChangeShare::verb`]. What is absent stays.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeShare {
    /// The share's id.
    pub id: String,
    /// A new address of the same tree.
    #[serde(default)]
    pub location: Option<String>,
    /// A new password.
    #[serde(default)]
    pub password: Option<Base64>,
    /// Another tier.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// Whether it is backed up.
    #[serde(default)]
    pub paused: Option<bool>,
    /// As for [`AddShare`], for another address or password.
    #[serde(default)]
    pub may_write: Option<String>,
}

impl ChangeShare {
    /// What it takes, for a share that has this tier now: a lower one promises less.
    pub fn verb(&self, tier: Tier) -> Verb {
        if self.tier.is_some_and(|wanted| wanted > tier) { Verb::PolicyLoosen } else { Verb::SharesChange }
    }
}

/// `POST /v1/shares/remove`, verb `shares-remove`: it is not backed up any more, its password and runs are forgotten; its snapshots stay.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveShare {
    /// The share's id.
    pub id: String,
}

/// Something was done, and there is nothing to tell of it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// What became of a run.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All of it.
    Complete,
    /// All but what the gaps name.
    Partial,
    /// Kept, but not trusted: the source had collapsed or was another one.
    Held,
    /// Nothing came of it.
    Failed,
    /// A person ended it.
    Cancelled,
    /// vaultd or the box stopped in its middle.
    Cut,
}

/// One run of one share.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub id: u64,
    /// The share's id.
    pub share: String,
    /// When it began.
    pub started_at: i64,
    /// When it was over; none while it is under way.
    pub finished_at: Option<i64>,
    /// What became of it; none while it is under way.
    pub outcome: Option<Outcome>,
    /// The snapshot that it made.
    pub snapshot: Option<String>,
    /// A word for programs why it is not complete, such as `password`.
    pub code: Option<String>,
    /// The same in words for a person, without names of files.
    pub why: Option<String>,
    /// Counts; as they are now while it is under way.
    pub counts: Counts,
}

/// Counts of a run.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Files, folders and links.
    pub entries: u64,
    /// Files.
    pub files: u64,
    /// Bytes of all files.
    pub content_bytes: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Bytes that the vault grew by, before redundancy.
    pub stored_bytes: u64,
    /// What could not be read.
    pub gaps: u64,
    /// Files that changed while they were read.
    pub inconsistent: u64,
}

/// `POST /v1/runs`, verb `run-now`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunNow {
    /// The share's id.
    pub share: String,
    /// A person says that what looks collapsed or swapped is meant to be so.
    #[serde(default)]
    pub intended: bool,
}

/// Its answer.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The run, or the restore.
    pub id: u64,
}

/// `POST /v1/runs/cancel`, verb `run-cancel`, and `POST /v1/restores/cancel`, verb `restore`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The run, or the restore.
    pub id: u64,
}

/// `POST /v1/incidents/acknowledge`, verb `incidents-acknowledge`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// The incident.
    pub id: u64,
}

/// `POST /v1/log`, verb `log-read`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadLog {
    /// From this record on.
    pub from: u64,
    /// At most so many, up to 1,000.
    pub limit: u32,
    /// The last so many, whatever `from` says.
    #[serde(default)]
    pub newest: bool,
}

/// One record of the log.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub event: String,
    /// The rest: numbers and words; what is sealed is left out.
    pub fields: std::collections::BTreeMap<String, serde_json::Value>,
}

/// `GET /v1/log/verify` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogVerdict {
    /// Records.
    pub records: u64,
    /// The newest one, and its hash.
    pub head: Option<(u64, String)>,
    /// What is wrong with it, and where; empty if nothing is.
    pub faults: Vec<String>,
}

/// `POST /v1/snapshots`, verb `snapshots-list`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSnapshots {
    /// Only of the share with this name.
    #[serde(default)]
    pub share: Option<String>,
}

/// One snapshot.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// Name of its share.
    pub share: String,
    /// When its run began: the state of the share that it holds is not older.
    pub taken_at: i64,
    /// Complete, partial or held.
    pub outcome: Outcome,
    /// Counts of its run.
    pub counts: Counts,
}

/// `POST /v1/files`, verb `files-list`: what lies directly in a folder.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListFiles {
    /// The snapshot's id.
    pub snapshot: String,
    /// The folder: names with `/` between them; empty for the root.
    #[serde(default)]
    pub path: Base64,
    /// Only what comes after this name.
    #[serde(default)]
    pub after: Option<Base64>,
    /// At most so many, up to 1,000.
    pub limit: u32,
}

/// One entry of a folder.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name, as the server has it.
    pub name: Base64,
    /// `file`, `folder`, `symlink` and so on.
    pub kind: String,
    /// Bytes of a file.
    pub size: Option<u64>,
    /// Last change, Unix seconds.
    pub changed_at: Option<i64>,
    /// It changed while it was read.
    pub inconsistent: bool,
    /// Why it is missing, or not whole.
    pub gap: Option<String>,
}

/// Its answer.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// In the order of their names.
    pub files: Vec<File>,
    /// Whether there are more.
    pub more: bool,
}

/// What keeps the vault from being used.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unready {
    /// `locked`, `no-pool`, `keyd-silent`, `damaged`.
    pub code: String,
    /// In words.
    pub text: String,
}

/// `GET /v1/vault` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultState {
    /// This start of vaultd's box, as in grants: 32 hexadecimal digits.
    pub boot: String,
    /// Its id, once it is open.
    pub vault: Option<String>,
    /// Why it is not open.
    pub unready: Option<Unready>,
    /// Snapshots.
    pub snapshots: u64,
    /// Bytes on all disks.
    pub stored_bytes: u64,
    /// Bytes free on all disks together.
    pub free_bytes: u64,
    /// Objects with less redundancy than they should have.
    pub degraded_objects: u64,
    /// Disks, and what is wrong with each; empty if nothing is.
    pub disks: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_tier_takes_the_right_to_loosen() {
        let to = |tier| ChangeShare { tier, ..ChangeShare::default() };
        assert_eq!(to(Some(Tier::Three)).verb(Tier::One), Verb::PolicyLoosen);
        assert_eq!(to(Some(Tier::One)).verb(Tier::Two), Verb::SharesChange);
        assert_eq!(to(Some(Tier::Two)).verb(Tier::Two), Verb::SharesChange);
        assert_eq!(to(None).verb(Tier::One), Verb::SharesChange);
    }
}
