//! The snapshot that unchanged entries are taken from, read in step with the walk.

use keepwell_format::manifest::SeqRanges;
use keepwell_format::port::Walked;
use keepwell_format::{GapReason, Key, Kind, Node, SnapshotId};

use crate::VaultError;
use crate::blobs::{BlobReader, pack_name};
use crate::catalog::{Cursor, for_each_extent};
use crate::snapshot::Snapshot;

/// The previous snapshot of the same source, or nothing.
pub(super) struct Base<'a> {
    reader: &'a BlobReader<'a>,
    snapshot: Option<Snapshot>,
    cursor: Option<Cursor<'a>>,
    next: Option<(Key, Node)>,
    /// Packs that the snapshot needs are gone: each of its blobs is looked up before it is relied on.
    doubtful: bool,
    needs: SeqRanges,
    /// Files that were asked for and found.
    met: u64,
}

impl<'a> Base<'a> {
    /// Begins to read a snapshot of the same tree.
    pub(super) fn open(reader: &'a BlobReader<'a>, snapshot: Option<&Snapshot>) -> Result<Self, VaultError> {
        let mut base =
            Self { reader, snapshot: snapshot.cloned(), cursor: None, next: None, doubtful: false, needs: SeqRanges::new(), met: 0 };
        if let Some(snapshot) = &base.snapshot {
            let mut present = SeqRanges::new();
            let packs = reader.index.packs()?.into_iter();
            packs.filter(|(id, _)| reader.pool.is_readable(pack_name(*id))).for_each(|(_, seq)| present.insert(seq));
            base.doubtful = !snapshot.needs.iter().all(|seq| present.contains(seq));
            // After a salvage an old entry's blobs lie in packs that the base does not name; then all that is there may be needed.
            base.needs = if base.doubtful { present } else { snapshot.needs.clone() };
            base.cursor = Some(Cursor::new(reader, snapshot, &Key::root()));
            base.step()?;
        }
        Ok(base)
    }

    /// A damaged catalog costs a full read of the source, not the run.
    fn give_up(&mut self, error: VaultError) -> Result<(), VaultError> {
        match error {
            VaultError::BlobLost { .. } | VaultError::Format { .. } => {
                tracing::warn!(%error, "the previous snapshot's catalog is damaged; reading everything from here on");
                (self.cursor, self.next) = (None, None);
                Ok(())
            }
            other => Err(other),
        }
    }

    fn step(&mut self) -> Result<(), VaultError> {
        let Some(cursor) = &mut self.cursor else {
            return Ok(());
        };
        match cursor.next() {
            Ok(next) => self.next = next,
            Err(error) => self.give_up(error)?,
        }
        Ok(())
    }

    /// The entry of that key. Keys must be asked for in ascending order.
    pub(super) fn at(&mut self, key: &Key) -> Result<Option<Node>, VaultError> {
        while self.next.as_ref().is_some_and(|(next, _)| next < key) {
            self.step()?;
        }
        if self.next.as_ref().is_none_or(|(next, _)| next != key) {
            return Ok(None);
        }
        let found = self.next.take().map(|(_, node)| node);
        self.met += u64::from(found.as_ref().is_some_and(|node| node.kind == Kind::File));
        self.step()?;
        Ok(found)
    }

    /// Whether all that the entry refers to is still there.
    pub(super) fn is_whole(&self, node: &Node) -> Result<bool, VaultError> {
        if !self.doubtful {
            return Ok(true);
        }
        let mut whole = true;
        for content in node.content.iter().chain(node.streams.iter().map(|stream| &stream.content)) {
            let seen = for_each_extent(self.reader, &content.extents, &mut |extent| {
                let places = self.reader.index.locate(&extent.blob)?;
                whole &= places.iter().any(|place| self.reader.pool.is_readable(pack_name(place.pack)));
                Ok(())
            });
            match seen {
                Err(VaultError::BlobLost { .. }) => whole = false,
                other => other?,
            }
        }
        Ok(whole)
    }

    /// Files of the snapshot that were asked for; none if that can't be told.
    pub(super) fn met(&self) -> Option<u64> {
        self.cursor.as_ref().map(|_| self.met)
    }

    pub(super) fn id(&self) -> SnapshotId {
        self.snapshot.as_ref().map_or(SnapshotId::NONE, |snapshot| snapshot.id)
    }

    pub(super) fn sequence(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.sequence)
    }

    pub(super) fn needs(&self) -> &SeqRanges {
        &self.needs
    }
}

/// Whether an entry is the file that it was, with the times that it had: then its metadata is what it was.
pub(super) fn is_same_file(now: &Node, before: &Node) -> bool {
    let same_times = now.mtime.is_some() && now.mtime == before.mtime && now.ctime.is_some() && now.ctime == before.ctime;
    let metadata_missing = before.gap.as_ref().is_some_and(|gap| gap.reason != GapReason::Locked);
    now.kind == Kind::File
        && before.kind == Kind::File
        && same_times
        && now.file_id.is_some()
        && now.file_id == before.file_id
        && !metadata_missing
}

/// Adds what a walk does not show of the same file.
pub(super) fn complete(now: &mut Node, before: &Node) {
    now.links = now.links.max(before.links);
    if now.descriptor.is_none() {
        now.descriptor.clone_from(&before.descriptor);
    }
    if now.attributes.is_empty() {
        now.attributes.clone_from(&before.attributes);
    }
}

/// Unchanged means: same size, modification time, change time and file id, and read well the last time.
pub(super) fn is_unchanged(walked: &Walked, before: &Node) -> bool {
    let now = &walked.node;
    let same_times = now.mtime.is_some() && now.mtime == before.mtime && now.ctime == before.ctime;
    before.kind == Kind::File
        && before.content.as_ref().is_some_and(|content| content.size == walked.size)
        && same_times
        && now.file_id.is_some()
        && now.file_id == before.file_id
        && !before.inconsistent
        && before.gap.is_none()
}
