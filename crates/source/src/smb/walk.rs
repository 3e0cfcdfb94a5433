//! The walk over a share, one listing per folder, in the order of keys. Holds the listings of the current path.

use keepwell_format::node::FileId;
use keepwell_format::port::Walked;
use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use smb2::{DirectoryEntry, ListOptions};

use super::source::SmbSource;
use super::{gap, is_gone, time};

pub(super) struct SmbWalk<'a> {
    source: &'a SmbSource,
    path: Vec<Folder>,
    started: bool,
    gone: bool,
}

struct Folder {
    key: Key,
    /// Still to come, in descending order.
    entries: Vec<DirectoryEntry>,
    id: Option<u64>,
}

/// What a folder's own listing says of it.
struct Listing {
    this: Option<DirectoryEntry>,
    entries: Vec<DirectoryEntry>,
}

impl<'a> SmbWalk<'a> {
    pub(super) fn new(source: &'a SmbSource) -> Self {
        Self { source, path: Vec::new(), started: false, gone: false }
    }

    fn step(&mut self) -> Option<Result<Walked, Gap>> {
        if !self.started {
            self.started = true;
            let mut root = DirectoryEntry::default();
            root.is_directory = true;
            return Some(self.folder(Key::root(), root));
        }
        loop {
            let current = self.path.last_mut()?;
            let Some(entry) = current.entries.pop() else {
                self.path.pop();
                continue;
            };
            // Checked when the folder was listed.
            let Ok(key) = current.key.join(entry.name.as_bytes()) else { continue };
            return Some(if entry.is_directory && entry.reparse_tag.is_none() { self.folder(key, entry) } else { Ok(file(key, &entry)) });
        }
    }

    fn folder(&mut self, key: Key, entry: DirectoryEntry) -> Result<Walked, Gap> {
        let mut node = node(&entry);
        if entry.index_number.is_some() && self.path.iter().any(|above| above.id == entry.index_number) {
            node.gap =
                Some(Gap { reason: GapReason::Unsupported, text: "a link to a folder above it: the folder would contain itself".into() });
            return Ok(Walked { key, node, size: 0, streams: Vec::new() });
        }
        match self.list(&key) {
            Ok(Listing { this, mut entries }) => {
                if let (true, Some(this)) = (key.is_root(), &this) {
                    node = self::node(this);
                    node.kind = Kind::Folder;
                }
                node.gap = prepare(&key, &mut entries).or(node.gap);
                let id = this.and_then(|this| this.index_number).or(entry.index_number);
                self.path.push(Folder { key: key.clone(), entries, id });
            }
            Err(error) if is_gone(error.kind()) => return Err(gap(&error)),
            Err(error) => node.gap = Some(gap(&error)),
        }
        Ok(Walked { key, node, size: 0, streams: Vec::new() })
    }

    fn list(&self, key: &Key) -> smb2::Result<Listing> {
        let path = self.source.path(key);
        let mut connection = self.source.connection.clone();
        let options = ListOptions::new().index_numbers(true);
        let mut entries = self.source.runtime.block_on(self.source.tree.list_directory_with(&mut connection, &path, options))?;
        let this = entries.iter().position(|entry| entry.name == ".").map(|at| entries.swap_remove(at));
        entries.retain(|entry| entry.name != "..");
        Ok(Listing { this, entries })
    }
}

/// Sorts entries for popping. Those whose names make no key, or the same key as another's, are left out: that is the folder's gap.
fn prepare(folder: &Key, entries: &mut Vec<DirectoryEntry>) -> Option<Gap> {
    let listed = entries.len();
    entries.retain(|entry| folder.join(entry.name.as_bytes()).is_ok());
    entries.sort_unstable_by(|a, b| b.name.as_bytes().cmp(a.name.as_bytes()));
    entries.dedup_by(|a, b| a.name == b.name);
    let lost = listed - entries.len();
    (lost > 0).then(|| Gap { reason: GapReason::Name, text: format!("{lost} entries of this folder have names that can't be kept") })
}

fn file(key: Key, entry: &DirectoryEntry) -> Walked {
    let mut node = node(entry);
    if let Some(tag) = entry.reparse_tag {
        node.kind = Kind::Reparse;
        node.gap = Some(Gap { reason: GapReason::Unsupported, text: format!("a link or another reparse point ({tag:?})") });
    }
    let size = if node.kind == Kind::File { entry.size } else { 0 };
    Walked { key, node, size, streams: Vec::new() }
}

fn node(entry: &DirectoryEntry) -> Node {
    let mut node = Node::new(if entry.is_directory { Kind::Folder } else { Kind::File });
    node.mtime = time(entry.modified);
    node.ctime = time(entry.changed);
    node.btime = time(entry.created);
    node.dos = Some(entry.attributes.0);
    node.file_id = entry.index_number.map(|file| FileId { volume: 0, file: file.into() });
    node
}

impl Iterator for SmbWalk<'_> {
    type Item = Result<Walked, Gap>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.gone {
            return None;
        }
        let step = self.step();
        self.gone = matches!(step, Some(Err(_)));
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> DirectoryEntry {
        let mut entry = DirectoryEntry::default();
        entry.name = name.into();
        entry
    }

    #[test]
    fn names_are_popped_in_the_order_of_bytes_and_impossible_ones_are_a_gap() {
        let mut entries: Vec<_> = ["b", "a/../x", "\u{10000}", "a", "", "\u{FFFD}", "b", "..", "Z"].map(entry).into();
        let gap = prepare(&Key::root(), &mut entries).unwrap();
        assert_eq!((gap.reason, gap.text.as_str()), (GapReason::Name, "4 entries of this folder have names that can't be kept"));
        let popped: Vec<_> = std::iter::from_fn(|| entries.pop()).map(|entry| entry.name).collect();
        assert_eq!(popped, ["Z", "a", "b", "\u{FFFD}", "\u{10000}"]);
    }
}
