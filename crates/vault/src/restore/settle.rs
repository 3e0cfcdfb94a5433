//! What became of files that were written: counts, lists, and what later entries need to know of them.

use std::sync::Arc;

use keepwell_format::port::WriteError;
use keepwell_format::{Gap, GapReason, Key, Kind, Node};

use super::conflict::{Action, Put};
use super::file::Written;
use super::{Job, Order, Queue, Restore, Restored, Waiting, stopped};
use crate::VaultError;
use crate::catalog::is_damage;
use crate::report::{Met, Trouble};

/// Troubles that are listed; more are only counted by the caller's exit.
const TROUBLES: usize = 100_000;
/// Differences and conflicts that are listed; all are counted.
const LISTED: usize = 1_000;

pub(super) const PAGE_LOST: &str = "a page of the catalog is lost: what it listed from here on can't be restored";

/// What a gap of the snapshot means for what is restored.
pub(super) fn gap_text(node: &Node, gap: &Gap) -> String {
    let text = &gap.text;
    match (node.kind, gap.reason) {
        (Kind::File, _) if node.content.is_none() => format!("was not in the backup: {text}"),
        (Kind::Unknown, _) => format!("was not in the backup: {text}"),
        (_, GapReason::Metadata) => format!("restored, but not all of its metadata was in the backup: {text}"),
        (Kind::Folder, _) => format!("restored, but not all that it held was in the backup: {text}"),
        _ => format!("restored, but not as it was at the time of the backup: {text}"),
    }
}

impl Restore<'_> {
    /// Takes the first files of the queue to their end, until no more than `most` are left.
    pub(super) fn settle(&mut self, queue: &mut Queue, most: usize) -> Result<(), VaultError> {
        while queue.len() > most {
            if let Some(waiting) = queue.pop_front() {
                self.settle_one(waiting)?;
            }
        }
        Ok(())
    }

    fn settle_one(&mut self, waiting: Waiting) -> Result<(), VaultError> {
        let Waiting { job, ticket } = waiting;
        let written = ticket.wait();
        if matches!(&written, Written::Refused(error) if !error.fatal && self.tries_again()) {
            self.refused.push(job);
            return Ok(());
        }
        let Job { order: Order { key, node, .. }, owns, parted } = job;
        match written {
            Written::Whole { put, bytes, without, differences } => {
                self.report.written_bytes += bytes;
                if let Some(why) = without {
                    self.trouble(key.clone(), format!("restored, but without all of its alternate streams: {why}"));
                }
                if parted {
                    self.difference(&key, "it is a file of its own now: it was another path of a file".to_owned());
                }
                if node.kind == Kind::Folder {
                    // Its streams; the folder itself is compared when it is finished.
                    self.differ(&put.at, &differences.unwrap_or_default());
                    return Ok(());
                }
                let same = differences.map(|differences| self.compared(&put.at, &differences));
                self.whole(key, &node, put, owns, same.map(|same| same && !parted));
                Ok(())
            }
            Written::Skipped { why, same } => {
                self.skip(&key, &node, why);
                // As after a run that was cut: then its other paths are made paths of what is there.
                owns.filter(|_| !same).map(|first| self.owners.insert(first, None));
                Ok(())
            }
            Written::Lost(why) => {
                self.trouble(key.clone(), why);
                self.lost.insert(key);
                Ok(())
            }
            Written::Barred(why) => {
                self.trouble(key.clone(), why);
                self.lost.insert(key);
                Ok(())
            }
            Written::Refused(error) => {
                self.must(&key, Err(error))?;
                self.lost.insert(key);
                Ok(())
            }
            Written::Failed(error) => Err(error),
        }
    }

    fn whole(&mut self, key: Key, node: &Arc<Node>, put: Put, owns: Option<Key>, same: Option<bool>) {
        let Put { at, action } = put;
        self.report.files += 1;
        if let Some(gap) = &node.gap {
            self.trouble(key.clone(), gap_text(node, gap));
        }
        self.note(&key, &at, action, "");
        let renamed = (at != key).then_some(&at);
        (self.listener)(Restored { key: &key, renamed, kind: node.kind, content: node.content.as_ref(), action, same });
        if let Some(first) = owns.filter(|_| at != key) {
            self.owners.insert(first, Some(at));
        }
    }

    /// Counts an entry that met something, and lists the first.
    pub(super) fn note(&mut self, key: &Key, at: &Key, action: Action, why: &'static str) {
        match action {
            Action::Replaced => self.report.replaced += 1,
            Action::Renamed => self.report.renamed += 1,
            Action::Skipped => self.report.skipped += 1,
            Action::Created | Action::Linked => return,
        }
        if self.report.met.len() < LISTED {
            let renamed = (at != key).then(|| at.clone());
            self.report.met.push(Met { key: key.clone(), action, renamed, why });
        }
    }

    /// What is there stayed.
    pub(super) fn skip(&mut self, key: &Key, node: &Node, why: &'static str) {
        self.note(key, key, Action::Skipped, why);
        let content = node.content.as_ref();
        (self.listener)(Restored { key, renamed: None, kind: node.kind, content, action: Action::Skipped, same: None });
    }

    /// Notes what was found by reading back; answers whether that was nothing.
    pub(super) fn compared(&mut self, at: &Key, differences: &[String]) -> bool {
        self.report.compared += 1;
        self.differ(at, differences);
        differences.is_empty()
    }

    fn differ(&mut self, at: &Key, differences: &[String]) {
        if !differences.is_empty() {
            self.difference(at, differences.join(", "));
        }
    }

    fn difference(&mut self, at: &Key, text: String) {
        self.report.differing += 1;
        if self.report.differences.len() < LISTED {
            self.report.differences.push(Trouble { key: at.clone(), text });
        }
    }

    /// Notes a file that the vault can't give any more; any other error ends the run.
    pub(super) fn lose(&mut self, key: Key, error: VaultError) -> Result<(), VaultError> {
        if !is_damage(&error) {
            return Err(error);
        }
        self.trouble(key.clone(), format!("its content can't be found: {error}"));
        self.lost.insert(key);
        Ok(())
    }

    /// Notes an error of the target, and stops when nothing further can be written. Answers whether there was none.
    pub(super) fn must(&mut self, key: &Key, result: Result<(), WriteError>) -> Result<bool, VaultError> {
        match result {
            Ok(()) => Ok(true),
            Err(error) if error.fatal => Err(stopped(error)),
            Err(error) => {
                self.trouble(key.clone(), error.text);
                Ok(false)
            }
        }
    }

    pub(super) fn trouble(&mut self, key: Key, text: impl Into<String>) {
        if self.report.missing.len() < TROUBLES {
            self.report.missing.push(Trouble { key, text: text.into() });
        }
    }
}
