//! Entries on their way to the catalog: ready ones, and files that reader threads are reading ahead.

use crossbeam_channel::{Receiver, bounded};
use keepwell_format::node::{Content, Extent, Gap, Stream};
use keepwell_format::port::{Source, Walked};
use keepwell_format::{GapReason, Key};

use crate::VaultError;
use crate::blobs::BlobWriter;
use crate::catalog::ExtentsBuilder;
use crate::chunker::{ReadEvent, read_file};
use crate::env::Progress;
use crate::keys::Keys;
use crate::lanes::Lanes;

/// Files up to this size are read whole, many at a time.
const SMALL: u64 = 1 << 20;
/// Bytes of small files that may be read ahead.
const SMALL_BYTES: u64 = 12 << 20;
/// Larger files that are read at a time; each holds two chunks and a buffer.
const LARGE_FILES: usize = 2;
/// Events of a file that may wait.
const EVENTS: usize = 2;

/// An entry that is not in the catalog yet.
pub(super) enum Pending {
    Ready(Box<Walked>),
    /// A further path of a file whose first path is this.
    Link(Box<Walked>, Key),
    Reading(Reading),
}

/// How much is being read ahead.
#[derive(Default)]
pub(super) struct Load {
    small_files: usize,
    small_bytes: u64,
    large_files: usize,
}

impl Load {
    pub(super) fn has_room(&self, size: u64, readers: usize) -> bool {
        if size > SMALL {
            return self.large_files < LARGE_FILES;
        }
        self.small_files == 0 || (self.small_files < 16 * readers && self.small_bytes + size <= SMALL_BYTES)
    }

    pub(super) fn add(&mut self, size: u64) {
        if size > SMALL {
            self.large_files += 1;
        } else {
            self.small_files += 1;
            self.small_bytes += size;
        }
    }

    pub(super) fn remove(&mut self, size: u64) {
        if size > SMALL {
            self.large_files -= 1;
        } else {
            self.small_files -= 1;
            self.small_bytes -= size;
        }
    }
}

/// A file that is being read.
pub(super) struct Reading {
    pub(super) size: u64,
    /// Paths that the source said it has when it was begun.
    pub(super) links: u32,
    events: Events,
}

enum Events {
    Now(std::vec::IntoIter<ReadEvent>),
    Later(Receiver<ReadEvent>),
}

impl Reading {
    pub(super) fn start<'env>(readers: &Lanes<'env>, keys: &'env Keys, source: &'env dyn Source, walked: Walked) -> Self {
        let (size, links) = (walked.size, walked.node.links);
        if readers.is_inline() {
            let mut events = Vec::new();
            read_file(keys, source, walked, &mut |event| {
                events.push(event);
                true
            });
            return Self { size, links, events: Events::Now(events.into_iter()) };
        }
        let (sender, receiver) = bounded(EVENTS);
        readers.spawn(move || read_file(keys, source, walked, &mut |event| sender.send(event).is_ok()));
        Self { size, links, events: Events::Later(receiver) }
    }

    fn next(&mut self) -> Option<ReadEvent> {
        match &mut self.events {
            Events::Now(events) => events.next(),
            Events::Later(events) => events.recv().ok(),
        }
    }

    /// Stores what is new of the file, and completes its entry. Also tells the bytes that were read.
    pub(super) fn finish(mut self, writer: &mut BlobWriter<'_>, progress: &dyn Progress) -> Result<(Walked, u64), VaultError> {
        let mut extents = ExtentsBuilder::default();
        let (mut content, mut streams) = (None, Vec::new());
        let mut read_bytes = 0;
        loop {
            match self.next() {
                Some(ReadEvent::Chunk { at, id, plain }) => {
                    let length = u32::try_from(plain.len()).expect("a chunk has at most 16 MiB");
                    read_bytes += u64::from(length);
                    progress.advance(0, u64::from(length));
                    extents.push(writer, Extent { at, blob: id, offset: 0, length })?;
                    writer.store(keepwell_format::blob::BlobKind::Data, id, plain)?;
                }
                Some(ReadEvent::Restart) => extents = ExtentsBuilder::default(),
                Some(ReadEvent::Content { size, hash }) => {
                    content = Some(Content { size, hash, extents: std::mem::take(&mut extents).finish(writer)? });
                }
                Some(ReadEvent::Stream { name, size, hash }) => {
                    let content = Content { size, hash, extents: std::mem::take(&mut extents).finish(writer)? };
                    streams.push(Stream { name, content });
                }
                Some(ReadEvent::Done { mut walked }) => {
                    (walked.node.content, walked.node.streams) = (content, streams);
                    return Ok((*walked, read_bytes));
                }
                None => return Err(VaultError::Source(reader_died())),
            }
        }
    }
}

fn reader_died() -> Gap {
    Gap { reason: GapReason::Read, text: "a reader thread ended before its file did".to_owned() }
}
