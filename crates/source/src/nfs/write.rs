//! Writes one file of an export with several WRITEs in flight. What a restarted server may have forgotten is kept until it is committed, and sent again.
//!
//! It lies under a temporary name until it is whole. Must never have anything but a whole file under its name.

use keepwell_format::port::{Placing, WriteError, WriteFile};
use keepwell_format::{Key, Node};
use keepwell_nfs::{Attributes, Creation, FileType, Handle, NfsError, SetAttributes, Stability, Status, Verifier, Written};

use super::link::Sent;
use super::target::{NfsTarget, error, refused};

/// Bytes written and not yet committed, at most.
const UNCOMMITTED: usize = 4 << 20;
/// How often writes are sent again because the server forgot them.
const REWRITES: u32 = 3;
/// Temporary names that are tried before giving up.
const ATTEMPTS: u32 = 100;
/// Closed to others until the owner is known.
const CLOSED: SetAttributes = SetAttributes { mode: Some(0o600), uid: None, gid: None, size: None, mtime: keepwell_nfs::SetTime::Keep };

pub(super) struct NfsWriter<'a> {
    target: &'a NfsTarget,
    key: Key,
    parent: Handle,
    /// The name it has until it is whole.
    name: Vec<u8>,
    placing: Placing,
    handle: Handle,
    made: Attributes,
    size: u64,
    /// End of what was written furthest back.
    end: u64,
    chunks: Vec<Chunk>,
    held: usize,
}

/// Bytes on their way, or not yet known to be on the server's disk.
struct Chunk {
    at: u64,
    bytes: Vec<u8>,
    sent: Sent<Written>,
}

impl<'a> NfsWriter<'a> {
    pub(super) fn begin(target: &'a NfsTarget, key: &Key, size: u64, placing: Placing) -> Result<Self, WriteError> {
        let (parent, _) = target.place(key)?;
        let (name, made) = begin_temporary(target, &parent);
        let (handle, made) = made.map_err(|e| error("make a file", &e))?;
        let key = key.clone();
        Ok(Self { target, key, parent, name, placing, handle, made, size, end: 0, chunks: Vec::new(), held: 0 })
    }

    fn send(&self, at: u64, bytes: &[u8], stability: Stability) -> Sent<Written> {
        self.target.tree.link.send(|export| export.begin_write(&self.handle, at, bytes, stability))
    }

    /// Waits for all writes, and makes them durable.
    fn settle(&mut self) -> Result<(), NfsError> {
        let link = &self.target.tree.link;
        for _ in 0..=REWRITES {
            let mut verifiers = Vec::new();
            for chunk in &mut self.chunks {
                let sent = std::mem::replace(&mut chunk.sent, Sent::spent());
                settle_chunk(self.target, &self.handle, chunk, sent, &mut verifiers)?;
            }
            let safe = match verifiers.first() {
                None => true,
                Some(first) => {
                    let committed = link.call(|export| export.begin_commit(&self.handle))?;
                    committed == *first && verifiers.iter().all(|verifier| verifier == first)
                }
            };
            if safe {
                self.chunks.clear();
                self.held = 0;
                return Ok(());
            }
            // The server was started anew meanwhile.
            for at in 0..self.chunks.len() {
                self.chunks[at].sent = self.send(self.chunks[at].at, &self.chunks[at].bytes, Stability::Unstable);
            }
        }
        Err(NfsError::Server("it forgets what is written again and again"))
    }

    fn finished(&mut self, node: &Node) -> Result<(), WriteError> {
        self.settle().map_err(|e| error("write", &e))?;
        if self.end != self.size {
            let set = SetAttributes { size: Some(self.size), ..SetAttributes::default() };
            let cut = self.target.tree.link.call(|export| export.begin_set_attributes(&self.handle, &set));
            cut.map_err(|e| error("set the size", &e))?;
        }
        self.target.apply(&self.key, &self.handle, Some(self.made), node)?;
        match self.placing {
            Placing::New => self.take_name().map_err(|e| error("give the file its name", &e)),
            Placing::Replace => self.rename().map_err(|e| error("put the file in the place of the one that is there", &e)),
        }
    }

    /// Gives the file a name that must be free: LINK refuses one that is taken (RFC 1813 section 3.3.15), RENAME would replace it.
    fn take_name(&self) -> Result<(), NfsError> {
        let name = self.key.name();
        let linked = match self.target.tree.link.export().facts().links {
            true => self.target.link_to((&self.handle, &self.made), &self.parent, name),
            false => Err(NfsError::Status { status: Status::NOTSUPP, during: "LINK" }),
        };
        match linked {
            Err(error) if lacks_links(&error) => match self.target.look_up(&self.parent, name) {
                Err(none) if none.status() == Some(Status::NOENT) => self.rename(),
                Err(failed) => Err(failed),
                Ok(_) => Err(NfsError::Status { status: Status::EXIST, during: "RENAME" }),
            },
            // Not before the answer: servers may work on calls in any order.
            linked => linked.map(|()| self.remove()),
        }
    }

