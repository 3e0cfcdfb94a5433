//! Disks, and the pool that spreads objects over them as k+m shards (`docs/format.md` 2, 3, 4, 10).
//!
//! Synchronous; knows no key, no time of day and no randomness: ids, seeds and deadlines are passed in. Invariants:
//!
//! 1. An object never changes: its name is the hash of its bytes. Files are only written whole under a temporary name, synced,
//!    renamed, and their folder synced. No final name exists before every shard of the object is durable under a temporary one.
//! 2. [`Pool::commit`] returns `Ok` only when each object has k+1 durable shards on different disks (all of them where the
//!    layout has no parity). With fewer disks the layout narrows; it never becomes bare data shards, but for a mirror's last disk.
//! 3. What the directories list is the truth. The listing in memory follows a commit, never leads it.
//! 4. A reader trusts nothing but checksums: [`Pool::read_object`] returns bytes that hash to the object's id, or an error.
//! 5. A file that is not the vault's is reported and never touched. A disk is only ever labelled when it is empty, or its
//!    shards say that they are this vault's.
//! 6. A shard is removed only when the object is durable in its full layout on disks that stay, when it was never acknowledged, when newer
//!    key slots are durable in the place of old ones, or when a receiver's promise to keep it for another box is over.
//! 7. A disk leaves the pool only when every object is whole without it; one that has left is never written, and never read.
//! 8. With [`Io::Sequential`] the same calls make the same I/O in the same order.

mod coding;
mod deadline;
mod directory;
mod disk;
mod error;
mod faulty;
mod folders;
mod hashed;
mod label;
mod layout;
pub mod life;
mod memory;
mod object;
mod pool;
mod shard;

pub use coding::{EncodedObject, decode, encode_object, missing_data};
pub use deadline::DeadlineDisk;
pub use directory::DirectoryDisk;
pub use disk::{Disk, DiskError, DiskErrorKind, DiskLock, FileInfo, FileKind, Space};
pub use error::PoolError;
pub use faulty::{Condition, FaultyDisk, Machine, Op, OpKind};
pub use folders::{TENANTS, disk_at, disk_folder, disk_number, disks_in, disks_up_to, mounted_in};
pub use hashed::{Hashed, Hashing};
pub use label::{LABEL_FILE, Label, LabelError, Member, Role};
pub use layout::{Layout, LayoutError, SMALL};
pub use memory::{Bytes, Damage, MemoryDisk};
pub use object::{Class, ObjectId, ObjectIdError, ObjectName, ShardName, Spread};
pub use pool::{
    Access, Adopted, Change, ChangePlan, CommitReport, Departure, DiskHealth, DiskState, Io, Narrowing, Pool, PoolHealth, PoolIds,
    ReadOutcome, RepairOutcome, RepairReport, Reserve, ScrubReport, ScrubVerdict, ShardCheck, ShardRef, Staged,
};
pub use shard::{HEADER_LEN, ShardFault, ShardHeader};
