//! What an export lets this machine do with its root and with a sample of what is below it (ACCESS, RFC 1813 section 3.3.4). Users are claimed and not proven over NFS,
//! so whoever has the box may claim to be anyone: it is asked for the user that reads, for root, and for whom each entry belongs to.

use std::collections::VecDeque;
use std::time::Instant;

use keepwell_format::{Gap, GapReason};
use keepwell_nfs::{Attributes, FileType, Handle, Identity, NfsError, Verifier, access};

use super::gaps::gap;
use super::tree::Tree;
use crate::check::rights::{FILES, FILES_EACH, FOLDERS, LOOKED_AT, May, Sample};

const ASKED: u32 = access::READ | access::MODIFY | access::EXTEND | access::DELETE;

/// Asks of the root, and breadth first of what is below it. No folder is looked into after `until`.
pub(super) fn sample(tree: &Tree, until: Instant) -> Result<Sample, Gap> {
    let mut sampling = Sampling { tree, sample: Sample::default(), waiting: VecDeque::new(), folders: 0, files: 0 };
    let root = tree.handles.root().clone();
    let done = sampling.ask(&root, &tree.root).and_then(|()| {
        sampling.waiting.push_back(root);
        while let Some(folder) = sampling.waiting.pop_front().filter(|_| Instant::now() < until) {
            sampling.look_into(&folder)?;
        }
        Ok(())
    });
    done.map(|()| sampling.sample).map_err(|error| gap(&error, GapReason::Read))
}

struct Sampling<'a> {
    tree: &'a Tree,
    sample: Sample,
    /// Folders that were asked about and not looked into: fewer than those that are asked about in all.
    waiting: VecDeque<Handle>,
    folders: usize,
    files: usize,
}

impl Sampling<'_> {
    /// Takes the first page of a folder: as many entries as fit into one answer.
    fn look_into(&mut self, folder: &Handle) -> Result<(), NfsError> {
        let page = match self.tree.link.call(|export| export.begin_list(folder, 0, Verifier::default())) {
            Ok(page) => page,
            Err(error) => return lost(error),
        };
        let mut files = 0;
        for entry in page.entries.iter().take(LOOKED_AT as usize) {
            self.sample.entries += 1;
            let (Some(handle), Some(seen)) = (&entry.handle, &entry.attributes) else { continue };
            if seen.kind == FileType::Folder && self.folders < FOLDERS {
                self.folders += 1;
                self.ask(handle, seen)?;
                self.waiting.push_back(handle.clone());
            } else if seen.kind == FileType::Regular && files < FILES_EACH && self.files < FILES {
                files += 1;
                self.files += 1;
                self.ask(handle, seen)?;
            }
        }
        Ok(())
    }

    /// What anyone may do whom this machine can claim to be. None if the server answered for nobody.
    fn ask(&mut self, handle: &Handle, seen: &Attributes) -> Result<(), NfsError> {
        let own = &self.tree.identity;
        let other = |uid, gid| Identity { uid, gid, groups: Vec::new(), machine: own.machine.clone() };
        let mut told = None;
        for user in [own.clone(), other(0, 0), other(seen.uid, seen.gid)] {
            match self.tree.link.call(|export| export.begin_access_as(&user, handle, ASKED)) {
                Ok(granted) => told = Some(told.unwrap_or(May::NOTHING).or(may(granted, seen.kind == FileType::Folder))),
                Err(error) => lost(error)?,
            }
        }
        self.sample.take(told);
        Ok(())
    }
}

/// Only a connection that is lost is an error: what the server refuses is not told.
fn lost(error: NfsError) -> Result<(), NfsError> {
    if error.is_gone() { Err(error) } else { Ok(()) }
}

pub(super) fn may(granted: u32, is_folder: bool) -> May {
    let has = |bits: u32| granted & bits != 0;
    let changes = has(access::MODIFY | access::EXTEND);
    May { add: is_folder && changes, write: !is_folder && changes, delete: is_folder && has(access::DELETE), change_rights: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_to_look_is_no_right_to_change() {
        assert_eq!(may(access::READ | access::LOOKUP | access::EXECUTE, true), May::NOTHING);
        assert_eq!(may(access::MODIFY, false), May { write: true, ..May::NOTHING });
        assert_eq!(may(access::EXTEND | access::DELETE, true), May { add: true, delete: true, ..May::NOTHING });
        // Servers give DELETE of a file whatever its folder says (RFC 1813 section 3.3.4).
        assert_eq!(may(access::READ | access::DELETE, false), May::NOTHING);
    }
}
