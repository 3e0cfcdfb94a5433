//! A backup run: the source's walk merged with the catalog of the previous snapshot, changed files read and stored, a new catalog, and last of
//! all the manifest. Everything below a manifest is durable before it is written.

mod base;
mod guard;
mod queue;

use std::collections::{HashMap, VecDeque};

use keepwell_format::manifest::{MAX_GAPS, ManifestBody, Outcome, SeqRanges, Statistics};
use keepwell_format::node::FileId;
use keepwell_format::port::{Source, Walked};
use keepwell_format::{BlobId, Gap, GapReason, Key, Kind, Node, SnapshotId, Time};
use keepwell_storage::{Class, Spread};

use crate::VaultError;
use crate::blobs::BlobWriter;
use crate::catalog::CatalogBuilder;
use crate::env::{Progress, Step, Workers};
use crate::lanes::Lanes;
use crate::report::BackupReport;
use crate::snapshot::{self, Draft, Snapshot};
use crate::vault::Vault;
use base::Base;
pub(crate) use guard::accepted as last_accepted;
use queue::{Pending, Reading};

/// Entries that may wait for an earlier file.
const QUEUE_LIMIT: usize = 4096;

/// Which unchanged files are read all the same, so that silent edits and rot at the source are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reread {
    /// A share of them, 0 to 1: with 1/n, each once in n runs of the vault.
    Share(f64),
    /// The files of one of `of` parts. Whoever asks for each part in turn has read all.
    Part {
        /// From 0.
        part: u32,
        /// Into how many parts the files are dealt.
        of: u32,
    },
}

impl Reread {
    /// None of them.
    pub const NONE: Self = Self::Share(0.0);

    /// Whether the turn of an unchanged file has come, if the last snapshot was the vault's `sequence`-th.
    fn includes(self, key: &Key, sequence: u64) -> bool {
        let place = crate::keys::first_u64(blake3::hash(key.as_bytes()).as_bytes());
        match self {
            #[expect(clippy::cast_precision_loss, reason = "a share of files needs no 64 bits, and runs are counted in thousands")]
            Self::Share(share) => (place as f64 / u64::MAX as f64 + sequence as f64 * share).fract() < share,
            Self::Part { part, of } => place % u64::from(of.max(1)) == u64::from(part),
        }
    }
}

/// How a backup is to be made.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// What the snapshots of this source are called.
    pub name: String,
    /// zstd level.
    pub level: i32,
    /// Unchanged files that are read all the same.
    pub reread: Reread,
    /// A person says that a source that looks collapsed or swapped is meant to be so: the snapshot is not held.
    pub intended: bool,
}

impl Vault {
    /// Backs `source` up. Either a snapshot is made that is durable, or none. Several may run at a time, from different sources under different names.
    pub fn backup(&self, source: &dyn Source, options: &BackupOptions, progress: &dyn Progress) -> Result<BackupReport, VaultError> {
        let started = self.env.clock.now();
        progress.begin(Step::Backup, 0, 0);
        let (loaded, _pin) = self.turns.pin(|| {
            let loaded = snapshot::load_all(&self.pool, &self.keys)?;
            let base = last_accepted(&loaded.snapshots, &options.name).map(|base| base.id);
            Ok((loaded, base))
        })?;
        let (floor, newest) = (loaded.highest_seq(), loaded.newest());
        let reader = self.reader();
        let readers = match self.env.workers {
            Workers::Inline => Workers::Inline,
            Workers::Threads(_) => Workers::Threads(source.info().parallel_reads),
        };
        std::thread::scope(|scope| {
            let lanes = Lanes::start(scope, self.env.workers);
            let readers = Lanes::start(scope, readers);
            let run = newest.map_or(1, |(sequence, _)| sequence + 1);
            let writer =
                BlobWriter::new(&self.pool, &self.keys, (&*self.index, &self.turns), lanes, &self.env, options.level, (run, floor))?;
            let accepted = last_accepted(&loaded.snapshots, &options.name);
            let base = Base::open(&reader, accepted.filter(|before| before.body.identity == source.info().identity))?;
            let mut run = Run::new(self, source, options, progress, readers, writer, (accepted, base));
            run.walk()?;
            run.commit(options, started, newest)
        })
    }
}

