//! The vault engine: chunks, packs, index, catalog, snapshots, restore, verify, repair.
//!
//! Synchronous. One coordinator takes each decision and makes each call to the pool; workers are pure functions whose results
//! are taken in the order of submission. The engine reads no clock and makes no random numbers: [`Env`] and the caller bring them.
//! It never sees a network, and never a disk but through `keepwell_storage`.

mod backup;
mod blobs;
mod catalog;
mod chunker;
mod create;
mod diff;
mod env;
mod error;
#[cfg(test)]
mod fixture;
mod forget;
mod given;
mod heal;
mod index;
mod keys;
mod lanes;
mod note;
mod pack;
mod part;
mod read;
mod repair;
mod report;
mod restore;
mod search;
mod snapshot;
mod squeeze;
mod tend;
mod tomb;
mod turns;
mod unlock;
mod vault;
mod verify;

pub use backup::{BackupOptions, Reread};
pub use create::{create, create_with, has_locks};
pub use diff::{Change, Difference};
pub use env::{Clock, Env, NoProgress, Progress, Step, Workers};
pub use error::VaultError;
pub use forget::ForgetReport;
pub use given::GivenFiles;
pub use heal::Healed;
pub use index::{Index, IndexPlace, IndexedPack, Location, MemoryIndex, SqliteIndex};
pub use keepwell_keys::NewVault;
pub use read::{Below, StoredFile};
pub use report::{BackupReport, DamageReport, LostFile, Met, RepairReport, RestoreReport, Trouble, VaultStats, VerifyReport};
pub use restore::{Action, Conflict, Listener, Mark, RestoreOptions, Restored, Resumed};
pub use search::{Found, Needle};
pub use snapshot::{Manifests, Snapshot};
pub use tend::{ChangeReport, MendCursor, Mended, ScrubCursor, ScrubReport, ScrubTrouble};
pub use tomb::Forgotten;
pub use unlock::Unlock;
pub use vault::{Sealed, Vault};
