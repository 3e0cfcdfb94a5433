//! The first pass, entry by entry: makes folders and what has no content, and says which files are to be written.

use std::sync::Arc;

use keepwell_format::port::WriteError;
use keepwell_format::{Key, Kind, Node};

use super::conflict::{Action, Decision, Plan, Put, decide, plan};
use super::file::Order;
use super::resume::Before;
use super::{Conflict, Job, Queue, Restore, Restored, Standing, compare, settle};
use crate::VaultError;
use crate::catalog::Cursor;

const NO_CONTENT: &str = "its content is not in the backup";
const NO_CONTENT_FIRST: &str = "its content is not in the backup: its first path could not be read";
const NO_FOLDER: &str = "not restored: the folder it belongs into could not be made";

impl Restore<'_> {
    /// Deals with one entry; answers the file that is to be written.
    pub(super) fn meet(&mut self, queue: &mut Queue, key: Key, node: Arc<Node>) -> Result<Option<Job>, VaultError> {
        self.progress.advance(1, 0);
        self.make_above(&key)?;
        if self.above.last().is_some_and(|(_, standing)| *standing == Standing::Blocked) {
            self.trouble(key.clone(), NO_FOLDER);
            return Ok(self.give_up(key, &node));
        }
        if node.link_to.is_some() {
            return self.meet_link(queue, key, node);
        }
        match node.kind {
            Kind::Folder => self.meet_folder(key, node),
            Kind::File | Kind::Unknown => {
                let owns = (node.links > 1).then(|| self.first_path(&key));
                Ok(self.meet_file(key, node, owns))
            }
            _ => self.meet_special(&key, &node).map(|()| None),
        }
    }

    /// The key in the catalog of what is restored to this place.
    fn first_path(&self, place: &Key) -> Key {
        if self.single {
            return self.from.clone();
        }
        place.components().try_fold(self.from.clone(), |key, name| key.join(name)).unwrap_or_default()
    }

    /// Whether nothing can be in the folder of the present entry but what this run has put there.
    pub(super) fn is_fresh(&self) -> bool {
        self.above.last().is_some_and(|(_, standing)| *standing == Standing::Fresh)
    }

    /// Notes an entry that is not restored, and all that will be below it.
    fn give_up(&mut self, key: Key, node: &Node) -> Option<Job> {
        if node.kind == Kind::Folder {
            self.above.push((key, Standing::Blocked));
        } else {
            self.lost.insert(key);
        }
        None
    }

    /// Makes the folders above an entry whose own entries are lost.
    pub(super) fn make_above(&mut self, key: &Key) -> Result<(), VaultError> {
        while self.above.last().is_some_and(|(folder, _)| !key.is_in(folder)) {
            self.above.pop();
        }
        let top = self.above.last().map(|(folder, _)| folder);
        let missing: Vec<Key> = std::iter::successors(key.parent(), Key::parent).take_while(|folder| top != Some(folder)).collect();
        for folder in missing.into_iter().rev() {
            if self.above.last().is_some_and(|(_, standing)| *standing == Standing::Blocked) {
                self.above.push((folder, Standing::Blocked));
            } else {
                let counted = !folder.is_root();
                self.enter(folder, &Node::new(Kind::Folder), counted)?;
            }
        }
        Ok(())
    }

    fn meet_folder(&mut self, key: Key, node: Arc<Node>) -> Result<Option<Job>, VaultError> {
        let standing = self.enter(key.clone(), &node, true)?;
        if standing == Standing::Blocked {
            return Ok(None);
        }
        if let Some(gap) = &node.gap {
            self.trouble(key.clone(), settle::gap_text(&node, gap));
        }
        let keeps = self.kept.contains(&key);
        let order = Order { key, node, fresh: true, before: Before::Nothing };
        Ok((!order.node.streams.is_empty() && !keeps).then_some(Job { order, owns: None, parted: false }))
    }

    /// Makes a folder, or takes the one that is there.
    fn enter(&mut self, key: Key, node: &Node, counted: bool) -> Result<Standing, VaultError> {
        let standing = self.make(&key, node)?;
        self.report.folders += u64::from(counted && standing == Standing::Fresh);
        match standing {
            Standing::Blocked => drop(self.blocked.insert(key.clone())),
            Standing::Merged
                if self.options.conflict != Conflict::Replace && !self.made_before(&key) && !self.target.is_unfinished(&key) =>
            {
                self.kept.insert(key.clone());
            }
            Standing::Merged | Standing::Fresh => {}
        }
        self.above.push((key, standing));
        Ok(standing)
    }

    fn make(&mut self, key: &Key, node: &Node) -> Result<Standing, VaultError> {
        let present = if self.is_fresh() { Ok(None) } else { self.target.look(key) };
        let standing = match present.map(|present| plan(self.options.conflict, present.as_ref(), node)) {
            Ok(Plan::Create) => Standing::Fresh,
            Ok(Plan::Trouble(why)) => {
                self.trouble(key.clone(), why);
                return Ok(Standing::Blocked);
            }
            Ok(_) => Standing::Merged,
            Err(error) => return self.must(key, Err(error)).map(|_| Standing::Blocked),
        };
        let made = self.options.dry_run || self.must(key, self.target.folder(key, node))?;
        Ok(if made { standing } else { Standing::Blocked })
    }

    fn meet_file(&mut self, key: Key, node: Arc<Node>, owns: Option<Key>) -> Option<Job> {
        if node.kind == Kind::File && node.content.is_some() {
            let (fresh, before) = (self.is_fresh(), self.before(&key));
            let order = Order { key, node, fresh, before };
            return Some(Job { order, owns, parted: false });
        }
        let text = match &node.gap {
            Some(gap) => settle::gap_text(&node, gap),
            None if node.link_to.is_some() => NO_CONTENT_FIRST.to_owned(),
            None => NO_CONTENT.to_owned(),
        };
        self.trouble(key.clone(), text);
        self.give_up(key, &node)
    }

    fn meet_special(&mut self, key: &Key, node: &Arc<Node>) -> Result<(), VaultError> {
        let there = self.is_there_since(key, node.kind);
        let decision = decide(self.target, self.options, key, node, self.is_fresh() || there);
        let Some(Put { at, action }) = self.heed(key, node, decision)? else {
            return Ok(());
        };
        if !there && !self.options.dry_run && !self.must(key, self.target.special(&at, node))? {
            return Ok(());
        }
        self.report.others += 1;
        if let Some(gap) = &node.gap {
            self.trouble(key.clone(), settle::gap_text(node, gap));
        }
        if !node.streams.is_empty() {
            self.trouble(key.clone(), "restored, but without its alternate streams: only files and folders get them back");
        }
        let checked = self.options.read_back && !self.options.dry_run;
        let same =
            checked.then(|| compare::metadata_differences(self.target, &at, node)).map(|differences| self.compared(&at, &differences));
        self.note(key, &at, action, "");
        let renamed = (at != *key).then_some(&at);
        (self.listener)(Restored { key, renamed, kind: node.kind, content: None, action, same });
        Ok(())
    }

    /// What is to be done, unless the entry stays out; then that is noted.
    fn heed(&mut self, key: &Key, node: &Node, decision: Result<Decision, WriteError>) -> Result<Option<Put>, VaultError> {
        match decision {
            Ok(Decision::Put(put)) => return Ok(Some(put)),
            Ok(Decision::Skip(why)) => self.skip(key, node, why),
            Ok(Decision::Trouble(why)) => {
                self.trouble(key.clone(), why);
                self.lost.insert(key.clone());
            }
            Err(error) => drop(self.must(key, Err(error))?),
        }
        Ok(None)
    }

    /// A further path of a file. It is made in the second pass, unless the file's content is to go here, or something is here.
    fn meet_link(&mut self, queue: &mut Queue, key: Key, node: Arc<Node>) -> Result<Option<Job>, VaultError> {
        let Some(first) = node.link_to.clone() else { return Ok(None) };
        if self.options.conflict != Conflict::Refuse {
            // What became of the first path has to be known.
            self.settle(queue, 0)?;
        }
        let has_owner = match self.owners.get(&first) {
            Some(owner) => owner.is_some(),
            None => first.is_in(&self.from),
        };
        if !has_owner {
            self.owners.insert(first.clone(), Some(key.clone()));
            return self.part(key, node, &first, false);
        }
        if self.is_fresh() {
            return Ok(None);
        }
        if self.is_linked_since(&key, &first)? {
            self.detours.insert(key, None);
            return Ok(None);
        }
        let decision = decide(self.target, self.options, &key, &node, false);
        let Some(put) = self.heed(&key, &node, decision)? else {
            self.detours.insert(key, None);
            return Ok(None);
        };
        match put.action {
            // A link takes nobody's place, so the file goes there a second time.
            Action::Replaced => return self.part(key, node, &first, true),
            Action::Renamed => drop(self.detours.insert(key, Some(put.at))),
            _ => {}
        }
        Ok(None)
    }

    /// Makes a further path a file of its own, with what only the first path's entry holds.
    fn part(&mut self, key: Key, node: Arc<Node>, first: &Key, parted: bool) -> Result<Option<Job>, VaultError> {
        self.detours.insert(key.clone(), None);
        let mut node = Arc::unwrap_or_clone(node);
        match Cursor::new(self.reader, self.snapshot, first).next() {
            Ok(found) => {
                if let Some((_, owner)) = found.filter(|(key, _)| key == first) {
                    node.content = owner.content;
                    node.streams = owner.streams;
                    node.target = node.target.take().or(owner.target);
                }
            }
            Err(error) => return self.lose(key, error).map(|()| None),
        }
        if node.kind != Kind::File {
            return self.meet_special(&key, &Arc::new(node)).map(|()| None);
        }
        let owns = (!parted).then(|| first.clone());
        Ok(self.meet_file(key, Arc::new(node), owns).map(|job| Job { parted, ..job }))
    }
}