/// A run under way. Takes entries in order, and hands them to the catalog in order.
struct Run<'env, 'a> {
    vault: &'env Vault,
    source: &'env dyn Source,
    progress: &'a dyn Progress,
    readers: Lanes<'env>,
    writer: BlobWriter<'env>,
    catalog: CatalogBuilder<'env>,
    /// The last accepted snapshot of this name.
    accepted: Option<&'a Snapshot>,
    base: Base<'a>,
    reread: Reread,
    queue: VecDeque<Pending>,
    reading: queue::Load,
    /// First paths of files with several, while more of their paths may come.
    links: HashMap<FileId, (Key, u32)>,
    /// First paths that could not be read, and the path that owns the content instead, once there is one.
    orphans: HashMap<Key, Option<Key>>,
    gaps: Vec<(Key, Gap)>,
    inconsistent: Vec<Key>,
    statistics: Statistics,
}

impl<'env, 'a> Run<'env, 'a> {
    fn new(
        vault: &'env Vault,
        source: &'env dyn Source,
        options: &BackupOptions,
        progress: &'a dyn Progress,
        readers: Lanes<'env>,
        writer: BlobWriter<'env>,
        (accepted, base): (Option<&'a Snapshot>, Base<'a>),
    ) -> Self {
        Self {
            vault,
            source,
            progress,
            readers,
            writer,
            catalog: CatalogBuilder::new(&vault.keys),
            accepted,
            base,
            reread: options.reread,
            queue: VecDeque::new(),
            reading: queue::Load::default(),
            links: HashMap::new(),
            orphans: HashMap::new(),
            gaps: Vec::new(),
            inconsistent: Vec::new(),
            statistics: Statistics::default(),
        }
    }

    fn walk(&mut self) -> Result<(), VaultError> {
        for walked in self.source.walk().map_err(VaultError::Source)? {
            self.take(walked.map_err(VaultError::Source)?)?;
            while self.queue.len() > QUEUE_LIMIT || self.queue.front().is_some_and(|first| !matches!(first, Pending::Reading(_))) {
                self.settle_first()?;
            }
        }
        while !self.queue.is_empty() {
            self.settle_first()?;
        }
        Ok(())
    }

    /// Decides what is to be done with an entry.
    fn take(&mut self, mut walked: Walked) -> Result<(), VaultError> {
        let before = self.base.at(&walked.key)?;
        if let Some(before) = before.as_ref().filter(|before| base::is_same_file(&walked.node, before)) {
            base::complete(&mut walked.node, before);
        }
        if let Some(first) = self.first_path(&walked) {
            self.queue.push_back(Pending::Link(Box::new(walked), first));
            return Ok(());
        }
        // Metadata that can't be read is no reason to leave the content.
        let readable = walked.node.gap.as_ref().is_none_or(|gap| gap.reason == GapReason::Metadata);
        if walked.node.kind == Kind::File && readable {
            match before.filter(|node| base::is_unchanged(&walked, node)) {
                Some(node) if !self.reread.includes(&walked.key, self.base.sequence()) && self.base.is_whole(&node)? => {
                    self.statistics.unchanged_files += 1;
                    walked.node.content = node.content;
                    walked.node.streams = node.streams;
                }
                _ => return self.read(walked),
            }
        } else if !walked.streams.is_empty() {
            return self.read(walked);
        }
        self.queue.push_back(Pending::Ready(Box::new(walked)));
        Ok(())
    }

