//! Puts metadata on what was restored. The order matters: owner (clears set-id bits), mode, access lists (they change the mode's group bits), and
//! times last. Calls that depend on each other are never in flight together: servers may work on them in any order.

use keepwell_format::{Kind, Node, Time};
use keepwell_nfs::{AccessLists, Attributes, Handle, NfsError, SetAttributes, SetTime, Status, Timestamp};

use super::access_list;
use super::gaps::words;
use super::tree::Tree;

/// Set-user-id and set-group-id.
const SET_ID: u16 = 0o6000;

/// What is to be set, and on what.
pub(super) struct Apply<'a> {
    pub(super) tree: &'a Tree,
    pub(super) handle: &'a Handle,
    /// What is known of it already.
    pub(super) seen: Option<Attributes>,
    /// It may have inherited access lists that the node has not.
    pub(super) inherits: bool,
    /// Takes what can't be set, in words.
    pub(super) warn: &'a mut dyn FnMut(String),
}

impl Apply<'_> {
    /// Hands everything that failed to `warn`; fatal errors are returned.
    pub(super) fn apply(mut self, node: &Node) -> Result<(), NfsError> {
        let owned = self.owner(node)?;
        let mut last = SetAttributes::default();
        if let Some(owner) = node.owner.filter(|_| node.kind != Kind::Symlink) {
            // A set-id file that belongs to somebody else than it should is a hole.
            last.mode = Some(if owned { owner.mode } else { owner.mode & !SET_ID }.into());
        }
        if let Some(lists) = self.lists(node) {
            self.set(std::mem::take(&mut last), "mode")?;
            let set = self.tree.link.call(|export| export.begin_set_access_lists(self.handle, &lists));
            self.tell(set, "access list")?;
        }
        match node.mtime.map(stamp) {
            Some(Some(mtime)) => last.mtime = SetTime::To(mtime),
            Some(None) => (self.warn)("time: NFS version 3 only knows the years 1970 to 2106".into()),
            None => {}
        }
        self.set(last, "mode or time")?;
        if node.descriptor.is_some() {
            (self.warn)("security descriptor: NFS version 3 has none".into());
        }
        for attribute in node.attributes.iter().filter(|attribute| !access_list::is_list(attribute)) {
            (self.warn)(format!("attribute {}: NFS version 3 has none", attribute.name.escape_ascii()));
        }
        Ok(())
    }

    /// Whether it belongs to whom it should now.
    fn owner(&mut self, node: &Node) -> Result<bool, NfsError> {
        let Some(owner) = node.owner else { return Ok(true) };
        if self.seen.is_some_and(|seen| (seen.uid, seen.gid) == (owner.uid, owner.gid)) {
            return Ok(true);
        }
        let set = |uid| SetAttributes { uid, gid: Some(owner.gid), ..SetAttributes::default() };
        let call = |set: SetAttributes| self.tree.link.call(|export| export.begin_set_attributes(self.handle, &set));
        let mut owned = call(set(Some(owner.uid)));
        if owned.as_ref().is_err_and(may_not) && self.seen.is_some_and(|seen| seen.uid == owner.uid) {
            // A user may still give a file to a group of theirs.
            owned = call(set(None));
        }
        let is_owned = owned.is_ok();
        self.tell(owned, "owner")?;
        Ok(is_owned)
    }

    /// The lists to set, if any.
    fn lists(&mut self, node: &Node) -> Option<AccessLists> {
        if node.kind == Kind::Symlink {
            return None;
        }
        let mut lists = access_list::lists(&node.attributes);
        let none = lists == AccessLists::default();
        if !self.tree.has_access_lists() {
            if !none {
                (self.warn)("access list: this server offers none over NFS version 3".into());
            }
            return None;
        }
        if none && !self.inherits {
            return None;
        }
        if lists.access.is_empty() {
            lists.access = access_list::of_mode(node.owner?.mode);
        }
        Some(lists)
    }

    fn set(&mut self, set: SetAttributes, what: &str) -> Result<(), NfsError> {
        if set == SetAttributes::default() {
            return Ok(());
        }
        let done = self.tree.link.call(|export| export.begin_set_attributes(self.handle, &set));
        self.tell(done, what)
    }

    fn tell(&mut self, result: Result<(), NfsError>, what: &str) -> Result<(), NfsError> {
        match result {
            Err(error) if is_fatal(&error) => Err(error),
            Err(error) => {
                (self.warn)(format!("{what}: {}", words(&error)));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Whether nothing further can be written.
pub(super) fn is_fatal(error: &NfsError) -> bool {
    error.is_gone() || matches!(error.status(), Some(Status::NOSPC | Status::DQUOT | Status::ROFS | Status::NODEV))
}

pub(super) fn may_not(error: &NfsError) -> bool {
    matches!(error.status(), Some(Status::PERM | Status::ACCES))
}

fn stamp(time: Time) -> Option<Timestamp> {
    u32::try_from(time.seconds).ok().map(|seconds| Timestamp { seconds, nanos: time.nanos })
}
