//! Writes files and alternate streams of a share: small files in one round trip, the others with several writes in flight. Each lies under a
//! temporary name until it is whole. Must never leave a file under its name that was abandoned, nor take a name that is taken unasked.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use keepwell_format::node::{Content, Extents};
use keepwell_format::port::{Piece, Placing, ReadFile as _, Target as _, WriteError, WriteFile};
use keepwell_format::{Key, Kind, Node};
use keepwell_smb::{
    Ability, Basic, Disposition, NtStatus, Open, OpenFile, OpenKind, Pending, SmbError, Store, Stored, Want, WidePath, access, attribute,
    sharing, wide,
};

use super::apply::basic;
use super::read::{SmbFile, Wanted};
use super::target::{SmbTarget, error, is_denied, lock, refused};

/// Up to here a file goes in one round trip.
const SMALL: u64 = 1 << 20;

/// Bytes of one write.
const WRITE: usize = 1 << 20;

/// Writes in flight for one file.
const IN_FLIGHT: usize = 4;

/// From here on a file is flushed to the server's disk.
const LARGE: u64 = 64 << 20;

/// Gaps between writes from here on are worth a hole.
const HOLE: u64 = 64 << 10;

/// Begins a regular file.
pub(super) fn begin<'a>(
    target: &'a SmbTarget,
    key: &Key,
    node: &Node,
    content: &Content,
    placing: Placing,
) -> Result<Box<dyn WriteFile + 'a>, WriteError> {
    let path = target.again(|_| target.place(key))?;
    let most = SMALL.min(target.session.facts.max_write.into());
    let plain = node.streams.is_empty() && node.attributes.is_empty() && !is_sparse(node, content);
    let at = temporary(target, key)?;
    if placing == Placing::New && plain && content.size <= most {
        return Ok(Box::new(SmallFile { target, key: key.clone(), at, path, data: Vec::new(), size: content.size }));
    }
    let mut how = Open::writing(OpenKind::File, Disposition::Create);
    how.access |= access::DELETE;
    let since = target.session.share.generation();
    let (file, parts) = target.again(|repeats| {
        if repeats {
            // What is left of it has nothing in it. If it can't be removed, its name is taken.
            let _ = target.discard(&at);
        }
        target.open(&at, &how).map_err(|e| error("make a file", &e))
    })?;
    let is_sparse = is_sparse(node, content) && target.session.volume.has(Ability::Sparse) && file.set_sparse().is_ok();
    lock(&target.placing).insert(key.clone(), at.clone());
    let data = Data { target, at, since, file, size: content.size, end: 0, is_sparse, in_flight: VecDeque::new() };
    Ok(Box::new(LargeFile { key: key.clone(), path, placing, parts, data }))
}

/// Whether it has holes, as far as is known before it is written.
fn is_sparse(node: &Node, content: &Content) -> bool {
    let marked = node.dos.is_some_and(|dos| dos & attribute::SPARSE_FILE != 0);
    let Extents::Inline(extents) = &content.extents else { return marked };
    let data: u64 = extents.iter().map(|extent| u64::from(extent.length)).sum();
    marked || (!extents.is_empty() && data < content.size)
}

fn temporary(target: &SmbTarget, key: &Key) -> Result<WidePath, WriteError> {
    let number = target.temporary.fetch_add(1, Ordering::Relaxed);
    let name = format!(".keepwell-{}-{number}.part", std::process::id());
    let folder = target.path(&key.parent().unwrap_or_default())?;
    wide(name.as_bytes()).and_then(|name| folder.join(&name).ok()).ok_or_else(|| refused("its path is too long for a share"))
}

/// A file that is sent whole when it is finished. Until then there is nothing of it.
struct SmallFile<'a> {
    target: &'a SmbTarget,
    key: Key,
    /// Its temporary name, and the one it takes.
    at: WidePath,
    path: WidePath,
    data: Vec<u8>,
    size: u64,
}

