//! The walk over an export of version 4.1 in the order of keys. Holds the entries of the folders on the current path.

use std::collections::VecDeque;

use bytes::Bytes;
use keepwell_format::port::Walked;
use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use keepwell_nfs::FileType;
use nfs_rs::{DirectoryCookie, NfsError, ReaddirplusEntry};

use super::super::node::node;
use super::{Tree41, attributes, gap, is_gone};

/// Entries of one folder at most, as the library holds them.
const MOST: usize = 1_000_000;
/// Levels below the root: a key has no room for more.
const DEEPEST: usize = 64 << 10;

pub(super) struct Walk41<'a> {
    tree: &'a Tree41,
    path: Vec<(Key, VecDeque<ReaddirplusEntry>)>,
    started: bool,
}

impl<'a> Walk41<'a> {
    pub(super) fn new(tree: &'a Tree41) -> Self {
        Self { tree, path: Vec::new(), started: false }
    }

    /// The next entry. Not to be called again after an error.
    pub(super) fn step(&mut self) -> Option<Result<Walked, NfsError>> {
        if !self.started {
            self.started = true;
            return Some(self.folder(Key::root(), self.tree.root.clone(), node(&self.tree.seen)));
        }
        loop {
            let (key, entries) = self.path.last_mut()?;
            let Some(entry) = entries.pop_front() else {
                self.path.pop();
                continue;
            };
            // Checked when the folder was listed.
            let Ok(key) = key.join(entry.file_name.as_bytes()) else { continue };
            return Some(self.entry(key, entry));
        }
    }

    fn entry(&mut self, key: Key, entry: ReaddirplusEntry) -> Result<Walked, NfsError> {
        let Some(seen) = entry.attr.as_ref().and_then(attributes) else {
            let mut node = Node::new(Kind::Unknown);
            node.gap = Some(Gap { reason: GapReason::Metadata, text: "the server told nothing but its name".into() });
            return Ok(Walked { key, node, size: 0, streams: Vec::new() });
        };
        let mut node = node(&seen);
        match seen.kind {
            FileType::Folder => return self.folder(key, entry.handle, node),
            FileType::Symlink => match self.tree.call(self.tree.mount.readlink(entry.handle)) {
                Ok(target) => node.target = Some(target.into_bytes()),
                Err(error) if is_gone(&error) => return Err(error),
                Err(error) => node.gap = Some(gap(&error, GapReason::Read)),
            },
            _ => {}
        }
        let size = if node.kind == Kind::File { seen.size } else { 0 };
        Ok(Walked { key, node, size, streams: Vec::new() })
    }

    /// Lists a folder and makes it the current one.
    fn folder(&mut self, key: Key, handle: Bytes, mut node: Node) -> Result<Walked, NfsError> {
        let (mut entries, mut lost) = (Vec::new(), None);
        match self.list(handle.clone(), &mut entries) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => return Err(error),
            Err(error) => {
                let gap = gap(&error, GapReason::Listing);
                lost = Some(if gap.reason == GapReason::Permission { gap } else { Gap { reason: GapReason::Listing, ..gap } });
            }
        }
        entries.sort_unstable_by(|a, b| a.file_name.cmp(&b.file_name));
        entries.dedup_by(|a, b| a.file_name == b.file_name);
        let listed = entries.len();
        entries.retain(|entry| key.join(entry.file_name.as_bytes()).is_ok());
        if entries.len() < listed {
            lost = lost.or(Some(Gap { reason: GapReason::Name, text: "it holds names that can't be kept".into() }));
        }
        node.gap = lost;
        self.tree.keep(key.as_bytes(), handle);
        if self.path.len() < DEEPEST {
            self.path.push((key.clone(), entries.into()));
        }
        Ok(Walked { key, node, size: 0, streams: Vec::new() })
    }

    fn list(&self, handle: Bytes, entries: &mut Vec<ReaddirplusEntry>) -> Result<(), NfsError> {
        let mut position = DirectoryCookie::default();
        loop {
            let page = self.tree.call(self.tree.mount.readdirplus_page(handle.clone(), position))?;
            entries.extend(page.entries.into_iter().filter(|entry| entry.file_name != "." && entry.file_name != ".."));
            if page.eof {
                return Ok(());
            }
            if page.next == position || entries.len() > MOST {
                return Err(NfsError::Rpc("the listing does not end".into()));
            }
            position = page.next;
        }
    }
}
