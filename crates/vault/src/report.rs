//! What runs tell when they are over. Counts have their units in their names.

use keepwell_format::manifest::{Outcome, Statistics};
use keepwell_format::{BlobId, Gap, Key, PackId, SnapshotId};

use crate::restore::Action;

/// A file, or a whole part of a tree, that can't be had from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostFile {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its name.
    pub name: String,
    /// First (or only) key that is lost.
    pub key: Key,
    /// Set when a page of the catalog is lost: everything from `key` up to this key (none: to the end).
    pub until: Option<Option<Key>>,
}

/// Something that went wrong with one entry of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Where.
    pub key: Key,
    /// What, in a person's words.
    pub text: String,
}

/// A finished backup.
#[derive(Debug, Clone)]
pub struct BackupReport {
    /// The snapshot it made.
    pub snapshot: SnapshotId,
    /// Complete, partial or held.
    pub outcome: Outcome,
    /// Why it is held; empty if it is not.
    pub held: String,
    /// The first gaps, at most 100; `statistics` counts all.
    pub gaps: Vec<(Key, Gap)>,
    /// The first files that changed while they were read, at most 100.
    pub inconsistent: Vec<Key>,
    /// Counts.
    pub statistics: Statistics,
    /// Objects of the pool that were written with less redundancy than the layout asks for.
    pub degraded_objects: u64,
}

/// A finished restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreReport {
    /// Files written, replaced and renamed ones among them. In a dry run all counts are of what would be.
    pub files: u64,
    /// Folders made.
    pub folders: u64,
    /// Links and special files made.
    pub others: u64,
    /// Bytes of content written, holes not counted; in a dry run the files' sizes.
    pub written_bytes: u64,
    /// Files that took the place of others.
    pub replaced: u64,
    /// Entries that got another name, because theirs was taken.
    pub renamed: u64,
    /// Entries left out, because something was there.
    pub skipped: u64,
    /// The first 1,000 of those three.
    pub met: Vec<Met>,
    /// Entries read back.
    pub compared: u64,
    /// Those that are not as they should be.
    pub differing: u64,
    /// The first 1,000 of them, and what differs.
    pub differences: Vec<Trouble>,
    /// What the account is not able to set, as the target says.
    pub lacking: Vec<String>,
    /// Reads that were healed from redundancy on the way.
    pub healed_reads: u64,
    /// What is not there, or not whole: damage and gaps of the snapshot, and what the target did not take.
    pub missing: Vec<Trouble>,
}

impl RestoreReport {
    /// Whether all that was wanted is there, just as it was.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.differing == 0
    }
}

/// An entry of a restore where something was in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// Where.
    pub key: Key,
    /// What was done about it.
    pub action: Action,
    /// The name it got instead.
    pub renamed: Option<Key>,
    /// Why, where that is not plain.
    pub why: &'static str,
}

/// What a check of the pool's objects found.
#[derive(Debug, Clone, Default)]
pub struct DamageReport {
    /// Objects checked.
    pub objects: u64,
    /// Bytes hashed.
    pub read_bytes: u64,
    /// Objects with damaged or missing shards that can be rebuilt: name and what is wrong.
    pub healable: Vec<(String, String)>,
    /// Objects that can't be put together any more.
    pub lost: Vec<String>,
    /// Disks that are not as they should be: name and why.
    pub disks: Vec<(String, String)>,
    /// Files in the vault's folders that are not the vault's.
    pub foreign: Vec<String>,
}

impl DamageReport {
    /// Whether there is nothing to report.
    pub fn is_clean(&self) -> bool {
        self.healable.is_empty() && self.lost.is_empty() && self.disks.is_empty() && self.foreign.is_empty()
    }
}

/// A finished check.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// The pool's objects.
    pub damage: DamageReport,
    /// Snapshots whose catalogs were walked (with keys).
    pub snapshots: u64,
    /// Entries seen in them.
    pub entries: u64,
    /// Distinct file contents read and hashed (with data).
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Packs that are whole by their hashes, but whose directory can't be read (with keys), and why.
    pub packs_unreadable: Vec<(PackId, String)>,
    /// Manifests that are there but can't be read, or whose signature is wrong: id and why.
    pub snapshots_lost: Vec<(String, String)>,
    /// Tombstones that can't be read, whose signature is wrong (what they made forgotten shows again) or whose reason can't be opened: id and why.
    pub tombstones_damaged: Vec<(String, String)>,
    /// Everything that can't be restored.
    pub files_lost: Vec<LostFile>,
}

impl VerifyReport {
    /// Whether all is as it should be.
    pub fn is_clean(&self) -> bool {
        let all_read = self.packs_unreadable.is_empty() && self.snapshots_lost.is_empty() && self.tombstones_damaged.is_empty();
        all_read && self.damage.is_clean() && self.files_lost.is_empty()
    }
}

/// A finished repair.
#[derive(Debug, Clone, Default)]
pub struct RepairReport {
    /// Objects looked at.
    pub objects: u64,
    /// Objects that have their full redundancy again.
    pub healed: u64,
    /// Shards written for it.
    pub shards_written: u64,
    /// Disks that were empty and belong to the vault now.
    pub disks_adopted: Vec<String>,
    /// Disks that have left: nothing on them is needed.
    pub disks_left: Vec<String>,
    /// Packs beyond repair, moved aside after what was readable had been copied out.
    pub packs_lost: Vec<PackId>,
    /// Packs that were whole by their hashes, but whose directory could not be read (with keys): moved aside likewise.
    pub packs_unusable: Vec<PackId>,
    /// Blobs copied out of them.
    pub blobs_salvaged: u64,
    /// Blobs that are gone.
    pub blobs_lost: Vec<BlobId>,
    /// Everything that can't be restored any more (with keys).
    pub files_lost: Vec<LostFile>,
    /// Snapshots whose manifest is gone.
    pub snapshots_lost: Vec<String>,
    /// What still is not as it should be: missing disks, objects without full redundancy.
    pub remaining: Vec<String>,
}

/// How big the vault is.
#[derive(Debug, Clone, Default)]
pub struct VaultStats {
    /// Packs.
    pub packs: u64,
    /// Their bytes, before redundancy.
    pub pack_bytes: u64,
    /// Bytes on all disks of the pool.
    pub disk_bytes: u64,
    /// Snapshots, without what is forgotten.
    pub snapshots: u64,
    /// Objects with less redundancy than the layout asks for.
    pub degraded_objects: u64,
    /// Disks and their states: name, state, total and free bytes.
    pub disks: Vec<(String, String, u64, u64)>,
    /// With keys: blobs in the index.
    pub blobs: Option<u64>,
    /// With keys: their plaintext bytes.
    pub plain_bytes: Option<u64>,
}
