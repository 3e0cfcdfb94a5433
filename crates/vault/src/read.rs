//! Single entries and files of a snapshot, for whoever wants bytes and no restore: looked up, listed from a name on, walked past damage, streamed.
//!
//! Must never give out the end of a file whose bytes were not those that were backed up.

use std::ops::ControlFlow;

use keepwell_format::node::Content;
use keepwell_format::{Extent, GapReason, Key, Kind, Node};

use crate::VaultError;
use crate::catalog::{Cursor, for_each_extent};
use crate::chunker::ContentHasher;
use crate::snapshot::Snapshot;
use crate::vault::Vault;

/// Holes come in pieces of so many zeros.
pub(crate) static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A file whose content the vault has.
#[derive(Clone, Debug)]
pub struct StoredFile {
    /// What the snapshot says of it; of the first of its paths, where it has several.
    pub node: Node,
    content: Content,
}

impl StoredFile {
    /// A file by its entry, if that says where its bytes are. What changed while it was read is whole as far as anybody knows; what has a gap is not, unless only its metadata has.
    pub fn of(node: Node) -> Result<Self, VaultError> {
        if let Some(gap) = node.gap.as_ref().filter(|gap| gap.reason != GapReason::Metadata) {
            return Err(VaultError::NotRead(gap.text.clone()));
        }
        match (&node.content, node.kind) {
            (Some(content), Kind::File) => Ok(Self { content: content.clone(), node }),
            (None, Kind::File) => Err(VaultError::NotRead("its content was not kept".to_owned())),
            _ => Err(VaultError::NoFile),
        }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// Bytes, holes included.
    pub fn size(&self) -> u64 {
        self.content.size
    }
}

/// What a walk comes by.
#[derive(Clone, Debug)]
pub enum Below {
    /// An entry.
    Entry(Key, Box<Node>),
    /// Entries from this key on are lost; those behind them come next.
    Lost(Key),
}

impl Vault {
    /// The entry at a path, if there is one.
    pub fn entry(&self, snapshot: &Snapshot, key: &Key) -> Result<Option<Node>, VaultError> {
        let reader = self.reader();
        Ok(Cursor::new(&reader, snapshot, key).next()?.filter(|(found, _)| found == key).map(|(_, node)| node))
    }

    /// The file at a path; also one that has its content under another of its paths.
    pub fn open_file(&self, snapshot: &Snapshot, key: &Key) -> Result<StoredFile, VaultError> {
        let node = self.entry(snapshot, key)?.ok_or_else(|| VaultError::NoPath(key.to_string()))?;
        self.file_of(snapshot, node)
    }

    /// The same, of an entry that is known.
    pub fn file_of(&self, snapshot: &Snapshot, node: Node) -> Result<StoredFile, VaultError> {
        match node.link_to.as_ref().filter(|_| node.content.is_none() && node.kind == Kind::File) {
            Some(first) => StoredFile::of(self.entry(snapshot, first)?.ok_or_else(|| VaultError::NoPath(first.to_string()))?),
            None => StoredFile::of(node),
        }
    }

