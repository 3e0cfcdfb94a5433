//! Writes one file: its blobs are fetched ahead by workers, written in order, and hashed on the way.

use std::collections::VecDeque;

use keepwell_format::node::{Content, Extents, Stream};
use keepwell_format::port::{Target, WriteError, WriteFile};
use keepwell_format::{Extent, Key, Node};

use crate::VaultError;
use crate::blobs::BlobReader;
use crate::catalog::for_each_extent;
use crate::chunker::ContentHasher;
use crate::env::Progress;
use crate::lanes::{Lanes, Ticket};

/// Blobs of a file that are fetched ahead.
const AHEAD: usize = 3;

/// What became of a file.
pub(super) enum Written {
    Whole {
        bytes: u64,
    },
    /// The vault can't give it any more.
    Lost {
        why: String,
    },
    /// The target did not take it.
    Refused(WriteError),
    /// The run can't go on.
    Failed(VaultError),
}

/// Blobs on their way, in the order of the file.
type Ahead = VecDeque<(Extent, Ticket<Result<Vec<u8>, VaultError>>)>;

enum Stop {
    Vault(VaultError),
    Target(WriteError),
}

impl From<WriteError> for Stop {
    fn from(error: WriteError) -> Self {
        Self::Target(error)
    }
}

/// Writes a file with its streams and metadata.
pub(super) fn write_file<'env>(
    reader: &'env BlobReader<'env>,
    target: &dyn Target,
    progress: &dyn Progress,
    fetch: &Lanes<'env>,
    key: &Key,
    node: &Node,
) -> Written {
    match try_write(reader, target, progress, fetch, key, node) {
        Ok(bytes) => Written::Whole { bytes },
        Err(Stop::Target(error)) => Written::Refused(error),
        Err(Stop::Vault(error @ (VaultError::BlobLost { .. } | VaultError::Format { .. }))) => Written::Lost { why: error.to_string() },
        Err(Stop::Vault(error)) => Written::Failed(error),
    }
}

fn try_write<'env>(
    reader: &'env BlobReader<'env>,
    target: &dyn Target,
    progress: &dyn Progress,
    fetch: &Lanes<'env>,
    key: &Key,
    node: &Node,
) -> Result<u64, Stop> {
    let Some(content) = &node.content else {
        return Ok(0);
    };
    let mut file = target.file(key, node, content)?;
    let mut bytes = write_content(reader, progress, fetch, &mut *file, content)?;
    let last = node.streams.is_empty();
    if last {
        file.finish(node)?;
        return Ok(bytes);
    }
    for stream in &node.streams {
        let Stream { content, .. } = stream;
        let mut out = target.stream(key, stream)?;
        bytes += write_content(reader, progress, fetch, &mut *out, content)?;
        out.finish(node)?;
    }
    file.finish(node)?;
    Ok(bytes)
}

fn write_content<'env>(
    reader: &'env BlobReader<'env>,
    progress: &dyn Progress,
    fetch: &Lanes<'env>,
    file: &mut dyn WriteFile,
    content: &Content,
) -> Result<u64, Stop> {
    let mut out = Out { file, progress, hash: ContentHasher::default(), size: 0, bytes: 0 };
    let alone = matches!(&content.extents, Extents::Inline(list) if list.len() < 2);
    let mut ahead = Ahead::new();
    let mut stop = None;
    let walked = for_each_extent(reader, &content.extents, &mut |extent| {
        let ticket = if alone { Ticket::Ready(reader.fetch(&extent.blob)) } else { fetch.submit(move || reader.fetch(&extent.blob)) };
        ahead.push_back((extent, ticket));
        while stop.is_none() && (ahead.len() > AHEAD || (alone && !ahead.is_empty())) {
            stop = out.write_first(&mut ahead).err();
        }
        Ok(())
    });
    while stop.is_none() && !ahead.is_empty() {
        stop = out.write_first(&mut ahead).err();
    }
    walked.map_err(Stop::Vault)?;
    stop.map_or(Ok(()), Err)?;
    out.finish(content)
}

struct Out<'a> {
    file: &'a mut dyn WriteFile,
    progress: &'a dyn Progress,
    hash: ContentHasher,
    size: u64,
    bytes: u64,
}

impl Out<'_> {
    fn write_first(&mut self, ahead: &mut Ahead) -> Result<(), Stop> {
        let Some((extent, ticket)) = ahead.pop_front() else {
            return Ok(());
        };
        let blob = ticket.wait().map_err(Stop::Vault)?;
        let from = extent.offset as usize;
        let slice = blob.get(from..from + extent.length as usize);
        let bytes = slice.ok_or_else(|| Stop::Vault(lost(&extent, "it is shorter than the file needs")))?;
        if extent.at < self.size {
            return Err(Stop::Vault(lost(&extent, "its place in the file is taken")));
        }
        self.hash.hole(extent.at - self.size);
        self.hash.data(bytes);
        self.file.write_at(extent.at, bytes)?;
        self.size = extent.at + u64::from(extent.length);
        self.bytes += u64::from(extent.length);
        self.progress.advance(0, u64::from(extent.length));
        Ok(())
    }

    fn finish(mut self, content: &Content) -> Result<u64, Stop> {
        self.hash.hole(content.size.saturating_sub(self.size));
        let (size, hash) = self.hash.finish();
        if size == content.size && hash == content.hash {
            return Ok(self.bytes);
        }
        let why = "the file put together from its blobs does not have the hash it had when it was backed up".to_owned();
        Err(Stop::Vault(VaultError::BlobLost { id: "of a file".to_owned(), why }))
    }
}

fn lost(extent: &Extent, why: &str) -> VaultError {
    VaultError::BlobLost { id: extent.blob.short(), why: why.to_owned() }
}
