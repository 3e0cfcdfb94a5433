//! Checks a vault. Without keys: every shard and object by its hash. With keys: manifests, catalogs, and that each file's blobs are there;
//! with data: every file read, opened, and hashed. Reads only. Names exactly what is lost.

use std::collections::{HashMap, HashSet};

use keepwell_format::node::Content;
use keepwell_format::{BlobId, Key, Kind, Node, PackId};
use keepwell_storage::{Class, DiskHealth, ObjectName, Pool, PoolHealth, ScrubReport, ScrubVerdict};

use crate::VaultError;
use crate::blobs::BlobReader;
use crate::catalog::{Damage, Visit, for_each_extent, is_damage, walk_pages};
use crate::chunker::ContentHasher;
use crate::env::{Progress, Step};
use crate::index::unreadable;
use crate::report::{DamageReport, LostFile, VerifyReport};
use crate::snapshot::{self, Loaded, Snapshot};
use crate::vault::{Sealed, Vault, describe};

/// Classes of objects a vault has.
pub(crate) const CLASSES: [Class; 5] = [Class::Slots, Class::Keyring, Class::Tombstone, Class::Manifest, Class::Pack];

impl Sealed {
    /// Checks every object of the pool by its hashes.
    pub fn verify(&self, progress: &dyn Progress) -> Result<VerifyReport, VaultError> {
        Ok(VerifyReport { damage: scrub(&self.pool, progress)?.0, ..VerifyReport::default() })
    }
}

impl Vault {
    /// Checks the pool and all snapshots; with `data`, every file of them.
    pub fn verify(&self, data: bool, progress: &dyn Progress) -> Result<VerifyReport, VaultError> {
        let (damage, lost) = scrub(&self.pool, progress)?;
        let mut report = VerifyReport { damage, ..VerifyReport::default() };
        let unreadable = unreadable(&self.pool, &self.keys)?.into_iter();
        report.packs_unreadable = unreadable.map(|pack| (pack.id, pack.why)).collect();
        let Loaded { snapshots, lost: snapshots_lost, tombs } = snapshot::load_all(&self.pool, &self.keys)?;
        report.snapshots_lost = snapshots_lost;
        report.tombstones_damaged = tombs.damaged;
        let unopened = self.forgotten()?.into_iter().filter_map(|one| Some((one.tombstone.to_string(), one.reason.err()?)));
        report.tombstones_damaged.extend(unopened);
        let reader = self.reader();
        let mut check = Check::new(&reader, lost, data);
        let step = if data { Step::Data } else { Step::Catalogs };
        progress.begin(step, snapshots.iter().map(|s| s.body.statistics.entries).sum(), 0);
        for snapshot in snapshots.iter().rev() {
            check.snapshot(snapshot, &mut report, progress)?;
            report.snapshots += 1;
        }
        Ok(report)
    }
}

/// Hashes everything. Also tells the packs that can't be put together any more.
pub(crate) fn scrub(pool: &Pool, progress: &dyn Progress) -> Result<(DamageReport, HashSet<PackId>), VaultError> {
    let names: Vec<ObjectName> =
        CLASSES.into_iter().flat_map(|class| pool.objects(class).into_iter().map(move |id| ObjectName { class, id })).collect();
    progress.begin(Step::Scrub, names.len() as u64, 0);
    let mut report = DamageReport::default();
    let mut lost = HashSet::new();
    for name in names {
        let found = pool.scrub(name)?;
        report.objects += 1;
        report.read_bytes += found.read_bytes;
        match found.verdict {
            ScrubVerdict::Whole => {}
            ScrubVerdict::Degraded => report.healable.push((name.to_string(), faults(&found))),
            ScrubVerdict::Lost { .. } => {
                report.lost.push(name.to_string());
                if name.class == Class::Pack {
                    lost.insert(PackId(name.id.0));
                }
            }
        }
        progress.advance(1, found.read_bytes);
    }
    let health = pool.health();
    report.disks = ailing(&health).map(|disk| (disk.name.clone(), describe(disk))).collect();
    report.foreign = pool.foreign_files().into_iter().map(|(disk, path)| format!("{disk}/{path}")).collect();
    Ok((report, lost))
}

/// What is wrong with an object that can still be read.
pub(crate) fn faults(found: &ScrubReport) -> String {
    let damaged: Vec<String> = found.damaged.iter().map(|check| format!("{}: {}", check.shard.disk, check.fault)).collect();
    if damaged.is_empty() { "some of its shards are missing, or on a disk that is to leave".to_owned() } else { damaged.join("; ") }
}

/// Disks that are not as they should be.
pub(crate) fn ailing(health: &PoolHealth) -> impl Iterator<Item = &DiskHealth> {
    health.disks.iter().filter(|disk| disk.is_ailing())
}

