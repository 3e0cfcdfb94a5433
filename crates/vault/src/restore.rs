//! Restores a snapshot, or a part of one. Two passes over the catalog: the first writes folders and files, the second makes hard links and sets
//! folders' metadata, children first. Memory grows with what is lost, with folders that were there before, and with hard links that conflicts or
//! the borders of a part touch, not with the number of files.
//!
//! Must never delete anything, nor write anything in a dry run.

mod compare;
mod conflict;
mod entries;
mod file;
mod finish;
mod resume;
mod settle;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keepwell_format::node::Content;
use keepwell_format::port::{Target, WriteError};
use keepwell_format::{Key, Kind, Node};

use crate::VaultError;
use crate::blobs::BlobReader;
use crate::catalog::Cursor;
use crate::env::{Progress, Step, Workers};
use crate::lanes::{Lanes, Ticket};
use crate::report::RestoreReport;
use crate::snapshot::Snapshot;
use crate::vault::Vault;
pub use conflict::{Action, Conflict};
use file::{Files, Order, Written, write_file};
use resume::Before;
pub use resume::{Mark, Resumed};

/// Files that may be under way or wait to be counted.
const QUEUE_LIMIT: usize = 256;

/// What is to be restored, and how.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Only what lies here; the target then holds what this folder held, or the file itself under its last name.
    pub path: Option<Key>,
    /// What happens where the target holds something already.
    pub conflict: Conflict,
    /// With [`Conflict::Rename`]: what the new names have in them beside `restored`, such as the time.
    pub stamp: String,
    /// Only look and report; nothing is written.
    pub dry_run: bool,
    /// Read each file back when it is written, and compare.
    pub read_back: bool,
    /// An earlier attempt at this very restore was cut: goes on where that one was.
    pub resumed: Option<Resumed>,
}

/// One entry that was dealt with, folders apart. Told in the order of the catalog, hard links at the end.
#[derive(Debug, Clone, Copy)]
pub struct Restored<'a> {
    /// Its place in the target.
    pub key: &'a Key,
    /// Its place if it is another one: [`Action::Renamed`].
    pub renamed: Option<&'a Key>,
    /// What it is.
    pub kind: Kind,
    /// A file's content, as it is in the snapshot.
    pub content: Option<&'a Content>,
    /// What was done.
    pub action: Action,
    /// Whether it was read back, and was as it should be.
    pub same: Option<bool>,
}

/// Hears of each entry.
pub type Listener<'a> = &'a mut dyn FnMut(Restored<'_>);

impl Vault {
    /// Writes a snapshot to `target`. What can't be read is left out and listed; all else is written.
    pub fn restore(
        &self,
        snapshot: &Snapshot,
        options: &RestoreOptions,
        target: &dyn Target,
        progress: &dyn Progress,
    ) -> Result<RestoreReport, VaultError> {
        self.restore_telling(snapshot, options, target, progress, &mut |_| {})
    }

    /// The same, and tells of each entry.
    pub fn restore_telling(
        &self,
        snapshot: &Snapshot,
        options: &RestoreOptions,
        target: &dyn Target,
        progress: &dyn Progress,
        listener: Listener<'_>,
    ) -> Result<RestoreReport, VaultError> {
        let reader = self.reader();
        let mut restore = Restore::new(&reader, snapshot, options, target, progress, listener);
        let counts = &snapshot.body.statistics;
        let totals = if restore.from.is_root() { (counts.entries, counts.content_bytes) } else { (0, 0) };
        progress.begin(Step::Restore, totals.0, totals.1);
        restore.report.lacking = target.lacking();
        restore.write_files(self.env.workers)?;
        restore.finish_folders()?;
        if !options.dry_run {
            target.sync().map_err(stopped)?;
        }
        restore.report.healed_reads = reader.stats.healed.load(Ordering::Relaxed);
        Ok(restore.report)
    }
}

/// How a folder of the target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// This run made it, so it holds nothing that is not from this run.
    Fresh,
    /// It was there.
    Merged,
    /// It could not be had.
    Blocked,
}

struct Restore<'a> {
    reader: &'a BlobReader<'a>,
    snapshot: &'a Snapshot,
    options: &'a RestoreOptions,
    from: Key,
    target: &'a dyn Target,
    progress: &'a dyn Progress,
    listener: Listener<'a>,
    report: RestoreReport,
    /// What lies at `from` is no folder: it goes into the target under its own name.
    single: bool,
    /// Folders on the way to the present entry.
    above: Vec<(Key, Standing)>,
    /// Folders that were there and keep their metadata.
    kept: HashSet<Key>,
    /// Folders that could not be had; what is below them is named as well.
    blocked: HashSet<Key>,
    /// Files that are not restored, by their place in the target.
    lost: HashSet<Key>,
    /// By the first path of a file with several: where its content was put, if that is another place. None: it was not, as something was there.
    owners: HashMap<Key, Option<Key>>,
    /// Further paths by their place that are not made as usual: under another name, or not at all.
    detours: HashMap<Key, Option<Key>>,
    /// What the target did not take: tried once more, as a connection may have been lost under it.
    refused: Vec<Job>,
    /// It is tried for the last time.
    last_try: bool,
    /// Entries since the last mark, this attempt's or the one before's.
    since_mark: u32,
    /// Entries of this attempt beyond the last mark of the one before. No mark begins it anew: it says how far that one may have come.
    beyond: u32,
}

