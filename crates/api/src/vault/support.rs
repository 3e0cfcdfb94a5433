//! `POST /v1/support-bundle`, verb `support-bundle`: what somebody who helps needs to know. Shapes only. No name of a share, file, folder, host, user or patient is in it:
//! shares are their ids, all else is codes, counts and times.

use serde::{Deserialize, Serialize};

use super::{Counts, LogVerdict, Outcome, Tier, VaultState};

/// The whole document.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupportBundle {
    /// When it was made, Unix seconds as the box reckons.
    pub made_at: i64,
    /// Release of vaultd.
    pub version: String,
    /// The vault, its disks by what the pool calls them, and the start of the machine.
    pub vault: VaultState,
    /// As `GET /v1/status` has it, with ids in place of the shares' names.
    pub status: serde_json::Value,
    /// The shares.
    pub shares: Vec<ShareFacts>,
    /// The newest runs, newest first.
    pub runs: Vec<RunFacts>,
    /// Incidents, open ones and those that are over.
    pub incidents: Vec<IncidentFacts>,
    /// Messages that wait to be sent.
    pub unsent: u64,
    /// The log.
    pub log: LogVerdict,
    /// What diskd measures; none where it can't be asked.
    pub vitals: Option<serde_json::Value>,
    /// Bytes of memory that vaultd has, as the kernel counts them; none where it does not say.
    pub memory_bytes: Option<u64>,
}

/// A share without its name and address.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareFacts {
    /// Its id.
    pub id: String,
    /// How it is spoken to: `smb` or `nfs`.
    pub protocol: String,
    /// How much it matters.
    pub tier: Tier,
    /// Whether it is not backed up for now.
    pub paused: bool,
    /// When it was added.
    pub added_at: i64,
    /// When its newest good copy was taken.
    pub newest_copy_at: Option<i64>,
}

/// A run without words.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Its number.
    pub id: u64,
    /// The share's id.
    pub share: String,
    /// When it began.
    pub started_at: i64,
    /// When it was over.
    pub finished_at: Option<i64>,
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// A word why it is not complete.
    pub code: Option<String>,
    /// Its counts.
    pub counts: Counts,
}

/// An incident without words.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentFacts {
    /// Its number.
    pub id: u64,
    /// The kind of promise that is broken.
    pub duty: String,
    /// A word for how.
    pub code: String,
    /// How bad it was at its worst.
    pub worst: String,
    /// When it was opened.
    pub opened_at: i64,
    /// Whether it is over.
    pub closed: bool,
}
