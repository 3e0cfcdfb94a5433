//! What can go wrong with a pool, in words for the person who runs it.

use crate::disk::{DiskError, DiskErrorKind};
use crate::object::ObjectName;

/// Why the pool could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// None of the disks has a label.
    #[error("no vault here: none of the {disks} disk folders has a readable label{hint}")]
    NoVault {
        /// Disks looked at.
        disks: usize,
        /// What was found instead.
        hint: String,
    },
    /// Fewer disks than the layout needs.
    #[error(
        "only {present} of the vault's {members} disks can be read, and its layout {layout} needs {needed}: {missing}. \
         Nothing was changed; connect the missing disks and try again"
    )]
    TooFewDisks {
        /// Disks that can be read.
        present: usize,
        /// Disks of the pool.
        members: usize,
        /// Disks needed.
        needed: usize,
        /// The pool's layout.
        layout: String,
        /// The others and what is wrong with them.
        missing: String,
    },
    /// Written by a later release.
    #[error("{disk} belongs to a vault of format version {found}, newer than this program can read; nothing was changed. Update Keepwell")]
    Newer {
        /// The disk.
        disk: String,
        /// Version found.
        found: u16,
    },
    /// Somebody else writes.
    #[error("another Keepwell process is writing to this vault ({disk} is in use); nothing was changed. Wait until it is done")]
    Locked {
        /// The disk whose lock is held.
        disk: String,
    },
    /// A disk of another vault is among them.
    #[error("{disk} belongs to vault {found}, not to vault {vault}; nothing was changed. Take it out, or put the right disk in its place")]
    WrongVault {
        /// The disk.
        disk: String,
        /// Its vault.
        found: String,
        /// This vault.
        vault: String,
    },
    /// A disk holds something that is not ours.
    #[error("{disk} holds files that are not a vault's ({example}); nothing was changed. Move them away, or use an empty disk")]
    Foreign {
        /// The disk.
        disk: String,
        /// One of them.
        example: String,
    },
    /// What a new pool was asked to be makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A change of the pool's disks that would put data at risk, or make no sense.
    #[error("{0}. Nothing was changed")]
    Refused(String),
    /// A change was asked of a pool that was opened for reading.
    #[error("the vault was opened for reading only")]
    ReadAccess,
    /// No space.
    #[error(
        "{disk} is full: {free} free, and {reserve} are kept in reserve. What was being written is not stored; all that was stored \
         before is untouched. Free space on that disk, or use larger disks"
    )]
    Full {
        /// The disk.
        disk: String,
        /// Bytes free, for people.
        free: String,
        /// Bytes in reserve, for people.
        reserve: String,
    },
    /// Not enough disks take writes.
    #[error(
        "only {writable} of {members} disks take writes, too few to keep data safe with layout {layout}: {failures}. \
         What was being written is not stored; all that was stored before is untouched"
    )]
    TooFewWritable {
        /// Disks that take writes.
        writable: usize,
        /// Disks of the pool.
        members: usize,
        /// The pool's layout.
        layout: String,
        /// The others and why they do not.
        failures: String,
    },
    /// No such object.
    #[error("the vault holds no {0}")]
    NoObject(ObjectName),
    /// What came from elsewhere is not the object that was lost.
    #[error("the bytes that came are not {0}: they hash to another id. Nothing was changed")]
    OtherBytes(ObjectName),
    /// Too little is left of an object.
    #[error("{name} is lost: {good} good shards are left, {needed} are needed ({damage})")]
    Lost {
        /// The object.
        name: ObjectName,
        /// Good shards of the layout that has most of them.
        good: usize,
        /// Shards that layout needs.
        needed: usize,
        /// What is wrong with the others.
        damage: String,
    },
    /// More was asked of an object than there is.
    #[error("{name} has {len} bytes; {wanted} at {offset} is past its end")]
    OutOfRange {
        /// The object.
        name: ObjectName,
        /// Its length.
        len: u64,
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        wanted: usize,
    },
    /// A disk failed where nothing could make up for it.
    #[error("{doing}: {}", .source.disk)]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// How it failed.
        #[source]
        source: DiskError,
    },
}

impl PoolError {
    pub(crate) fn disk(doing: &'static str) -> impl Fn(DiskError) -> Self {
        move |source| match source.kind {
            DiskErrorKind::Locked => Self::Locked { disk: source.disk },
            _ => Self::Disk { doing, source },
        }
    }
}

/// A number of bytes for people: `3.2 GiB`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = (0..UNITS.len() - 1).find(|u| bytes >> (10 * (u + 1)) == 0).unwrap_or(UNITS.len() - 1);
    match unit {
        0 => format!("{bytes} bytes"),
        _ => format!("{:.1} {}", bytes as f64 / f64::from(1u32 << 10).powi(unit as i32), UNITS[unit]),
    }
}