impl SmallFile<'_> {
    fn store(&self, basic: Basic, descriptor: Option<(&[u8], u32)>) -> Result<Stored, SmbError> {
        let store = Store { data: &self.data, basic, descriptor, disposition: Disposition::Create, takes: Some(&self.path) };
        self.target.session.pace.small(|| self.target.session.share.begin_store(&self.at, &store)?.wait())
    }

    /// Whether all bytes are there and have come to their name; what is not so is removed.
    fn check(&self, stored: &Stored) -> Result<(), WriteError> {
        let status = |status, during| SmbError::Status { status, during };
        let failed = match (stored.written, stored.taken) {
            (Ok(written), _) if u64::from(written) != self.size => refused("the server took fewer bytes than it was given"),
            (Ok(_), Ok(())) => return Ok(()),
            (Ok(_), Err(taken)) => error("give a file its name", &status(taken, "rename")),
            (Err(written), _) => error("write a file", &status(written, "write")),
        };
        let left = if stored.taken.is_ok() { &self.path } else { &self.at };
        if let Err(failed) = self.target.discard(left) {
            self.target.warn(&self.key, error("remove a file that is not whole", &failed).text);
        }
        Err(failed)
    }

    /// Whether it is there after all: the answer to an earlier attempt may have been lost.
    fn is_there(&self) -> bool {
        let present = self.target.look(&self.key).ok().flatten();
        if !present.is_some_and(|present| present.kind == Kind::File && present.size == self.size) {
            return false;
        }
        let Ok(mut file) = SmbFile::open(&self.target.session, &Wanted::stream(self.path.clone(), None)) else { return false };
        let mut there = vec![0; self.data.len() + 1];
        let mut filled = 0;
        while let Ok(Piece::Data(length)) = file.next(&mut there[filled..]) {
            filled += length;
        }
        there[..filled] == self.data
    }

    fn send(&self, node: &Node, repeats: bool) -> Result<(), WriteError> {
        if repeats {
            // If it can't be removed, its name is taken.
            let _ = self.target.discard(&self.at);
            if self.is_there() {
                return self.set_rest(node);
            }
        }
        let allowed = self.target.parts.load(Ordering::Relaxed);
        let descriptor = self.target.descriptor(&self.key, node, allowed);
        let sent = descriptor.as_ref().map(|(bytes, parts)| (bytes.as_slice(), *parts));
        let (stored, asked) = match self.store(basic(node), sent) {
            // Perhaps not to the folder, but to what is needed for the descriptor.
            Err(failed) if sent.is_some() && is_denied(&failed) => (self.store(basic(node), None), false),
            other => (other, true),
        };
        let stored = stored.map_err(|e| error("write a file", &e))?;
        self.check(&stored)?;
        let set = (asked || sent.is_none()) && stored.descriptor.is_ok() && stored.basic.is_ok();
        if set { Ok(()) } else { self.set_rest(node) }
    }

    /// What was refused on the way is tried again with less.
    fn set_rest(&self, node: &Node) -> Result<(), WriteError> {
        let how = Open { share: sharing::ALL, ..Open::writing(OpenKind::File, Disposition::Open) };
        let (file, parts) = self.target.open(&self.path, &how).map_err(|e| error("open a file", &e))?;
        self.target.apply(&self.key, &file, node, parts)
    }
}

impl WriteFile for SmallFile<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let end = at.checked_add(bytes.len() as u64).filter(|end| *end <= self.size);
        let (Some(end), Ok(from)) = (end, usize::try_from(at)) else { return Err(refused("it is longer than it was said to be")) };
        let end = end as usize;
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        self.data[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        self.data.resize(self.size as usize, 0);
        self.target.again(|repeats| self.send(node, repeats))?;
        self.target.session.answered();
        Ok(())
    }

    fn abandon(self: Box<Self>) {}
}

/// Bytes on their way into an open file or stream. They can't be had again, so it does not outlive its connection.
struct Data<'a> {
    target: &'a SmbTarget,
    at: WidePath,
    /// The connection it was begun with.
    since: u64,
    file: OpenFile,
    size: u64,
    /// End of what was written furthest back.
    end: u64,
    is_sparse: bool,
    in_flight: VecDeque<(Pending<u32>, u32)>,
}

impl Data<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let done = self.send(at, bytes);
        self.target.survive(self.since, done)
    }

    fn send(&mut self, mut at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let target = self.target;
        if !self.is_sparse && at.saturating_sub(self.end) >= HOLE && target.session.volume.has(Ability::Sparse) {
            // Where it can't be done, the server fills with zeros.
            self.is_sparse = true;
            let _ = self.file.set_sparse();
        }
        let most = WRITE.min(target.session.facts.max_write as usize).max(1);
        for run in bytes.chunks(most) {
            while self.in_flight.len() >= IN_FLIGHT {
                self.settle_first()?;
            }
            let pending = self.file.begin_write(at, run).map_err(|e| error("write", &e))?;
            self.in_flight.push_back((pending, run.len() as u32));
            at += run.len() as u64;
        }
        self.end = self.end.max(at);
        Ok(())
    }

    fn settle_first(&mut self) -> Result<(), WriteError> {
        let Some((pending, sent)) = self.in_flight.pop_front() else { return Ok(()) };
        match pending.wait() {
            Ok(written) if written == sent => {
                self.target.session.answered();
                Ok(())
            }
            Ok(_) => Err(refused("the server took fewer bytes than it was given")),
            Err(failed) => Err(error("write", &failed)),
        }
    }

    fn remove(mut self) -> Result<(), SmbError> {
        if self.target.session.share.is_lost(self.since) {
            return self.target.discard(&self.at);
        }
        while !self.in_flight.is_empty() {
            // What becomes of bytes that are thrown away does not matter.
            let _ = self.settle_first();
        }
        self.file.delete_on_close()?;
        self.file.close().map(drop)
    }

    /// Waits for all writes and sets the size.
    fn settle(&mut self) -> Result<(), WriteError> {
        while !self.in_flight.is_empty() {
            self.settle_first()?;
        }
        if self.end != self.size {
            self.file.set_end(self.size).map_err(|e| error("set the size", &e))?;
        }
        if self.size >= LARGE {
            self.file.flush().map_err(|e| error("flush", &e))?;
        }
        Ok(())
    }
}

