//! Goes on with a restore that was cut. What an earlier attempt settled is not touched again, whatever it holds since; a settled file that is not there any more is put there
//! again, as the target may have lost it, or be another one. What may have been written after the last mark is recognised by its content, and not written a second time.
//!
//! Must never take what people changed since for something to be replaced.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use keepwell_format::port::Target;
use keepwell_format::{Key, Kind, Node};

use super::conflict::{Action, NAMES, Put, renamed};
use super::file::Files;
use super::{Conflict, Job, Queue, Restore, Waiting, compare, stopped};
use crate::VaultError;
use crate::report::RestoreReport;

/// Files that are tried once more.
const REFUSED: usize = 1_000;
/// Folders that are remembered as having been there before.
const KEPT: usize = 100_000;

/// How far a restore is: all up to here is settled, and durable as far as the target can say.
#[derive(Debug)]
pub struct Mark<'a> {
    at: &'a Key,
    kept: &'a HashSet<Key>,
    /// What it has done so far.
    pub report: &'a RestoreReport,
}

impl Mark<'_> {
    /// Entries from one mark to the next, at most: so many may have been written without being marked.
    pub const WINDOW: u32 = 2_000;

    /// What a later attempt has to be told.
    pub fn resumed(&self) -> Resumed {
        let kept = (self.kept.len() <= KEPT).then(|| self.kept.iter().map(tag).collect());
        Resumed { done: self.at.clone(), kept }
    }
}

/// Where an earlier attempt was. By default nowhere: it may have written something and marked nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// The last place of the target that was settled; the root for none.
    pub done: Key,
    /// Folders up to there that were there before the restore, by the first bytes of their keys' BLAKE3. None: too many to remember.
    pub kept: Option<HashSet<u64>>,
}

fn tag(folder: &Key) -> u64 {
    crate::keys::first_u64(blake3::hash(folder.as_bytes()).as_bytes())
}

/// What an earlier attempt has done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// It may have put it there.
    Perhaps,
    Settled,
}

impl Restore<'_> {
    pub(super) fn before(&self, key: &Key) -> Before {
        match &self.options.resumed {
            None => Before::Nothing,
            Some(resumed) if !resumed.done.is_root() && *key <= resumed.done => Before::Settled,
            Some(_) if self.beyond <= Mark::WINDOW => Before::Perhaps,
            Some(_) => Before::Nothing,
        }
    }

    /// Whether a folder that is there was made by an earlier attempt, so that it gets its metadata from this one. One that was made after the last mark can't be told from
    /// others, unless the target was empty.
    pub(super) fn made_before(&self, folder: &Key) -> bool {
        let Some(resumed) = &self.options.resumed else { return false };
        match self.options.conflict {
            Conflict::Refuse => !folder.is_root(),
            _ => self.before(folder) == Before::Settled && resumed.kept.as_ref().is_some_and(|kept| !kept.contains(&tag(folder))),
        }
    }

    /// Whether a link or special file is there that an earlier attempt may have made.
    pub(super) fn is_there_since(&self, key: &Key, kind: Kind) -> bool {
        self.options.resumed.is_some()
            && !self.is_fresh()
            && self.target.look(key).is_ok_and(|found| found.is_some_and(|found| found.kind == kind))
    }

    /// Whether a further path of a file was made by an earlier attempt: it holds what the first path's entry says.
    pub(super) fn is_linked_since(&self, key: &Key, first: &Key) -> Result<bool, VaultError> {
        if self.options.resumed.is_none() {
            return Ok(false);
        }
        let owner = crate::catalog::Cursor::new(self.reader, self.snapshot, first).next();
        let Ok(Some((_, node))) = owner.map(|found| found.filter(|(key, _)| key == first)) else { return Ok(false) };
        let over = AtomicBool::new(false);
        let files = Files { reader: self.reader, target: self.target, options: self.options, progress: self.progress, over: &over };
        Ok(node.kind == Kind::File && put_before(files, key, &node).is_some())
    }

    /// Takes up what later entries need to know of one that is settled, and puts a file there again that is not there any more. Counts nothing, as it was counted, but for what
    /// goes wrong with such a file.
    pub(super) fn pass_over(
        &mut self,
        queue: &mut Queue,
        key: Key,
        node: Arc<Node>,
        submit: &impl Fn(Job) -> Waiting,
    ) -> Result<(), VaultError> {
        let counted = std::mem::take(&mut self.report);
        let gone = self.is_gone(&key, &node)?;
        if !gone && matches!(node.kind, Kind::File | Kind::Unknown) && node.links <= 1 && node.link_to.is_none() {
            self.progress.advance(1, 0);
        } else {
            let job = self.meet(queue, key, node)?.filter(|job| job.order.node.kind != Kind::Folder);
            queue.extend(job.map(submit));
            self.settle(queue, 0)?;
        }
        let again = std::mem::replace(&mut self.report, counted);
        if gone {
            self.report.differing += again.differing;
            self.report.differences.extend(again.differences);
            again.missing.into_iter().for_each(|trouble| self.trouble(trouble.key, trouble.text));
        }
        Ok(())
    }

    /// Whether a file that is settled can't be seen in its place.
    fn is_gone(&mut self, key: &Key, node: &Node) -> Result<bool, VaultError> {
        if node.kind != Kind::File || node.content.is_none() || node.link_to.is_some() {
            return Ok(false);
        }
        self.make_above(key)?;
        Ok(self.is_fresh() || !matches!(self.target.look(key), Ok(Some(_))))
    }

    /// Takes all that is queued to its end, and says that all up to `at` is.
    pub(super) fn mark(&mut self, queue: &mut Queue, at: &Key, submit: &impl Fn(Job) -> Waiting) -> Result<(), VaultError> {
        self.drain(queue, submit)?;
        self.target.sync().map_err(stopped)?;
        self.since_mark = 0;
        self.progress.mark(&Mark { at, kept: &self.kept, report: &self.report });
        Ok(())
    }

    /// Takes all that is queued to its end. What the target did not take is tried once more.
    pub(super) fn drain(&mut self, queue: &mut Queue, submit: &impl Fn(Job) -> Waiting) -> Result<(), VaultError> {
        self.settle(queue, 0)?;
        self.last_try = true;
        for mut job in std::mem::take(&mut self.refused) {
            (job.order.fresh, job.order.before) = (false, Before::Perhaps);
            queue.push_back(submit(job));
        }
        let settled = self.settle(queue, 0);
        self.last_try = false;
        settled
    }

    pub(super) fn tries_again(&self) -> bool {
        !self.last_try && !self.options.dry_run && self.refused.len() < REFUSED
    }
}

/// Where an earlier attempt has put a file, if it has: something with just its content is there.
pub(super) fn put_before(files: Files<'_>, key: &Key, node: &Node) -> Option<Put> {
    if files.options.conflict == Conflict::Rename {
        for at in (1..=NAMES).map_while(|number| renamed(key, &files.options.stamp, number)) {
            if !is_there(files.target, &at) {
                break;
            }
            if holds(files, &at, node) {
                return Some(Put { at, action: Action::Renamed });
            }
        }
    }
    (is_there(files.target, key) && holds(files, key, node)).then(|| Put { at: key.clone(), action: Action::Created })
}

fn is_there(target: &dyn Target, key: &Key) -> bool {
    target.look(key).is_ok_and(|found| found.is_some_and(|found| found.kind == Kind::File))
}

fn holds(files: Files<'_>, at: &Key, node: &Node) -> bool {
    compare::differences(files, at, node, &[], false).is_empty()
}