/// A check of snapshots, newest first. What was seen once is not read again.
pub(crate) struct Check<'a> {
    reader: &'a BlobReader<'a>,
    /// Packs that can't be put together: each of their blobs is tried.
    lost: HashSet<PackId>,
    data: bool,
    /// Leaves without damage. None with a further path of a file: that one's first path may lie on another page.
    good_pages: HashSet<BlobId>,
    blobs: HashMap<BlobId, bool>,
    good_content: HashSet<[u8; 16]>,
}

/// What is lost of the snapshot that is walked: further paths of a file are lost with the first.
#[derive(Default)]
struct LostHere {
    files: HashSet<Key>,
    parts: Vec<Damage>,
}

impl LostHere {
    fn holds(&self, first: Option<&Key>) -> bool {
        first.is_some_and(|first| self.files.contains(first) || self.parts.iter().any(|part| part.covers(first)))
    }
}

impl<'a> Check<'a> {
    pub(crate) fn new(reader: &'a BlobReader<'a>, lost: HashSet<PackId>, data: bool) -> Self {
        Self { reader, lost, data, good_pages: HashSet::new(), blobs: HashMap::new(), good_content: HashSet::new() }
    }

    /// Adds what is lost of a snapshot to the report.
    pub(crate) fn snapshot(&mut self, snapshot: &Snapshot, report: &mut VerifyReport, progress: &dyn Progress) -> Result<(), VaultError> {
        let lose = |report: &mut VerifyReport, key: Key, until| {
            report.files_lost.push(LostFile { snapshot: snapshot.id, name: snapshot.body.name.clone(), key, until });
        };
        let mut page = BlobId::NONE;
        let mut lost_here = LostHere::default();
        let reader = self.reader;
        walk_pages(reader, snapshot, &mut |visit| {
            match visit {
                Visit::Page(id) => {
                    page = *id;
                    return Ok(!self.good_pages.contains(id));
                }
                Visit::Lost(damage) => {
                    lose(report, damage.from.clone(), Some(damage.until.clone()));
                    lost_here.parts.push(damage);
                }
                Visit::Leaf(entries) => {
                    let mut good = true;
                    report.entries += entries.len() as u64;
                    progress.advance(entries.len() as u64, 0);
                    for (key, node) in entries {
                        good &= node.link_to.is_none();
                        if lost_here.holds(node.link_to.as_ref()) || !self.file(&node, report, progress)? {
                            good = false;
                            lost_here.files.insert(key.clone());
                            lose(report, key, None);
                        }
                    }
                    if good {
                        self.good_pages.insert(page);
                    }
                }
            }
            Ok(true)
        })
    }

    /// Whether all of a file can be had.
    fn file(&mut self, node: &Node, report: &mut VerifyReport, progress: &dyn Progress) -> Result<bool, VaultError> {
        if node.kind == Kind::File {
            for content in node.content.iter().chain(node.streams.iter().map(|stream| &stream.content)) {
                if !self.content(content, report, progress)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether a file's bytes can be had.
    fn content(&mut self, content: &Content, report: &mut VerifyReport, progress: &dyn Progress) -> Result<bool, VaultError> {
        let mut seen = [0; 16];
        seen.copy_from_slice(&content.hash.0[..16]);
        if self.data && self.good_content.contains(&seen) {
            return Ok(true);
        }
        let reader = self.reader;
        let mut hash = ContentHasher::default();
        let (mut good, mut size, mut bytes) = (true, 0, 0);
        let walked = for_each_extent(reader, &content.extents, &mut |extent| {
            if !self.data {
                good &= self.has_blob(&extent.blob)?;
                return Ok(());
            }
            let blob = reader.fetch(&extent.blob)?;
            let from = extent.offset as usize;
            let Some(slice) = blob.get(from..from + extent.length as usize).filter(|_| extent.at >= size) else {
                good = false;
                return Ok(());
            };
            hash.hole(extent.at - size);
            hash.data(slice);
            size = extent.at + u64::from(extent.length);
            bytes += slice.len() as u64;
            progress.advance(0, slice.len() as u64);
            Ok(())
        });
        match walked {
            Err(error) if is_damage(&error) => return Ok(false),
            other => other?,
        }
        if self.data && good {
            hash.hole(content.size.saturating_sub(size));
            good = hash.finish() == (content.size, content.hash);
            report.files += 1;
            report.file_bytes += bytes;
            if good {
                self.good_content.insert(seen);
            }
        }
        Ok(good)
    }

    /// Whether a blob can be had: by the index, or by trying when its pack is damaged.
    fn has_blob(&mut self, id: &BlobId) -> Result<bool, VaultError> {
        let places = self.reader.index.locate(id)?;
        if places.iter().any(|place| !self.lost.contains(&place.pack)) {
            return Ok(true);
        }
        if let Some(known) = self.blobs.get(id) {
            return Ok(*known);
        }
        let good = match self.reader.fetch(id) {
            Ok(_) => true,
            Err(VaultError::BlobLost { .. }) => false,
            Err(other) => return Err(other),
        };
        self.blobs.insert(*id, good);
        Ok(good)
    }
}