/// A file that is open while it is written.
struct LargeFile<'a> {
    key: Key,
    path: WidePath,
    placing: Placing,
    /// Of its descriptor, what the rights it was opened with can set.
    parts: u32,
    data: Data<'a>,
}

impl LargeFile<'_> {
    fn take_place(&self) -> Result<(), SmbError> {
        if self.placing == Placing::New {
            return self.data.file.rename(&self.path, false);
        }
        self.data.file.flush()?;
        match self.data.file.rename(&self.path, true) {
            // One that can't be written can't be replaced either, until it can.
            Err(failed) if is_denied(&failed) => {
                let how = Open { access: access::WRITE_ATTRIBUTES, ..Open::looking(Want { reparse: true, ..Want::default() }, None) };
                let old = self.data.target.session.share.begin_open(&self.path, &how)?.wait()?;
                let attributes = old.stat().info.attributes;
                if attributes & attribute::READONLY == 0 {
                    return Err(failed);
                }
                old.set_basic(&Basic { attributes: Some(attribute::NORMAL), ..Basic::default() })?;
                drop(old.close());
                self.data.file.rename(&self.path, true)
            }
            renamed => renamed,
        }
    }

    fn try_finish(&mut self, node: &Node) -> Result<(), WriteError> {
        self.data.settle()?;
        self.data.target.apply(&self.key, &self.data.file, node, self.parts)?;
        self.take_place().map_err(|e| error("give a file its name", &e))?;
        // Samba hides what a dot begins, marks what is renamed as changed, and keeps both. A refusal was told before.
        let _ = self.data.target.set_basic(&self.data.file, node);
        Ok(())
    }

    fn forget(&self) {
        lock(&self.data.target.placing).remove(&self.key);
    }

    /// Returns when it is gone.
    fn remove(self) {
        self.forget();
        let target = self.data.target;
        if let Err(failed) = self.data.remove() {
            target.warn(&self.key, error("remove a file that is not whole", &failed).text);
        }
    }
}

impl WriteFile for LargeFile<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        self.data.write_at(at, bytes)
    }

    fn finish(mut self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        let (target, since) = (self.data.target, self.data.since);
        let done = self.try_finish(node);
        if let Err(failed) = target.survive(since, done) {
            self.remove();
            return Err(failed);
        }
        self.forget();
        let closed = self.data.file.close().map(drop).map_err(|e| error("close a file", &e));
        target.survive(since, closed)
    }

    fn abandon(self: Box<Self>) {
        self.remove();
    }
}

/// An alternate stream.
pub(super) struct StreamWriter<'a> {
    key: Key,
    data: Data<'a>,
}

impl<'a> StreamWriter<'a> {
    pub(super) fn begin(target: &'a SmbTarget, key: &Key, path: &WidePath, size: u64) -> Result<Self, WriteError> {
        let mut how = Open { share: sharing::ALL, ..Open::writing(OpenKind::File, Disposition::OverwriteIf) };
        how.access |= access::DELETE;
        let since = target.session.share.generation();
        let opened = target.session.share.begin_open(path, &how).and_then(|file| file.wait());
        let file = opened.map_err(|e| match e.status() {
            Some(NtStatus::OBJECT_NAME_INVALID | NtStatus::NOT_SUPPORTED) => refused("this share keeps no alternate streams"),
            _ => error("make an alternate stream", &e),
        })?;
        let data = Data { target, at: path.clone(), since, file, size, end: 0, is_sparse: false, in_flight: VecDeque::new() };
        Ok(Self { key: key.clone(), data })
    }
}

impl WriteFile for StreamWriter<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        self.data.write_at(at, bytes)
    }

    /// The node is that of the file, which comes when its streams are done.
    fn finish(mut self: Box<Self>, _node: &Node) -> Result<(), WriteError> {
        let (target, since) = (self.data.target, self.data.since);
        let settled = self.data.settle();
        let done = settled.and_then(|()| self.data.file.close().map(drop).map_err(|e| error("close an alternate stream", &e)));
        target.survive(since, done)
    }

    fn abandon(self: Box<Self>) {
        let target = self.data.target;
        if let Err(failed) = self.data.remove() {
            target.warn(&self.key, error("remove an alternate stream that is not whole", &failed).text);
        }
    }
}
