//! The walk over an export in the order of keys. Listings of the next folders, targets of the next links and so on are asked for ahead.
//!
//! Holds the entries of the folders on the current path, and what was asked for ahead: both bounded.

use std::collections::{HashSet, VecDeque};

use keepwell_format::port::Walked;
use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use keepwell_nfs::{AccessLists, Attributes, Entry, Export, FileType, Handle, NfsError, access};

use super::gaps::gap;
use super::link::Sent;
use super::listing::{Listed, Listing};
use super::node::node;
use super::tree::Tree;

/// Calls asked for ahead, in all folders of the path.
const AHEAD: usize = 96;
/// Listings among them, each up to 1 MiB.
const FOLDERS_AHEAD: usize = 24;
/// Listings asked for ahead in one folder: deep trees leave some for the folders further down.
const FOLDERS_AHEAD_EACH: usize = 8;

pub(super) struct NfsWalk<'a> {
    tree: &'a Tree,
    /// The folders from the root to the current one.
    path: Vec<Folder>,
    /// File system and number of each of them.
    above: HashSet<(u64, u64)>,
    started: bool,
    /// Asks of each file whether it may be read, so that it need not be opened to know.
    probing: bool,
    ahead: usize,
    folders_ahead: usize,
}

struct Folder {
    key: Key,
    handle: Handle,
    id: (u64, u64),
    /// Still to come.
    entries: VecDeque<Item>,
    /// How many of them were asked for ahead, or need nothing.
    asked: usize,
    folders_asked: usize,
}

struct Item {
    entry: Entry,
    more: Option<Box<More>>,
}

/// What was asked for ahead of an entry's turn.
enum More {
    Looked(Sent<(Handle, Option<Attributes>)>),
    Target(Sent<Vec<u8>>),
    Lists(Sent<AccessLists>),
    Access(Sent<u32>),
    Folder(Listing, Option<Sent<AccessLists>>),
}

impl<'a> NfsWalk<'a> {
    pub(super) fn new(tree: &'a Tree, probing: bool) -> Self {
        Self { tree, path: Vec::new(), above: HashSet::new(), started: false, probing, ahead: 0, folders_ahead: 0 }
    }

    /// The next entry. Not to be called again after an error.
    pub(super) fn step(&mut self) -> Option<Result<Walked, NfsError>> {
        if !self.started {
            self.started = true;
            let root = self.tree.handles.root().clone();
            let seen = self.tree.root;
            return Some(self.folder(Key::root(), root, seen, None));
        }
        loop {
            self.ask_ahead();
            let current = self.path.last_mut()?;
            let Some(Item { entry, more }) = current.entries.pop_front() else {
                self.above.remove(&current.id);
                self.path.pop();
                continue;
            };
            current.asked = current.asked.saturating_sub(1);
            if let Some(more) = &more {
                self.ahead -= 1;
                if let More::Folder(..) = **more {
                    current.folders_asked -= 1;
                    self.folders_ahead -= 1;
                }
            }
            // Checked when the folder was listed.
            let Ok(key) = current.key.join(&entry.name) else { continue };
            let folder = current.handle.clone();
            return Some(self.entry(&folder, key, entry, more.map(|more| *more)));
        }
    }

    /// Asks for what the next entries need, first in the current folder, then in those above it.
    fn ask_ahead(&mut self) {
        let mut levels = 0;
        for folder in self.path.iter_mut().rev() {
            while self.ahead < AHEAD && folder.asked < folder.entries.len() {
                let item = &mut folder.entries[folder.asked];
                let is_folder = item.entry.attributes.is_some_and(|seen| seen.kind == FileType::Folder);
                if is_folder && (self.folders_ahead >= FOLDERS_AHEAD || folder.folders_asked >= FOLDERS_AHEAD_EACH) {
                    break;
                }
                item.more = ask(self.tree, &folder.handle, &item.entry, self.probing).map(Box::new);
                folder.asked += 1;
                self.ahead += usize::from(item.more.is_some());
                if matches!(item.more.as_deref(), Some(More::Folder(..))) {
                    folder.folders_asked += 1;
                    self.folders_ahead += 1;
                }
            }
            levels += 1;
            if self.ahead >= AHEAD || self.folders_ahead >= FOLDERS_AHEAD || levels == 4 {
                break;
            }
        }
    }

    fn entry(&mut self, folder: &Handle, key: Key, entry: Entry, more: Option<More>) -> Result<Walked, NfsError> {
        let link = &self.tree.link;
        let name = entry.name;
        let (handle, seen, more) = match (entry.handle, entry.attributes, more) {
            (Some(handle), Some(seen), more) => (handle, seen, more),
            (_, _, Some(More::Looked(sent))) => {
                let looked = link.settle(sent, |export| export.begin_lookup(folder, &name));
                match looked.and_then(|(handle, seen)| self.seen(handle, seen)) {
                    Ok((handle, seen)) => (handle, seen, None),
                    Err(error) => return lost(key, &error),
                }
            }
            _ => {
                let looked = link.call(|export| export.begin_lookup(folder, &name));
                match looked.and_then(|(handle, seen)| self.seen(handle, seen)) {
                    Ok((handle, seen)) => (handle, seen, None),
                    Err(error) => return lost(key, &error),
                }
            }
        };
        if seen.kind == FileType::Folder {
            return self.folder(key, handle, seen, more);
        }
        self.file(key, handle, seen, more)
    }

    fn seen(&self, handle: Handle, seen: Option<Attributes>) -> Result<(Handle, Attributes), NfsError> {
        let seen = match seen {
            Some(seen) => seen,
            None => self.tree.link.call(|export| export.begin_attributes(&handle))?,
        };
        Ok((handle, seen))
    }

