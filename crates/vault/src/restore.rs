//! Restores a snapshot, or a part of one. Two passes over the catalog: the first writes folders and files, the second makes hard links and sets
//! folders' metadata, children first. Memory does not grow with the number of files.

mod file;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use keepwell_format::port::{Target, WriteError};
use keepwell_format::{Key, Kind, Node};

use crate::VaultError;
use crate::blobs::BlobReader;
use crate::catalog::Cursor;
use crate::env::{Progress, Step, Workers};
use crate::lanes::{Lanes, Ticket};
use crate::report::{RestoreReport, Trouble};
use crate::snapshot::Snapshot;
use crate::vault::Vault;
use file::{Written, write_file};

/// Files that may be under way or wait to be counted.
const QUEUE_LIMIT: usize = 256;
/// Troubles that are listed; more are only counted by the caller's exit.
const TROUBLES: usize = 100_000;

/// What is to be restored.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Only what lies here; the target then holds what this path held.
    pub path: Option<Key>,
}

impl Vault {
    /// Writes a snapshot to `target`. What can't be read is left out and listed; all else is written.
    pub fn restore(
        &self,
        snapshot: &Snapshot,
        options: &RestoreOptions,
        target: &dyn Target,
        progress: &dyn Progress,
    ) -> Result<RestoreReport, VaultError> {
        let reader = self.reader();
        let from = options.path.clone().unwrap_or_default();
        let counts = &snapshot.body.statistics;
        let totals = if from.is_root() { (counts.entries, counts.content_bytes) } else { (0, 0) };
        progress.begin(Step::Restore, totals.0, totals.1);
        let mut restore = Restore::new(&reader, snapshot, from, target, progress);
        restore.write_files(self.env.workers)?;
        restore.finish_folders()?;
        target.sync().map_err(stopped)?;
        restore.report.healed_reads = reader.stats.healed.load(Ordering::Relaxed);
        Ok(restore.report)
    }
}

struct Restore<'a> {
    reader: &'a BlobReader<'a>,
    snapshot: &'a Snapshot,
    from: Key,
    target: &'a dyn Target,
    progress: &'a dyn Progress,
    report: RestoreReport,
    /// Files with several paths whose first path lies outside of what is restored: where they were written instead.
    stand_ins: HashMap<Key, Key>,
}

fn stopped(error: WriteError) -> VaultError {
    VaultError::Target(error.text)
}

impl<'a> Restore<'a> {
    fn new(reader: &'a BlobReader<'a>, snapshot: &'a Snapshot, from: Key, target: &'a dyn Target, progress: &'a dyn Progress) -> Self {
        Self { reader, snapshot, from, target, progress, report: RestoreReport::default(), stand_ins: HashMap::new() }
    }

    /// Entries of the part that is restored, with their keys below it. Ends at a page that is lost, and goes on behind it.
    fn for_each(&mut self, mut visit: impl FnMut(&mut Self, Key, Node) -> Result<(), VaultError>) -> Result<(), VaultError> {
        let mut cursor = Cursor::new(self.reader, self.snapshot, &self.from);
        let mut any = false;
        loop {
            let mut damage = Vec::new();
            let next = cursor.next_past_damage(&mut |lost| damage.push(lost))?;
            for lost in damage.into_iter().filter(|lost| lost.touches(&self.from)) {
                any = true;
                let text = "a page of the catalog is lost: what it listed from here on can't be restored";
                trouble(&mut self.report, lost.from, text.to_owned());
            }
            let Some((key, node)) = next else { break };
            let Some(below) = key.below(&self.from) else { break };
            any = true;
            visit(self, below, node)?;
        }
        if any { Ok(()) } else { Err(VaultError::NoPath(self.from.to_string())) }
    }

    fn write_files(&mut self, workers: Workers) -> Result<(), VaultError> {
        let (reader, target, progress) = (self.reader, self.target, self.progress);
        let writers = match workers {
            Workers::Inline => Workers::Inline,
            Workers::Threads(_) => Workers::Threads(target.parallel_writes()),
        };
        std::thread::scope(|outer| {
            let fetch = Lanes::start(outer, workers);
            std::thread::scope(|inner| {
                let lanes = Lanes::start(inner, writers);
                let mut queue: VecDeque<(Key, Ticket<Written>)> = VecDeque::new();
                self.for_each(|restore, key, node| {
                    if let Some(node) = restore.prepare(&key, node)? {
                        let (at, fetch) = (key.clone(), &fetch);
                        let job = move || write_file(reader, target, progress, fetch, &at, &node);
                        queue.push_back((key, lanes.submit(job)));
                    }
                    let most = if lanes.is_inline() { 0 } else { QUEUE_LIMIT };
                    while queue.len() > most {
                        restore.settle(&mut queue)?;
                    }
                    Ok(())
                })?;
                while !queue.is_empty() {
                    self.settle(&mut queue)?;
                }
                Ok(())
            })
        })
    }