    /// The path that owns this file's content, when it is not this one.
    fn first_path(&mut self, walked: &Walked) -> Option<Key> {
        let id = walked.node.file_id?;
        if walked.node.links < 2 || walked.node.kind == Kind::Folder {
            return None;
        }
        let Some((first, left)) = self.links.get_mut(&id) else {
            self.links.insert(id, (walked.key.clone(), walked.node.links - 1));
            return None;
        };
        *left -= 1;
        let first = first.clone();
        if *left == 0 {
            self.links.remove(&id);
        }
        Some(first)
    }

    fn read(&mut self, walked: Walked) -> Result<(), VaultError> {
        while !self.reading.has_room(walked.size, self.readers.width) {
            self.settle_first()?;
        }
        self.reading.add(walked.size);
        if walked.node.kind == Kind::File {
            self.source.expect(&walked);
        }
        let reading = Reading::start(&self.readers, &self.vault.keys, self.source, walked);
        self.queue.push_back(Pending::Reading(reading));
        Ok(())
    }

    /// Takes the first entry of the queue to its end and into the catalog.
    fn settle_first(&mut self) -> Result<(), VaultError> {
        let Walked { key, node, .. } = match self.queue.pop_front() {
            None => return Ok(()),
            Some(Pending::Ready(walked)) => *walked,
            Some(Pending::Link(walked, first)) => self.settle_link(*walked, first)?,
            Some(Pending::Reading(reading)) => {
                self.reading.remove(reading.size);
                self.finish(reading)?
            }
        };
        if node.kind == Kind::File && node.links > 1 && node.content.is_none() && node.link_to.is_none() {
            self.orphans.entry(key.clone()).or_default();
        }
        self.enter(key, node)
    }

    fn finish(&mut self, reading: Reading) -> Result<Walked, VaultError> {
        let links = reading.links;
        let (mut walked, read_bytes) = reading.finish(&mut self.writer, self.progress)?;
        self.statistics.read_bytes += read_bytes;
        if links == 1 && walked.node.links > 1 && walked.node.content.is_some() {
            self.join(&mut walked);
        }
        Ok(walked)
    }

    /// Makes a file a link to its first path, where only opening it told that it has several.
    fn join(&mut self, walked: &mut Walked) {
        let Some(first) = self.first_path(walked) else { return };
        let owner = match self.orphans.get_mut(&first) {
            None => first,
            Some(Some(owner)) => owner.clone(),
            Some(none) => return *none = Some(walked.key.clone()),
        };
        walked.node.link_to = Some(owner);
        walked.node.content = None;
        walked.node.streams.clear();
    }

    /// Makes an entry a link to the first path of its file. Where that could not be read, this one may be: the first that can be owns the content.
    fn settle_link(&mut self, mut walked: Walked, first: Key) -> Result<Walked, VaultError> {
        match self.orphans.get(&first) {
            None => walked.node.link_to = Some(first),
            Some(Some(owner)) => walked.node.link_to = Some(owner.clone()),
            Some(None) => {
                walked = self.finish(Reading::start(&self.readers, &self.vault.keys, self.source, walked))?;
                if walked.node.content.is_some() {
                    self.orphans.insert(first, Some(walked.key.clone()));
                }
            }
        }
        Ok(walked)
    }

    /// Puts an entry into the catalog; one that does not fit loses its metadata, not the run. A gap of a source that is gone is the end of the run.
    fn enter(&mut self, key: Key, node: Node) -> Result<(), VaultError> {
        if let Some(gone) = node.gap.as_ref().and_then(|_| self.source.gone()) {
            return Err(VaultError::Source(gone));
        }
        let Err(VaultError::Format { .. }) = self.catalog.push(&mut self.writer, &key, &node) else {
            self.count(&key, &node);
            return Ok(());
        };
        let gap = Gap { reason: GapReason::Metadata, text: "its attributes are too large to be kept".to_owned() };
        let node = Node { attributes: Vec::new(), streams: Vec::new(), descriptor: None, gap: node.gap.clone().or(Some(gap)), ..node };
        self.catalog.push(&mut self.writer, &key, &node)?;
        self.count(&key, &node);
        Ok(())
    }

