//! Restores a snapshot, or a part of one. Two passes over the catalog: the first writes folders and files, the second makes hard links and sets
//! folders' metadata, children first. Memory grows with what is lost and with hard links out of a part, not with the number of files.

mod file;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use keepwell_format::port::{Target, WriteError};
use keepwell_format::{Key, Kind, Node};

use crate::VaultError;
use crate::blobs::BlobReader;
use crate::catalog::{Cursor, is_damage};
use crate::env::{Progress, Step, Workers};
use crate::lanes::{Lanes, Ticket};
use crate::report::{RestoreReport, Trouble};
use crate::snapshot::Snapshot;
use crate::vault::Vault;
use file::{Files, Written, write_file};

/// Files that may be under way or wait to be counted.
const QUEUE_LIMIT: usize = 256;
/// Troubles that are listed; more are only counted by the caller's exit.
const TROUBLES: usize = 100_000;

const NO_CONTENT: &str = "its content is not in the backup";
const NO_CONTENT_FIRST: &str = "its content is not in the backup: its first path could not be read";

/// What is to be restored.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Only what lies here; the target then holds what this folder held, or the file itself under its last name.
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
    /// What lies at `from` is no folder: it goes into the target under its own name.
    single: bool,
    /// Folders that were made on the way to the present entry.
    made: Vec<Key>,
    /// Files that could not be had from the vault, by their place in the target.
    lost: HashSet<Key>,
    /// Files with several paths whose first path lies outside of what is restored: where they were written instead.
    stand_ins: HashMap<Key, Key>,
}

fn stopped(error: WriteError) -> VaultError {
    VaultError::Target(error.text)
}

impl<'a> Restore<'a> {
    fn new(reader: &'a BlobReader<'a>, snapshot: &'a Snapshot, from: Key, target: &'a dyn Target, progress: &'a dyn Progress) -> Self {
        let report = RestoreReport::default();
        let (made, lost, stand_ins) = (Vec::new(), HashSet::new(), HashMap::new());
        Self { reader, snapshot, from, target, progress, report, single: false, made, lost, stand_ins }
    }

    /// Entries of the part that is restored, with their places in the target. Passes over pages that are lost, and lists them.
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
        let files = Files { reader: self.reader, target: self.target, progress: self.progress, over: &over };
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
        let mut queue: VecDeque<(Key, Ticket<Written>)> = VecDeque::new();
        self.for_each(|restore, key, node| {
            if let Some(node) = restore.prepare(&key, node)? {
                let at = key.clone();
                queue.push_back((key, lanes.submit(move || write_file(files, fetch, &at, &node))));
            }
            while queue.len() > most {
                restore.settle(&mut queue)?;
            }
            Ok(())
        })?;
        while !queue.is_empty() {
            self.settle(&mut queue)?;
        }
        Ok(())
    }

    /// Makes what needs no content; answers the node of a file that is still to be written.
    fn prepare(&mut self, key: &Key, mut node: Node) -> Result<Option<Node>, VaultError> {
        self.progress.advance(1, 0);
        self.make_above(key)?;
        if let Some(gap) = &node.gap {
            let text = format!("was not in the backup: {}", gap.text);
            trouble(&mut self.report, key.clone(), text);
        }
        if let Some(first) = &node.link_to {
            if first.is_in(&self.from) || self.stand_ins.contains_key(first) {
                return Ok(None);
            }
            let first = first.clone();
            self.stand_ins.insert(first.clone(), key.clone());
            if let Err(error) = self.add_content(&first, &mut node) {
                return self.lose(key, error).map(|()| None);
            }
        }
        match node.kind {
            Kind::Folder => {
                self.report.folders += 1;
                self.made.push(key.clone());
                self.must(key, self.target.folder(key, &node))?;
            }
            Kind::File if node.content.is_some() => return Ok(Some(node)),
            Kind::File | Kind::Unknown => {
                if node.gap.is_none() {
                    let why = if node.link_to.is_some() { NO_CONTENT_FIRST } else { NO_CONTENT };
                    trouble(&mut self.report, key.clone(), why.to_owned());
                }
                self.lost.insert(key.clone());
            }
            _ => {
                self.report.others += 1;
                self.must(key, self.target.special(key, &node))?;
            }
        }
        Ok(None)
    }

    /// Makes the folders above an entry whose own entries are lost.
    fn make_above(&mut self, key: &Key) -> Result<(), VaultError> {
        while self.made.last().is_some_and(|folder| !key.is_in(folder)) {
            self.made.pop();
        }
        let above = std::iter::successors(key.parent(), Key::parent);
        let missing: Vec<Key> = above.take_while(|folder| self.made.last() != Some(folder)).collect();
        for folder in missing.into_iter().rev() {
            self.report.folders += u64::from(!folder.is_root());
            self.must(&folder, self.target.folder(&folder, &Node::new(Kind::Folder)))?;
            self.made.push(folder);
        }
        Ok(())
    }

    /// Completes a further path's node by what only the first path's entry holds.
    fn add_content(&self, first: &Key, node: &mut Node) -> Result<(), VaultError> {
        let found = Cursor::new(self.reader, self.snapshot, first).next()?;
        if let Some((_, owner)) = found.filter(|(key, _)| key == first) {
            node.content = owner.content;
            node.streams = owner.streams;
            node.target = node.target.take().or(owner.target);
        }
        Ok(())
    }

    /// Notes a file that the vault can't give any more; any other error ends the run.
    fn lose(&mut self, key: &Key, error: VaultError) -> Result<(), VaultError> {
        if !is_damage(&error) {
            return Err(error);
        }
        trouble(&mut self.report, key.clone(), format!("its content can't be found: {error}"));
        self.lost.insert(key.clone());
        Ok(())
    }

    fn settle(&mut self, queue: &mut VecDeque<(Key, Ticket<Written>)>) -> Result<(), VaultError> {
        let Some((key, ticket)) = queue.pop_front() else {
            return Ok(());
        };
        match ticket.wait() {
            Written::Whole { bytes, without } => {
                self.report.files += 1;
                self.report.written_bytes += bytes;
                if let Some(why) = without {
                    trouble(&mut self.report, key, format!("written, but without all of its alternate streams: {why}"));
                }
                Ok(())
            }
            Written::Lost { why } => {
                trouble(&mut self.report, key.clone(), why);
                self.lost.insert(key);
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
        let to = match self.place(first) {
            Some(to) => to,
            None => match self.stand_ins.get(first) {
                Some(to) if to != key => to.clone(),
                _ => return Ok(()),
            },
        };
        if self.lost.contains(&to) {
            trouble(&mut self.report, key.clone(), format!("it is another path of {to}, which could not be restored"));
            return Ok(());
        }
        self.report.others += 1;
        self.must(key, self.target.link(key, &to))
    }
}

fn trouble(report: &mut RestoreReport, key: Key, text: String) {
    if report.missing.len() < TROUBLES {
        report.missing.push(Trouble { key, text });
    }
}
