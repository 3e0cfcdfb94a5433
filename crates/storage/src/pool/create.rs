//! Makes a pool out of empty disks. Refuses every disk that holds anything, before it touches one.

use std::sync::Arc;

use super::{Access, Io, Pool, Reserve, Slot, survey};
use crate::disk::{Disk, DiskError};
use crate::error::PoolError;
use crate::label::{LABEL_FILE, Label, Member, Role};
use crate::layout::Layout;
use crate::object::{Class, TEMP};
use survey::{DiskState, Finding};

/// Random ids that the caller brings.
#[derive(Debug, Clone)]
pub struct PoolIds {
    /// Of the vault.
    pub vault: [u8; 16],
    /// Of the disks, in slot order.
    pub disks: Vec<[u8; 16]>,
}

impl Pool {
    /// Makes a pool and opens it for writing. The disks are given in slot order.
    pub fn create(disks: Vec<Arc<dyn Disk>>, ids: PoolIds, layout: Layout) -> Result<Self, PoolError> {
        let labels = labels(disks.len(), &ids, layout)?;
        let mut locks = Vec::new();
        for disk in &disks {
            locks.push(disk.lock().map_err(PoolError::disk("a disk can't be used for a new vault"))?);
        }
        disks.iter().try_for_each(|disk| check_empty(disk.as_ref()))?;
        let mut slots = Vec::new();
        for ((disk, label), lock) in disks.into_iter().zip(&labels).zip(locks) {
            prepare(disk.as_ref(), label).map_err(PoolError::disk("a disk can't be made ready for a new vault"))?;
            slots.push(Slot {
                id: label.disk,
                role: Role::Active,
                name: disk.name().into(),
                disk: Some(disk),
                state: DiskState::Present,
                note: String::new(),
                failed: None,
                generation: label.generation,
                lock: Some(lock),
            });
        }
        Ok(Self {
            vault: ids.vault,
            layout: layout.into(),
            access: Access::Write,
            io: Io::Parallel,
            reserve: Reserve::default(),
            slots: slots.into(),
            strays: std::sync::Mutex::default(),
            listing: std::sync::RwLock::default(),
            temps: std::sync::atomic::AtomicU64::default(),
            lost: std::sync::Mutex::default(),
        })
    }
}

/// Makes the folders, and at last the label: a disk with a label is complete.
pub(super) fn prepare(disk: &dyn Disk, label: &Label) -> Result<(), DiskError> {
    Class::ALL.iter().try_for_each(|class| disk.make_folder(class.folder()))?;
    disk.sync_folder("")?;
    write_label(disk, label)
}

/// Replaces the label as a whole: temporary name, sync, rename, sync of the directory.
pub(super) fn write_label(disk: &dyn Disk, label: &Label) -> Result<(), DiskError> {
    let temp = format!("{TEMP}{LABEL_FILE}");
    disk.write(&temp, &[&label.encode()])?;
    disk.sync_file(&temp)?;
    disk.rename(&temp, LABEL_FILE)?;
    disk.sync_folder("")
}

fn labels(disks: usize, ids: &PoolIds, layout: Layout) -> Result<Vec<Label>, PoolError> {
    if disks < usize::from(layout.width()) || disks > 255 {
        let need = layout.width();
        return Err(PoolError::Invalid(format!("layout {layout} needs at least {need} disks (and at most 255), not {disks}")));
    }
    let mut distinct = ids.disks.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() != disks || ids.disks.len() != disks {
        return Err(PoolError::Invalid(format!("{disks} disks need as many different ids")));
    }
    let members: Vec<Member> = ids.disks.iter().copied().map(Member::active).collect();
    let label = |disk: &[u8; 16]| Label { vault: ids.vault, disk: *disk, layout, generation: 1, members: members.clone() };
    Ok(ids.disks.iter().map(label).collect())
}

pub(super) fn check_empty(disk: &dyn Disk) -> Result<(), PoolError> {
    let name = disk.name().to_owned();
    match survey::look(disk) {
        Finding::Empty => Ok(()),
        Finding::Unreachable(why) => Err(PoolError::Invalid(format!("{name} can't be used for a new vault: {why}"))),
        Finding::Foreign(example) => Err(PoolError::Foreign { disk: name, example }),
        Finding::Unlabelled => Err(PoolError::Foreign { disk: name, example: "folders of a vault, with files".into() }),
        Finding::Label(_) | Finding::Newer { .. } | Finding::Damaged => {
            Err(PoolError::Foreign { disk: name, example: format!("the label of a vault, {LABEL_FILE}") })
        }
    }
}
