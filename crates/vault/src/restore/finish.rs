//! The second pass: hard links, and folders' metadata when all below them is done.

use keepwell_format::{Key, Kind, Node};

use super::conflict::Action;
use super::{Restore, Restored, compare, settle};
use crate::VaultError;

impl Restore<'_> {
    pub(super) fn finish_folders(&mut self) -> Result<(), VaultError> {
        let mut open: Vec<(Key, Node)> = Vec::new();
        let known = self.report.missing.len();
        self.for_each(|restore, key, node| {
            while open.last().is_some_and(|(folder, _)| !key.is_in(folder)) {
                restore.finish_last(&mut open)?;
            }
            if restore.is_blocked(&key) {
                return Ok(());
            }
            if node.kind == Kind::Folder {
                if !restore.kept.contains(&key) {
                    open.push((key, node));
                }
            } else if let Some(first) = &node.link_to {
                restore.link(&key, &node, first)?;
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
            place <= known || trouble.text != settle::PAGE_LOST
        });
        Ok(())
    }

    fn is_blocked(&self, key: &Key) -> bool {
        !self.blocked.is_empty() && std::iter::successors(Some(key.clone()), Key::parent).any(|folder| self.blocked.contains(&folder))
    }

    fn finish_last(&mut self, open: &mut Vec<(Key, Node)>) -> Result<(), VaultError> {
        let Some((key, node)) = open.pop().filter(|_| !self.options.dry_run) else {
            return Ok(());
        };
        if self.must(&key, self.target.finish_folder(&key, &node))? && self.options.read_back {
            let differences = compare::metadata_differences(self.target, &key, &node);
            self.compared(&key, &differences);
        }
        Ok(())
    }

    fn link(&mut self, place: &Key, node: &Node, first: &Key) -> Result<(), VaultError> {
        let at = match self.detours.get(place) {
            Some(None) => return Ok(()),
            Some(Some(at)) => at.clone(),
            None => place.clone(),
        };
        let to = match self.owners.get(first) {
            Some(owner) => owner.clone(),
            None => self.place(first),
        };
        let Some(to) = to.filter(|to| !self.lost.contains(to) && !self.is_blocked(to)) else {
            if !self.lost.contains(place) {
                self.trouble(place.clone(), format!("it is another path of {first}, which could not be restored"));
            }
            return Ok(());
        };
        if !self.options.dry_run && !self.must(place, self.target.link(&at, &to))? {
            return Ok(());
        }
        self.report.others += 1;
        let action = if at == *place { Action::Linked } else { Action::Renamed };
        self.note(place, &at, action, "");
        let checked = self.options.read_back && !self.options.dry_run;
        let same =
            checked.then(|| compare::metadata_differences(self.target, &at, node)).map(|differences| self.compared(&at, &differences));
        let renamed = (at != *place).then_some(&at);
        (self.listener)(Restored { key: place, renamed, kind: node.kind, content: None, action, same });
        Ok(())
    }
}