    fn count(&mut self, key: &Key, node: &Node) {
        let counts = &mut self.statistics;
        counts.entries += 1;
        match node.kind {
            Kind::File => counts.files += 1,
            Kind::Folder => counts.folders += 1,
            _ => {}
        }
        counts.content_bytes = counts.content_bytes.saturating_add(node.content.as_ref().map_or(0, |content| content.size));
        if let Some(gap) = &node.gap {
            counts.gaps += 1;
            if self.gaps.len() < MAX_GAPS {
                self.gaps.push((key.clone(), gap.clone()));
            }
        }
        if node.inconsistent {
            counts.inconsistent += 1;
            if self.inconsistent.len() < MAX_GAPS {
                self.inconsistent.push(key.clone());
            }
        }
        self.progress.advance(1, 0);
    }

    /// Ends the catalog, makes everything durable, then writes the manifest: only with that the snapshot exists.
    fn commit(mut self, options: &BackupOptions, started: Time, newest: Option<(u64, SnapshotId)>) -> Result<BackupReport, VaultError> {
        let (depth, root) = self.catalog.finish(&mut self.writer)?;
        self.writer.flush()?;
        let needs = self.needs();
        let body = self.body(options, started, (depth, root));
        let (outcome, held) = (body.outcome, body.held.clone());
        let snapshot = self.vault.turns.append(newest, |sequence, previous| {
            let draft = Draft { sequence, previous, received: body.finished.seconds, needs, body };
            let id = self.vault.pool.put(Class::Manifest, Spread::Layout, &snapshot::encode(&self.vault.keys, draft))?;
            Ok(SnapshotId(id.0))
        })?;
        Ok(BackupReport {
            snapshot,
            outcome,
            held,
            gaps: self.gaps,
            inconsistent: self.inconsistent,
            statistics: self.statistics,
            degraded_objects: self.writer.degraded,
        })
    }

    /// Numbers of the packs that the snapshot may need.
    fn needs(&mut self) -> SeqRanges {
        let mut needs = std::mem::take(&mut self.writer.needs);
        needs.union(self.base.needs());
        needs
    }

    fn body(&mut self, options: &BackupOptions, started: Time, (depth, root): (u8, BlobId)) -> ManifestBody {
        self.writer.count(&mut self.statistics);
        let info = self.source.info();
        let whole = self.statistics.gaps == 0 && self.statistics.inconsistent == 0;
        let held = if options.intended { None } else { guard::collapse(self.accepted, &info.identity, &self.statistics, self.base.met()) };
        ManifestBody {
            name: options.name.clone(),
            source: info.location.clone(),
            identity: info.identity.clone(),
            encoding: info.encoding,
            outcome: match held {
                Some(_) => Outcome::Held,
                None if whole => Outcome::Complete,
                None => Outcome::Partial,
            },
            started,
            finished: self.vault.env.clock.now(),
            depth,
            root,
            base: self.base.id(),
            gaps: self.gaps.clone(),
            statistics: self.statistics.clone(),
            program: concat!("keepwell ", env!("CARGO_PKG_VERSION")).to_owned(),
            held: held.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_in_one_part() {
        for n in 0..200 {
            let key = Key::from_path(format!("folder/file-{n}").as_bytes()).unwrap();
            assert_eq!((0..30).filter(|part| Reread::Part { part: *part, of: 30 }.includes(&key, 7)).count(), 1);
            assert_eq!((0..4).filter(|sequence| Reread::Share(0.25).includes(&key, *sequence)).count(), 1);
            assert!(!Reread::NONE.includes(&key, n) && Reread::Share(1.0).includes(&key, n));
        }
    }
}
