//! Writes one file: its blobs are fetched ahead by workers, written in order, and hashed on the way.
//! Must never leave a file under its name that is not whole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keepwell_format::node::{Content, Extents, Stream};
use keepwell_format::port::{Target, WriteError, WriteFile};
use keepwell_format::{Extent, Key, Kind, Node};

use super::conflict::{Decision, Put, decide};
use super::resume::{self, Before};
use super::{RestoreOptions, compare};
use crate::VaultError;
use crate::blobs::BlobReader;
use crate::catalog::{for_each_extent, is_damage};
use crate::chunker::ContentHasher;
use crate::env::Progress;
use crate::lanes::{Lanes, Ticket};

/// Blobs of a file that are fetched ahead.
const AHEAD: usize = 3;

/// What became of a file, or of a folder's alternate streams.
pub(super) enum Written {
    Whole {
        put: Put,
        bytes: u64,
        /// Why an alternate stream of it is not there.
        without: Option<String>,
        /// What differs when it is read back, where it was.
        differences: Option<Vec<String>>,
    },
    /// What is there stayed. `same`: it is a file with several paths, with the content that it should have.
    Skipped { why: &'static str, same: bool },
    /// The vault can't give it any more.
    Lost(String),
    /// Something is in its place.
    Barred(&'static str),
    /// The target did not take it.
    Refused(WriteError),
    /// The run can't go on.
    Failed(VaultError),
}

/// What is to be written.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) key: Key,
    /// With content, or a folder with alternate streams.
    pub(super) node: Arc<Node>,
    /// Its folder was made by this run: nothing can be there.
    pub(super) fresh: bool,
    /// What an earlier attempt may have done with it.
    pub(super) before: Before,
}

/// What all files of a restore share.
#[derive(Clone, Copy)]
pub(super) struct Files<'env> {
    pub(super) reader: &'env BlobReader<'env>,
    pub(super) target: &'env dyn Target,
    pub(super) options: &'env RestoreOptions,
    pub(super) progress: &'env dyn Progress,
    /// Set when the run has failed: what still waits is not begun.
    pub(super) over: &'env AtomicBool,
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

impl Stop {
    /// Why just this file or stream is not there; none when nothing further can be.
    fn only_this(&self) -> Option<String> {
        match self {
            Self::Vault(error) => is_damage(error).then(|| error.to_string()),
            Self::Target(error) => (!error.fatal).then(|| error.text.clone()),
        }
    }
}

/// Stands for what was not done any more; nobody gets to see it.
pub(super) fn given_up() -> VaultError {
    VaultError::Target("it was given up".to_owned())
}

/// Decides on a file, writes it with its streams and metadata, and reads it back where that is wanted.
pub(super) fn write_file<'env>(files: Files<'env>, fetch: &Lanes<'env>, order: &Order) -> Written {
    if files.over.load(Ordering::Relaxed) {
        return Written::Failed(given_up());
    }
    let Order { key, node, fresh, before } = order;
    if *before != Before::Nothing && !fresh && node.kind == Kind::File {
        if let Some(put) = resume::put_before(files, key, node) {
            let bytes = node.content.as_ref().map_or(0, |content| content.size);
            let differences = files.options.read_back.then(|| compare::metadata_differences(files.target, &put.at, node));
            return Written::Whole { put, bytes, without: None, differences };
        }
        if *before == Before::Settled && matches!(files.target.look(key), Ok(Some(_))) {
            return Written::Skipped { why: "it was changed since it was restored", same: false };
        }
    }
    let put = match decide(files.target, files.options, key, node, *fresh || node.kind == Kind::Folder) {
        Ok(Decision::Put(put)) => put,
        Ok(Decision::Skip(why)) => {
            let same = node.links > 1 && compare::differences(files, key, node, &[], false).is_empty();
            return Written::Skipped { why, same };
        }
        Ok(Decision::Trouble(why)) => return Written::Barred(why),
        Err(error) => return Written::Refused(error),
    };
    if files.options.dry_run {
        let bytes = node.content.as_ref().map_or(0, |content| content.size);
        return Written::Whole { put, bytes, without: None, differences: None };
    }
    match try_write(files, fetch, &put, node) {
        Ok((bytes, without)) => {
            let missing: Vec<&[u8]> = without.iter().map(|(name, _)| name.as_slice()).collect();
            // A folder's metadata comes last.
            let metadata = node.kind != Kind::Folder;
            let differences = files.options.read_back.then(|| compare::differences(files, &put.at, node, &missing, metadata));
            let without = without.into_iter().next().map(|(_, why)| why);
            Written::Whole { put, bytes, without, differences }
        }
        Err(Stop::Target(error)) => Written::Refused(error),
        Err(Stop::Vault(error)) if is_damage(&error) => Written::Lost(error.to_string()),
        Err(Stop::Vault(error)) => Written::Failed(error),
    }
}

