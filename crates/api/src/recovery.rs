//! What `keepwell-recoverd` is asked and answers: a blank box fetches the vault of a lost one. Shapes only. Asked by the box's own screen; no other program sees a paper on its way there.

use serde::{Deserialize, Serialize};

use crate::Base64;
use crate::disks::Serial;

/// Where recoverd listens.
pub const SOCKET: &str = "/run/keepwell/recoverd.sock";

/// A file with this name on each disk of a pool says that its vault is still being fetched: nothing new may be written to it, or numbers of packs would be given twice. What stands in it changes
/// whenever more of the vault can be read.
pub const COMING: &str = "coming";

/// `POST /v1/recovery`: asks the box that keeps the vault, shows it that two papers are here, and takes the lost box's place. Nothing is written to a disk by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginRecovery {
    /// The code on the sheet of the second site.
    pub place: String,
    /// Where that box is found now, if it is elsewhere than the sheet says: `host:port`.
    #[serde(default)]
    pub address: Option<String>,
    /// The text of two papers.
    pub papers: [Base64; 2],
}

/// Its answer: what the papers open, for keyd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryBegun {
    /// The vault's slots and keyring; none where all of it is here already.
    pub locks: Option<VaultLocks>,
}

/// Slots and keyring of a vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultLocks {
    /// The slots object.
    pub slots: Base64,
    /// The keyring object.
    pub keyring: Base64,
}

/// `POST /v1/recovery/go`: disks are made ready, and the vault comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoOn {
    /// Blank disks; none for those that it was begun with.
    pub disks: Vec<Serial>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecoveryPhase {
    /// Nothing is under way: it was not begun, or it was cut and needs the papers again.
    #[default]
    Idle,
    /// The other box is being asked.
    Asking,
    /// The papers are good there; disks have not been named yet.
    Proven,
    /// Disks are being made ready.
    Disks,
    /// The vault comes.
    Fetching,
    /// All of it is here.
    Done,
}

/// `GET /v1/recovery` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryStatus {
    /// How far it is.
    pub phase: RecoveryPhase,
    /// Of one that was begun and cut: the code that was typed. It holds no secret.
    pub place: Option<String>,
    /// Why it ended, the last time.
    pub failed: Option<String>,
    /// Another box had taken the place since it began here, with two papers.
    pub taken_back: bool,
    /// Shares whose newest snapshot can be restored; the box's own state counts as one.
    pub newest: u64,
    /// Snapshots that can be restored.
    pub whole: u64,
    /// All that there are.
    pub snapshots: u64,
    /// Snapshots of which the other box has lost something.
    pub damaged: u64,
    /// Bytes that have come in this start.
    pub came: u64,
    /// Bytes that were to come when it began in this start: for the newest of each share, and all.
    pub first_bytes: u64,
    /// All of them.
    pub bytes: u64,
    /// Bytes a second; none as long as nothing came.
    pub rate: Option<u64>,
}

/// `POST /v1/pool/recovery` of vaultd, for recoverd alone: blank disks, or those of a recovery that was cut, become a pool for this vault, and stay closed until it is there. A `GET` answers as `GET /v1/pool`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverPool {
    /// The vault that comes.
    pub vault: String,
    /// The disks; none for those that it was begun with.
    pub disks: Vec<Serial>,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPlaces {
    /// Serial number of each disk, and where it is mounted.
    pub disks: Vec<(String, String)>,
}