    /// Makes what needs no content; answers the node of a file that is still to be written.
    fn prepare(&mut self, key: &Key, mut node: Node) -> Result<Option<Node>, VaultError> {
        self.progress.advance(1, 0);
        if let Some(gap) = &node.gap {
            let text = format!("was not in the backup: {}", gap.text);
            trouble(&mut self.report, key.clone(), text);
        }
        if let Some(first) = &node.link_to {
            if first.is_in(&self.from) || self.stand_ins.contains_key(first) {
                return Ok(None);
            }
            let first = first.clone();
            node = self.content_of(&first, node)?;
            self.stand_ins.insert(first, key.clone());
        }
        match node.kind {
            Kind::Folder => {
                self.report.folders += 1;
                self.must(key, self.target.folder(key, &node))?;
            }
            Kind::File if node.content.is_some() => return Ok(Some(node)),
            Kind::File | Kind::Unknown => {}
            _ => {
                self.report.others += 1;
                self.must(key, self.target.special(key, &node))?;
            }
        }
        Ok(None)
    }

    /// A further path's node completed by what only the first path's entry holds.
    fn content_of(&mut self, first: &Key, mut node: Node) -> Result<Node, VaultError> {
        let found = Cursor::new(self.reader, self.snapshot, first).next()?;
        if let Some((_, owner)) = found.filter(|(key, _)| key == first) {
            node.content = owner.content;
            node.streams = owner.streams;
            node.target = node.target.or(owner.target);
        }
        Ok(node)
    }

    fn settle(&mut self, queue: &mut VecDeque<(Key, Ticket<Written>)>) -> Result<(), VaultError> {
        let Some((key, ticket)) = queue.pop_front() else {
            return Ok(());
        };
        match ticket.wait() {
            Written::Whole { bytes } => {
                self.report.files += 1;
                self.report.written_bytes += bytes;
                Ok(())
            }
            Written::Lost { why } => {
                trouble(&mut self.report, key, why);
                Ok(())
            }
            Written::Refused(error) => self.must(&key, Err(error)),
            Written::Failed(error) => Err(error),
        }
    }

    /// Notes an error of the target, and stops when nothing further can be written.
    fn must(&mut self, key: &Key, result: Result<(), WriteError>) -> Result<(), VaultError> {
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.fatal => Err(stopped(error)),
            Err(error) => {
                trouble(&mut self.report, key.clone(), error.text);
                Ok(())
            }
        }
    }

    /// The second pass.
    fn finish_folders(&mut self) -> Result<(), VaultError> {
        let mut open: Vec<(Key, Node)> = Vec::new();
        let known = self.report.missing.len();
        self.for_each(|restore, key, node| {
            while open.last().is_some_and(|(folder, _)| !key.is_in(folder)) {
                restore.finish_last(&mut open)?;
            }
            if node.kind == Kind::Folder {
                open.push((key, node));
            } else if let Some(first) = &node.link_to {
                restore.link(&key, first)?;
            }
            Ok(())
        })?;
        while !open.is_empty() {
            self.finish_last(&mut open)?;
        }
        // Lost pages were listed by the first pass already.
        let mut place = 0;
        self.report.missing.retain(|trouble| {
            place += 1;
            place <= known || !trouble.text.starts_with("a page of the catalog")
        });
        Ok(())
    }

    fn finish_last(&mut self, open: &mut Vec<(Key, Node)>) -> Result<(), VaultError> {
        match open.pop() {
            Some((key, node)) => self.must(&key, self.target.finish_folder(&key, &node)),
            None => Ok(()),
        }
    }

    fn link(&mut self, key: &Key, first: &Key) -> Result<(), VaultError> {
        let to = match first.below(&self.from) {
            Some(to) => to,
            None => match self.stand_ins.get(first) {
                Some(to) if to != key => to.clone(),
                _ => return Ok(()),
            },
        };
        self.report.others += 1;
        self.must(key, self.target.link(key, &to))
    }
}

fn trouble(report: &mut RestoreReport, key: Key, text: String) {
    if report.missing.len() < TROUBLES {
        report.missing.push(Trouble { key, text });
    }
}