/// Alternate streams that could not be written, and why.
type Without = Vec<(Vec<u8>, String)>;

fn try_write<'env>(files: Files<'env>, fetch: &Lanes<'env>, put: &Put, node: &Node) -> Result<(u64, Without), Stop> {
    let key = &put.at;
    let Some(content) = node.content.as_ref().filter(|_| node.kind == Kind::File) else {
        return write_streams(files, fetch, key, node);
    };
    let (file, bytes) = fill(files, fetch, files.target.file(key, node, content, put.placing())?, content)?;
    match write_streams(files, fetch, key, node) {
        Ok((more, without)) => {
            file.finish(node)?;
            Ok((bytes + more, without))
        }
        Err(stop) => {
            file.abandon();
            Err(stop)
        }
    }
}

/// A stream that can't be had is not worth the file.
fn write_streams<'env>(files: Files<'env>, fetch: &Lanes<'env>, key: &Key, node: &Node) -> Result<(u64, Without), Stop> {
    let (mut bytes, mut without) = (0, Vec::new());
    for stream in &node.streams {
        match write_stream(files, fetch, key, node, stream) {
            Ok(more) => bytes += more,
            Err(stop) => match stop.only_this() {
                Some(why) => without.push((stream.name.clone(), why)),
                None => return Err(stop),
            },
        }
    }
    Ok((bytes, without))
}

fn write_stream<'env>(files: Files<'env>, fetch: &Lanes<'env>, key: &Key, node: &Node, stream: &Stream) -> Result<u64, Stop> {
    let (out, bytes) = fill(files, fetch, files.target.stream(key, stream)?, &stream.content)?;
    out.finish(node)?;
    Ok(bytes)
}

/// Writes all bytes of a file or stream, or removes it.
fn fill<'env, 't>(
    files: Files<'env>,
    fetch: &Lanes<'env>,
    mut file: Box<dyn WriteFile + 't>,
    content: &Content,
) -> Result<(Box<dyn WriteFile + 't>, u64), Stop> {
    match write_content(files, fetch, &mut *file, content) {
        Ok(bytes) => Ok((file, bytes)),
        Err(stop) => {
            file.abandon();
            Err(stop)
        }
    }
}

fn write_content<'env>(files: Files<'env>, fetch: &Lanes<'env>, file: &mut dyn WriteFile, content: &Content) -> Result<u64, Stop> {
    let Files { reader, progress, over, .. } = files;
    let mut out = Out { file, progress, hash: ContentHasher::default(), size: 0, bytes: 0 };
    let alone = matches!(&content.extents, Extents::Inline(list) if list.len() < 2);
    let most = if alone { 0 } else { AHEAD };
    let mut ahead = Ahead::new();
    let mut stop = None;
    let stopped = Arc::new(AtomicBool::new(false));
    let walked = for_each_extent(reader, &content.extents, &mut |extent| {
        let needless = Arc::clone(&stopped);
        let job = move || {
            if needless.load(Ordering::Relaxed) || over.load(Ordering::Relaxed) { Err(given_up()) } else { reader.fetch(&extent.blob) }
        };
        ahead.push_back((extent, if alone { Ticket::Ready(job()) } else { fetch.submit(job) }));
        while stop.is_none() && ahead.len() > most {
            stop = out.write_first(&mut ahead).err();
        }
        if stop.is_some() { Err(given_up()) } else { Ok(()) }
    });
    while stop.is_none() && walked.is_ok() && !ahead.is_empty() {
        stop = out.write_first(&mut ahead).err();
    }
    stopped.store(true, Ordering::Relaxed);
    stop.map_or(Ok(()), Err)?;
    walked.map_err(Stop::Vault)?;
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