/// A file under way.
struct Waiting {
    job: Job,
    ticket: Ticket<Written>,
}

type Queue = VecDeque<Waiting>;

/// A file that is to be written.
struct Job {
    order: Order,
    /// The first path of a file with several: this one holds its content.
    owns: Option<Key>,
    /// It should be another path of a file, but is one of its own.
    parted: bool,
}

fn stopped(error: WriteError) -> VaultError {
    VaultError::Target(error.text)
}

impl<'a> Restore<'a> {
    fn new(
        reader: &'a BlobReader<'a>,
        snapshot: &'a Snapshot,
        options: &'a RestoreOptions,
        target: &'a dyn Target,
        progress: &'a dyn Progress,
        listener: Listener<'a>,
    ) -> Self {
        Self {
            reader,
            snapshot,
            options,
            from: options.path.clone().unwrap_or_default(),
            target,
            progress,
            listener,
            report: RestoreReport::default(),
            single: false,
            above: Vec::new(),
            kept: HashSet::new(),
            blocked: HashSet::new(),
            lost: HashSet::new(),
            owners: HashMap::new(),
            detours: HashMap::new(),
            refused: Vec::new(),
            last_try: false,
            since_mark: 0,
            beyond: 0,
        }
    }

    /// Entries of the part that is restored, with their places in the target. Passes over pages that are lost, and lists them.
    fn for_each(&mut self, mut visit: impl FnMut(&mut Self, Key, Node) -> Result<(), VaultError>) -> Result<(), VaultError> {
        let from = self.from.clone();
        let mut cursor = Cursor::new(self.reader, self.snapshot, &from);
        let mut any = false;
        loop {
            let mut damage = Vec::new();
            let next = cursor.next_past_damage(&mut |lost| damage.push(lost))?;
            for lost in damage.into_iter().filter(|lost| lost.touches(&from)) {
                any = true;
                self.trouble(lost.from, settle::PAGE_LOST);
            }
            let Some((key, node)) = next else { break };
            self.single |= key == self.from && node.kind != Kind::Folder && !key.is_root();
            let Some(place) = self.place(&key) else { break };
            any = true;
            visit(self, place, node)?;
        }
        if any { Ok(()) } else { Err(VaultError::NoPath(self.from.to_string())) }
    }

    /// Where an entry goes in the target, if it belongs to the part that is restored.
    fn place(&self, key: &Key) -> Option<Key> {
        let below = key.below(&self.from)?;
        if self.single && below.is_root() { Key::root().join(self.from.name()).ok() } else { Some(below) }
    }

    fn write_files(&mut self, workers: Workers) -> Result<(), VaultError> {
        let over = AtomicBool::new(false);
        let files = Files { reader: self.reader, target: self.target, options: self.options, progress: self.progress, over: &over };
        let writers = match workers {
            Workers::Inline => Workers::Inline,
            Workers::Threads(_) => Workers::Threads(self.target.parallel_writes()),
        };
        std::thread::scope(|outer| {
            let fetch = Lanes::start(outer, workers);
            std::thread::scope(|inner| {
                let lanes = Lanes::start(inner, writers);
                let written = self.write_all(files, &fetch, &lanes);
                // What is queued still would be written otherwise.
                over.store(written.is_err(), Ordering::Relaxed);
                written
            })
        })
    }

    /// The first pass.
    fn write_all<'f, 'l>(&mut self, files: Files<'f>, fetch: &'l Lanes<'f>, lanes: &Lanes<'l>) -> Result<(), VaultError>
    where
        'f: 'l,
    {
        let most = if lanes.is_inline() { 0 } else { QUEUE_LIMIT };
        let (mut queue, mut last) = (Queue::new(), None);
        let submit = |job: Job| {
            let written = job.order.clone();
            Waiting { job, ticket: lanes.submit(move || write_file(files, fetch, &written)) }
        };
        self.for_each(|restore, key, node| {
            if restore.before(&key) == Before::Settled {
                return restore.pass_over(&mut queue, key, Arc::new(node), &submit);
            }
            restore.since_mark = restore.since_mark.saturating_add(1);
            restore.beyond = restore.beyond.saturating_add(1);
            last = Some(key.clone());
            let mark = restore.progress.wants_mark(restore.since_mark).then(|| key.clone());
            let job = restore.meet(&mut queue, key, Arc::new(node))?;
            queue.extend(job.map(submit));
            match mark {
                Some(at) => restore.mark(&mut queue, &at, &submit),
                None => restore.settle(&mut queue, most),
            }
        })?;
        // The second pass may take long, and marks nothing.
        match last.filter(|_| self.progress.wants_mark(u32::MAX)) {
            Some(at) => self.mark(&mut queue, &at, &submit),
            None => self.drain(&mut queue, &submit),
        }
    }
}