    fn file(&self, key: Key, handle: Handle, seen: Attributes, more: Option<More>) -> Result<Walked, NfsError> {
        let link = &self.tree.link;
        let mut node = node(&seen);
        match node.kind {
            Kind::File => {
                if self.probing {
                    node.gap = self.probe(&handle, more)?;
                }
                if let Some(id) = node.file_id {
                    self.tree.handles.keep_file(id, handle);
                }
                return Ok(Walked { key, node, size: seen.size, streams: Vec::new() });
            }
            Kind::Symlink => {
                let target = match more {
                    Some(More::Target(sent)) => link.settle(sent, |export| export.begin_target(&handle)),
                    _ => link.call(|export| export.begin_target(&handle)),
                };
                match target {
                    Ok(target) => node.target = Some(target),
                    Err(error) if error.is_gone() => return Err(error),
                    Err(error) => node.gap = Some(gap(&error, GapReason::Read)),
                }
            }
            _ => {
                let sent = match more {
                    Some(More::Lists(sent)) => Some(sent),
                    _ => self.ask_lists(&handle),
                };
                self.add_lists(&mut node, &handle, sent)?;
            }
        }
        Ok(Walked { key, node, size: 0, streams: Vec::new() })
    }

    /// Why a file can't be read.
    fn probe(&self, handle: &Handle, more: Option<More>) -> Result<Option<Gap>, NfsError> {
        let link = &self.tree.link;
        let begin = |export: &Export| export.begin_access(handle, access::READ);
        let granted = match more {
            Some(More::Access(sent)) => link.settle(sent, begin),
            _ => link.call(begin),
        };
        match granted {
            Ok(bits) if bits & access::READ != 0 => Ok(None),
            Ok(_) => Ok(Some(Gap { reason: GapReason::Permission, text: "the server does not let this user read it".into() })),
            Err(error) if error.is_gone() => Err(error),
            Err(error) => Ok(Some(gap(&error, GapReason::Read))),
        }
    }

    /// Lists a folder and makes it the current one.
    fn folder(&mut self, key: Key, handle: Handle, seen: Attributes, more: Option<More>) -> Result<Walked, NfsError> {
        let (listing, lists) = match more {
            Some(More::Folder(listing, lists)) => (listing, lists),
            _ => (Listing::begin(&self.tree.link, handle.clone(), false), self.ask_lists(&handle)),
        };
        let id = (seen.fsid, seen.fileid);
        if self.above.contains(&id) {
            let mut node = node(&seen);
            let text = "the server shows a folder above it once more: it would contain itself";
            node.gap = Some(Gap { reason: GapReason::Unsupported, text: text.into() });
            return Ok(Walked { key, node, size: 0, streams: Vec::new() });
        }
        let Listed { mut entries, attributes, gap } = listing.finish(&self.tree.link)?;
        let mut node = node(&attributes.filter(|now| now.kind == FileType::Folder && (now.fsid, now.fileid) == id).unwrap_or(seen));
        node.gap = gap;
        let listed = entries.len();
        entries.retain(|entry| key.join(&entry.name).is_ok());
        if entries.len() < listed {
            let text = "it holds names that can't be kept (the path is too long)";
            node.gap.get_or_insert(Gap { reason: GapReason::Name, text: text.into() });
        }
        self.add_lists(&mut node, &handle, lists)?;
        self.tree.handles.keep_folder(key.as_bytes(), handle.clone());
        self.above.insert(id);
        let entries = entries.into_iter().map(|entry| Item { entry, more: None }).collect();
        self.path.push(Folder { key: key.clone(), handle, id, entries, asked: 0, folders_asked: 0 });
        Ok(Walked { key, node, size: 0, streams: Vec::new() })
    }

    fn ask_lists(&self, handle: &Handle) -> Option<Sent<AccessLists>> {
        self.tree.has_access_lists().then(|| self.tree.link.send(|export| export.begin_access_lists(handle)))
    }

    fn add_lists(&self, node: &mut Node, handle: &Handle, sent: Option<Sent<AccessLists>>) -> Result<(), NfsError> {
        let Some(sent) = sent else { return Ok(()) };
        match self.tree.link.settle(sent, |export| export.begin_access_lists(handle)) {
            Err(error) if error.is_gone() => Err(error),
            lists => {
                Tree::add_lists(node, lists);
                Ok(())
            }
        }
    }
}

/// Sends what an entry needs beside its own listing. Regular files need nothing until they are read, unless that is probed.
fn ask(tree: &Tree, folder: &Handle, entry: &Entry, probing: bool) -> Option<More> {
    let link = &tree.link;
    let (Some(handle), Some(seen)) = (&entry.handle, &entry.attributes) else {
        return Some(More::Looked(link.send(|export| export.begin_lookup(folder, &entry.name))));
    };
    let lists = || tree.has_access_lists().then(|| link.send(|export| export.begin_access_lists(handle)));
    match seen.kind {
        FileType::Regular => probing.then(|| More::Access(link.send(|export| export.begin_access(handle, access::READ)))),
        FileType::Symlink => Some(More::Target(link.send(|export| export.begin_target(handle)))),
        FileType::Folder => Some(More::Folder(Listing::begin(link, handle.clone(), false), lists())),
        _ => lists().map(More::Lists),
    }
}

/// An entry of which only the name is known.
fn lost(key: Key, error: &NfsError) -> Result<Walked, NfsError> {
    if error.is_gone() {
        return Err(error.clone());
    }
    let mut node = Node::new(Kind::Unknown);
    node.gap = Some(gap(error, GapReason::Metadata));
    Ok(Walked { key, node, size: 0, streams: Vec::new() })
}
