//! What interrupted writes left behind.
//!
//! A commit syncs all temporary shards, with their names, before it renames the first. So a temporary shard beside a final one
//! of the same object and layout is the rest of a commit, and is renamed; any other means nothing, and is removed. A good shard of an
//! object that was set aside as lost is taken back when a returning disk has another one.
//! Then whatever can be seen is made durable before anything leans on it.
//! With read access nothing is touched; the rest of a commit is read where it lies.

use std::collections::BTreeSet;

use super::aside::set_aside_shard;
use super::listing::{Listing, ShardAt};
use super::survey::is_tenants;
use super::{Access, Pool};
use crate::disk::{Disk, DiskError, FileInfo, FileKind};
use crate::label::LABEL_FILE;
use crate::object::{Class, ObjectName, ShardName, TEMP};

/// Temporary files found at open.
#[derive(Default)]
pub(super) struct Leftovers {
    found: Vec<Leftover>,
}

struct Leftover {
    slot: u8,
    folder: &'static str,
    path: String,
    shard: Option<(ObjectName, ShardAt)>,
    /// Else it was set aside: never removed.
    temporary: bool,
}

impl Leftovers {
    /// Reads the directories of a disk into the listing.
    pub(super) fn list_disk(&mut self, slot: u8, disk: &dyn Disk, listing: &mut Listing) -> Result<(), DiskError> {
        let mut folders = Vec::new();
        for class in Class::ALL {
            folders.push((class, disk.list(class.folder())?));
        }
        for file in disk.list("")? {
            let ours = file.name == LABEL_FILE || Class::ALL.iter().any(|class| class.folder() == file.name);
            if file.kind == FileKind::File && file.name.starts_with(TEMP) {
                self.found.push(Leftover { slot, folder: "", path: file.name, shard: None, temporary: true });
            } else if !ours && file.name != "lost+found" && !is_tenants(&file) {
                listing.foreign.push((disk.name().into(), file.name));
            }
        }
        for (class, files) in folders {
            for file in files {
                self.take(slot, disk.name(), class, &file, listing);
            }
        }
        Ok(())
    }

    fn take(&mut self, slot: u8, disk: &str, class: Class, file: &FileInfo, listing: &mut Listing) {
        let at = |shard: ShardName| {
            let at = ShardAt { layout: shard.layout, index: shard.index, slot };
            (ObjectName { class, id: shard.object }, at)
        };
        let path = format!("{}/{}", class.folder(), file.name);
        match (ShardName::parse(&file.name), file.name.strip_prefix(TEMP)) {
            _ if file.kind != FileKind::File => listing.foreign.push((disk.into(), path)),
            (Some(shard), _) => {
                let (name, at) = at(shard);
                listing.insert(name, at);
                *listing.used_bytes.entry(slot).or_default() += file.len;
            }
            (None, Some(rest)) => {
                let shard = rest.split_once('-').and_then(|(_, shard)| ShardName::parse(shard)).map(at);
                self.found.push(Leftover { slot, folder: class.folder(), path, shard, temporary: true });
            }
            (None, None) => match set_aside_shard(&file.name) {
                Some(shard) => {
                    let shard = Some(at(shard));
                    self.found.push(Leftover { slot, folder: class.folder(), path, shard, temporary: false });
                }
                None => listing.foreign.push((disk.into(), path)),
            },
        }
    }
}

/// The name of a shard that is being written.
pub(super) fn temp_path(number: u64, name: ObjectName, at: ShardAt) -> String {
    format!("{}/{TEMP}{number}-{}", name.class.folder(), at.name(name.id))
}

impl Pool {
    /// Finishes or removes interrupted writes. A disk that will not have it gets no writes in this session.
    pub(super) fn settle(&self, leftovers: Leftovers) {
        if self.access == Access::Read {
            return self.overlook(leftovers);
        }
        let mut touched: Vec<(u8, &'static str)> = Vec::new();
        let mut finished = Vec::new();
        for left in leftovers.found {
            let Some(disk) = self.readable(left.slot) else { continue };
            let rest = left.shard.filter(|(name, at)| self.is_rest_of_commit(disk.as_ref(), &left.path, *name, *at));
            let done = match rest {
                Some((name, at)) => disk.rename(&left.path, &at.path(name)),
                None if left.temporary => disk.remove(&left.path),
                None => continue,
            };
            match done {
                Ok(()) => {
                    touched.push((left.slot, left.folder));
                    finished.extend(rest);
                }
                Err(error) => self.mark_failed(left.slot, error),
            }
        }
        let mut listing = self.listing_mut();
        finished.into_iter().for_each(|(name, at)| listing.insert(name, at));
        drop(listing);
        self.harden(touched);
    }

    /// Syncs every folder that lists a shard, and the root of each disk that takes writes: a run that was killed may have left names that can be seen
    /// and are not durable, and this session will lean on them. `touched` are further folders to sync, by slot.
    fn harden(&self, touched: Vec<(u8, &'static str)>) {
        let mut folders: BTreeSet<(u8, &'static str)> = touched.into_iter().collect();
        folders.extend((0..).zip(self.slots().iter()).filter(|(_, slot)| slot.changeable().is_some()).map(|(slot, _)| (slot, "")));
        for (name, entry) in self.listing().entries() {
            folders.extend(entry.shards.iter().map(|at| (at.slot, name.class.folder())));
        }
        for (slot, folder) in folders {
            if let Some(Err(error)) = self.readable(slot).map(|disk| disk.sync_folder(folder)) {
                self.mark_failed(slot, error);
            }
        }
    }

    /// Reads the rest of an interrupted commit where it lies.
    fn overlook(&self, leftovers: Leftovers) {
        for left in leftovers.found {
            let Some(((name, at), disk)) = left.shard.zip(self.readable(left.slot)) else { continue };
            if self.is_rest_of_commit(disk.as_ref(), &left.path, name, at) {
                let mut listing = self.listing_mut();
                listing.insert(name, at);
                listing.unfinished.insert((name, at), left.path);
            }
        }
    }

    fn is_rest_of_commit(&self, disk: &dyn Disk, path: &str, name: ObjectName, at: ShardAt) -> bool {
        let begun = self.listing().get(name).is_some_and(|entry| {
            let same = |other: &&ShardAt| other.layout == at.layout;
            entry.shards.iter().any(|other| same(&other)) && !entry.shards.contains(&at)
        });
        begun && super::recover::load(disk, path, self.vault, name, at).is_ok()
    }
}