    /// Hands a file's bytes out in order, until `out` breaks it off; answers whether it did. The last piece comes when the hash of all is right: after an error, what came is no file.
    pub fn read_file(&self, file: &StoredFile, out: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<ControlFlow<()>, VaultError> {
        let reader = self.reader();
        let content = &file.content;
        let mut flow = Flow { out, hash: ContentHasher::default(), size: 0, held: Vec::new(), stopped: false };
        let walked = for_each_extent(&reader, &content.extents, &mut |extent| {
            let blob = reader.fetch(&extent.blob)?;
            let from = extent.offset as usize;
            let bytes = from.checked_add(extent.length as usize).and_then(|end| blob.get(from..end));
            let bytes = bytes.ok_or_else(|| lost(&extent, "it is shorter than the file needs"))?;
            let end = extent.at.checked_add(u64::from(extent.length)).filter(|end| *end <= content.size && extent.at >= flow.size);
            end.ok_or_else(|| lost(&extent, "its place in the file is taken, or behind its end"))?;
            flow.hole(extent.at - flow.size);
            flow.data(bytes);
            // Stands for what is not read any more; nobody gets to see it.
            if flow.stopped { Err(lost(&extent, "")) } else { Ok(()) }
        });
        if flow.stopped {
            return Ok(ControlFlow::Break(()));
        }
        walked?;
        flow.finish(content)
    }

    /// Visits what lies directly in `folder`, behind the name `after`, until `visit` breaks it off; the entry itself when it is no folder.
    pub fn list_after(
        &self,
        snapshot: &Snapshot,
        folder: &Key,
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&Key, &Node) -> ControlFlow<()>,
    ) -> Result<(), VaultError> {
        let node = self.entry(snapshot, folder)?.ok_or_else(|| VaultError::NoPath(folder.to_string()))?;
        if node.kind != Kind::Folder {
            let _ = visit(folder, &node);
            return Ok(());
        }
        let reader = self.reader();
        let depth = folder.components().count() + 1;
        // What can be no name has nothing behind it but what is behind all names that sort before it: the walk passes them over.
        let start = after.and_then(|name| folder.join(name).ok());
        let mut cursor = match &start {
            Some(name) => Cursor::new(&reader, snapshot, &behind(name, depth)),
            None => Cursor::new(&reader, snapshot, folder),
        };
        while let Some((key, node)) = cursor.next()? {
            if !key.is_in(folder) {
                break;
            }
            if key.components().count() > depth {
                cursor = Cursor::new(&reader, snapshot, &behind(&key, depth));
            } else if key != *folder && after.is_none_or(|after| key.name() > after) && visit(&key, &node).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Visits an entry and all below it, past what is lost, until `visit` breaks it off.
    pub fn walk_below(&self, snapshot: &Snapshot, from: &Key, visit: &mut dyn FnMut(Below) -> ControlFlow<()>) -> Result<(), VaultError> {
        let reader = self.reader();
        let mut cursor = Cursor::new(&reader, snapshot, from);
        let mut any = false;
        loop {
            let mut damage = Vec::new();
            let next = cursor.next_past_damage(&mut |lost| damage.push(lost))?;
            for lost in damage.into_iter().filter(|lost| lost.touches(from)) {
                any = true;
                if visit(Below::Lost(lost.from)).is_break() {
                    return Ok(());
                }
            }
            let Some((key, node)) = next.filter(|(key, _)| key.is_in(from)) else { break };
            any = true;
            if visit(Below::Entry(key, Box::new(node))).is_break() {
                return Ok(());
            }
        }
        if any { Ok(()) } else { Err(VaultError::NoPath(from.to_string())) }
    }
}

/// The first possible key behind what `key`'s first `depth` components name, and all that is in it.
fn behind(key: &Key, depth: usize) -> Key {
    let mut bytes = key.components().take(depth).collect::<Vec<_>>().join(&0);
    bytes.push(1);
    // Nothing can be in what has the longest key there is.
    Key::from_bytes(bytes).unwrap_or_else(|_| key.clone())
}

pub(crate) fn lost(extent: &Extent, why: &str) -> VaultError {
    VaultError::BlobLost { id: extent.blob.short(), why: why.to_owned() }
}

/// Bytes on their way out. One piece is held back until it is known not to be the last, or that all was right.
struct Flow<'a> {
    out: &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    hash: ContentHasher,
    size: u64,
    held: Vec<u8>,
    stopped: bool,
}

impl Flow<'_> {
    fn data(&mut self, bytes: &[u8]) {
        self.hash.data(bytes);
        self.put(bytes);
    }

    fn hole(&mut self, mut length: u64) {
        self.hash.hole(length);
        while length > 0 && !self.stopped {
            let piece = length.min(ZEROS.len() as u64);
            self.put(&ZEROS[..piece as usize]);
            length -= piece;
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if !self.held.is_empty() && !self.stopped {
            self.stopped = (self.out)(&self.held).is_break();
        }
        self.held.clear();
        self.held.extend_from_slice(bytes);
    }

    fn finish(mut self, content: &Content) -> Result<ControlFlow<()>, VaultError> {
        self.hole(content.size.saturating_sub(self.size));
        if self.stopped {
            return Ok(ControlFlow::Break(()));
        }
        let (size, hash) = self.hash.finish();
        if size != content.size || hash != content.hash {
            let why = "the file put together from its blobs does not have the hash it had when it was backed up".to_owned();
            return Err(VaultError::BlobLost { id: "of a file".to_owned(), why });
        }
        Ok(if self.held.is_empty() { ControlFlow::Continue(()) } else { (self.out)(&self.held) })
    }
}
