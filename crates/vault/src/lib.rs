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
mod index;
mod keys;
mod lanes;
mod note;
mod pack;
mod repair;
mod report;
mod restore;
mod snapshot;
mod tend;
mod turns;
mod unlock;
mod vault;
mod verify;

pub use backup::{BackupOptions, Reread};
pub use create::{create, create_with};
pub use diff::{Change, Difference};
pub use env::{Clock, Env, NoProgress, Progress, Step, Workers};
pub use error::VaultError;
pub use index::{Index, IndexPlace, IndexedPack, Location, MemoryIndex, SqliteIndex};
pub use keepwell_keys::NewVault;
pub use report::{BackupReport, DamageReport, LostFile, Met, RepairReport, RestoreReport, Trouble, VaultStats, VerifyReport};
pub use restore::{Action, Conflict, Listener, RestoreOptions, Restored};
pub use snapshot::Snapshot;
pub use tend::{ChangeReport, ScrubCursor, ScrubReport, ScrubTrouble};
pub use unlock::Unlock;
pub use vault::{Sealed, Vault};
