//! What the account may do with a share's root and with a sample of what is below it: its maximal access, as the server computes it (MS-SMB2 2.2.10 of the share,
//! 2.2.14.2.5 of each entry). Opens everything for its attributes alone.

use std::collections::VecDeque;
use std::time::Instant;

use keepwell_format::Gap;
use keepwell_smb::{DirEntry, SmbError, Want, WidePath, access};

use super::gap;
use super::metadata::is_reparse;
use super::session::Session;
use super::source::SmbSource;
use crate::check::rights::{FILES, FILES_EACH, FOLDERS, LOOKED_AT, May, Sample};

/// Rights without which nothing can be changed through a share.
const TO_CHANGE: u32 = access::WRITE_DATA | access::APPEND_DATA | access::WRITE_EA | access::WRITE_ATTRIBUTES | access::DELETE_CHILD;

impl SmbSource {
    /// Asks of the root, and breadth first of what is below it. No folder is looked into after `until`.
    pub(crate) fn sample(&self, until: Instant) -> Result<Sample, Gap> {
        let session = self.session();
        let mut sampling = Sampling { session, sample: Sample::default(), waiting: VecDeque::new(), folders: 0, files: 0 };
        let root = session.root.clone();
        sampling.ask(&root, true)?;
        sampling.waiting.push_back(root);
        while let Some(folder) = sampling.waiting.pop_front().filter(|_| Instant::now() < until) {
            sampling.look_into(&folder)?;
        }
        // What such an account may do at an entry, the entry does not say: only the share itself keeps it from writing.
        if session.facts.maximal_access & TO_CHANGE != 0 && self.has_backup_rights()? {
            sampling.sample.told = false;
        }
        Ok(sampling.sample)
    }

    /// Whether the account has the rights of a backup operator, with which whoever asks for them writes, deletes and takes over what its list forbids: it reads audit lists.
    fn has_backup_rights(&self) -> Result<bool, Gap> {
        let session = self.session();
        let want = Want { descriptor: true, sacl: true, ..Want::default() };
        match session.again(|share| share.begin_stat(&session.root, want, None)?.wait()) {
            Ok(stat) => Ok(stat.has_sacl && self.reads_audit_lists()),
            Err(error) => lost(error).map(|()| false),
        }
    }
}

struct Sampling<'a> {
    session: &'a Session,
    sample: Sample,
    /// Folders that were asked about and not looked into: fewer than those that are asked about in all.
    waiting: VecDeque<WidePath>,
    folders: usize,
    files: usize,
}

impl Sampling<'_> {
    /// A folder that can't be listed has no sample; a connection that is lost ends it all.
    fn look_into(&mut self, folder: &WidePath) -> Result<(), Gap> {
        let (mut seen, mut files) = (0, 0);
        let mut listing = match self.session.again(|share| share.list(folder, None)) {
            Ok(listing) => listing,
            Err(error) => return lost(error),
        };
        while seen < LOOKED_AT && (self.folders < FOLDERS || files < FILES_EACH && self.files < FILES) {
            let batch = match listing.next_batch() {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(error) => return lost(error),
            };
            seen += batch.len() as u64;
            for entry in &batch {
                self.entry(folder, entry, &mut files)?;
            }
        }
        self.sample.entries += seen;
        Ok(())
    }

    fn entry(&mut self, folder: &WidePath, entry: &DirEntry, files: &mut usize) -> Result<(), Gap> {
        // What a link leads to is not part of the tree.
        if is_reparse(entry.info.attributes, entry.reparse_tag) {
            return Ok(());
        }
        let Ok(path) = folder.join(&entry.name) else { return Ok(()) };
        if entry.info.is_directory {
            if self.folders < FOLDERS {
                self.folders += 1;
                self.ask(&path, true)?;
                self.waiting.push_back(path);
            }
        } else if *files < FILES_EACH && self.files < FILES {
            *files += 1;
            self.files += 1;
            self.ask(&path, false)?;
        }
        Ok(())
    }

    fn ask(&mut self, path: &WidePath, is_folder: bool) -> Result<(), Gap> {
        let want = Want { maximal_access: true, ..Want::default() };
        let granted = match self.session.again(|share| share.begin_stat(path, want, None)?.wait()) {
            Ok(stat) => stat.maximal_access,
            Err(error) => {
                lost(error)?;
                None
            }
        };
        self.sample.take(may(self.session.facts.maximal_access, granted, is_folder));
        Ok(())
    }
}

/// Only a connection that is lost is an error: what the server refuses is not told.
fn lost(error: SmbError) -> Result<(), Gap> {
    if error.is_gone() { Err(gap(&error)) } else { Ok(()) }
}

/// What both the share and the entry allow. None if the server does not say.
fn may(share: u32, entry: Option<u32>, is_folder: bool) -> Option<May> {
    // Samba leaves rights to delete and to change rights standing in the mask of a share that it lets nobody write to, and heeds none of them. No other server
    // gives these without the rest.
    if share & TO_CHANGE == 0 {
        return Some(May::NOTHING);
    }
    let granted = share & entry?;
    let has = |rights: u32| granted & rights != 0;
    let of_data = has(access::WRITE_DATA | access::APPEND_DATA);
    Some(May {
        add: is_folder && of_data,
        write: (!is_folder && of_data) || has(access::WRITE_EA | access::WRITE_ATTRIBUTES),
        delete: has(access::DELETE) || (is_folder && has(access::DELETE_CHILD)),
        change_rights: has(access::WRITE_DAC | access::WRITE_OWNER),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = 0x001F_01FF;
    const READ: u32 = 0x0012_00A9;

    #[test]
    fn both_the_share_and_the_entry_have_to_allow_it() {
        let everything = May { add: true, write: true, delete: true, change_rights: true };
        assert_eq!(may(ALL, Some(ALL), true), Some(everything));
        assert_eq!(may(ALL, Some(ALL), false), Some(May { add: false, ..everything }));
        for (share, entry) in [(READ, ALL), (ALL, READ), (READ, READ)] {
            assert_eq!(may(share, Some(entry), true), Some(May::NOTHING), "{share:x} {entry:x}");
        }
    }

    #[test]
    fn each_right_to_change_something_counts() {
        for (bit, is_folder, wanted) in [
            (access::WRITE_DATA, true, May { add: true, ..May::NOTHING }),
            (access::APPEND_DATA, true, May { add: true, ..May::NOTHING }),
            (access::WRITE_DATA, false, May { write: true, ..May::NOTHING }),
            (access::WRITE_ATTRIBUTES, false, May { write: true, ..May::NOTHING }),
            (access::DELETE, false, May { delete: true, ..May::NOTHING }),
            (access::DELETE_CHILD, true, May { delete: true, ..May::NOTHING }),
            (access::WRITE_DAC, true, May { change_rights: true, ..May::NOTHING }),
            (access::WRITE_OWNER, false, May { change_rights: true, ..May::NOTHING }),
        ] {
            assert_eq!(may(ALL, Some(READ | bit), is_folder), Some(wanted), "{bit:x}");
        }
    }

    #[test]
    fn a_server_that_does_not_say_is_not_taken_for_one_that_says_no() {
        assert_eq!(may(ALL, None, true), None);
        // Of a share that lets nobody write.
        assert_eq!(may(READ, None, true), Some(May::NOTHING));
        assert_eq!(may(0x001F_00A9, Some(ALL), true), Some(May::NOTHING));
    }
}