    /// Gives the file the name it is to have, whatever has it now.
    fn rename(&self) -> Result<(), NfsError> {
        let (link, name) = (&self.target.tree.link, self.key.name());
        let renamed = link.call_told(|export| export.begin_rename((&self.parent, &self.name), (&self.parent, name)));
        match renamed {
            // The first attempt may have done it.
            Err((error, true)) if error.status() == Some(Status::NOENT) => {
                let (_, there) = self.target.look_up(&self.parent, name)?;
                if there.is_same_file(&self.made) { Ok(()) } else { Err(error) }
            }
            other => other.map_err(|(error, _)| error),
        }
    }

    fn remove(&self) {
        let removed = self.target.tree.link.call_told(|export| export.begin_remove(&self.parent, &self.name));
        match removed {
            Ok(()) => {}
            Err((error, true)) if error.status() == Some(Status::NOENT) => {}
            Err((failed, _)) => self.target.warn(&self.key, error("remove a temporary name", &failed).text),
        }
    }
}

/// Waits until all of a chunk is written, however little the server takes at once.
fn settle_chunk(
    target: &NfsTarget,
    handle: &Handle,
    chunk: &Chunk,
    sent: Sent<Written>,
    verifiers: &mut Vec<Verifier>,
) -> Result<(), NfsError> {
    let link = &target.tree.link;
    let (mut done, mut sent) = (0, Some(sent));
    while done < chunk.bytes.len() {
        let (at, rest) = (chunk.at + done as u64, &chunk.bytes[done..]);
        let again = |export: &keepwell_nfs::Export| export.begin_write(handle, at, rest, Stability::Unstable);
        let written = match sent.take() {
            Some(sent) => link.settle(sent, again)?,
            None => link.call(again)?,
        };
        if written.count == 0 {
            return Err(NfsError::Server("it takes no bytes"));
        }
        if written.stability == Stability::Unstable {
            verifiers.push(written.verifier);
        }
        done += written.count as usize;
    }
    Ok(())
}

/// Whether a server or its file system has no hard links, or not for this user.
fn lacks_links(error: &NfsError) -> bool {
    let refused =
        matches!(error.status(), Some(Status::NOTSUPP | Status::ACCES | Status::PERM | Status::MLINK | Status::XDEV | Status::INVAL));
    refused || matches!(error, NfsError::NotOffered(_))
}

/// Makes a file that was not there.
fn create(target: &NfsTarget, parent: &Handle, name: &[u8]) -> Result<(Handle, Attributes), NfsError> {
    let link = &target.tree.link;
    let made = match link.call_told(|export| export.begin_create(parent, name, &Creation::Guarded(CLOSED))) {
        Ok(made) => target.seen(parent, name, made)?,
        // The first attempt may have made it.
        Err((error, true)) if error.status() == Some(Status::EXIST) => {
            let (handle, seen) = target.look_up(parent, name)?;
            if seen.size != 0 || seen.mode & 0o7777 != 0o600 {
                return Err(error);
            }
            (handle, seen)
        }
        Err((error, _)) => return Err(error),
    };
    if made.1.kind == FileType::Regular { Ok(made) } else { Err(NfsError::Malformed("something else than the file that was made")) }
}

fn begin_temporary(target: &NfsTarget, parent: &Handle) -> (Vec<u8>, Result<(Handle, Attributes), NfsError>) {
    let mut attempts = 0;
    loop {
        let name = target.temporary_name();
        let made = create(target, parent, &name);
        attempts += 1;
        if attempts == ATTEMPTS || !made.as_ref().is_err_and(|error| error.status() == Some(Status::EXIST)) {
            return (name, made);
        }
    }
}

impl WriteFile for NfsWriter<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let most = self.target.tree.link.export().facts().max_write as usize;
        let whole = at == 0 && bytes.len() as u64 == self.size && bytes.len() <= most;
        // One round trip instead of two for a file that goes into one write.
        let stability = if whole { Stability::File } else { Stability::Unstable };
        let mut start = at;
        for piece in bytes.chunks(most) {
            if self.held + piece.len() > UNCOMMITTED {
                self.settle().map_err(|e| error("write", &e))?;
            }
            let sent = self.send(start, piece, stability);
            self.held += piece.len();
            self.chunks.push(Chunk { at: start, bytes: piece.to_vec(), sent });
            start = start.checked_add(piece.len() as u64).ok_or_else(|| refused("the file is too long"))?;
        }
        self.end = self.end.max(start);
        Ok(())
    }

    fn finish(mut self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        let done = self.finished(node);
        if done.is_err() {
            self.remove();
        }
        done
    }

    fn abandon(self: Box<Self>) {
        self.remove();
    }
}
