//! Writes one local file. Until it is whole it has no name, or a temporary one where the file system has no files without names.
//! Must never leave a file under its name that is not whole.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use keepwell_format::port::{Placing, WriteError, WriteFile};
use keepwell_format::{Key, Node};
use rustix::fs::{Mode, OFlags, fsync, ftruncate, openat, renameat};
use rustix::io::{Errno, Result as SystemResult, pwrite};

use super::placing::{link_open, rename_new, under_temporary_name};
use super::target::{ACCESS_LIST, LocalTarget, error, refused};

/// A file that is being written.
pub(super) struct LocalWriter<'a> {
    target: &'a LocalTarget,
    key: Key,
    parent: Arc<OwnedFd>,
    /// The name it has until it is whole, if it has one.
    temporary: Option<Vec<u8>>,
    placing: Placing,
    file: OwnedFd,
    size: u64,
    /// End of what was written furthest back.
    end: u64,
}

impl<'a> LocalWriter<'a> {
    pub(super) fn begin(target: &'a LocalTarget, key: &Key, size: u64, placing: Placing) -> Result<Self, WriteError> {
        let (parent, _) = target.place(key)?;
        let (temporary, file) = create(target, &parent).map_err(|e| error("make a file", e))?;
        target.disinherit(key, &file, &[ACCESS_LIST]);
        Ok(Self { target, key: key.clone(), parent, temporary, placing, file, size, end: 0 })
    }

    fn complete(&mut self, node: &Node) -> Result<(), WriteError> {
        if self.end != self.size {
            ftruncate(&self.file, self.size).map_err(|e| error("set the size", e))?;
        }
        self.target.apply(&self.key, &self.file, false, node)?;
        match self.placing {
            Placing::New => self.take_name().map_err(|e| error("give the file its name", e)),
            Placing::Replace => self.take_place().map_err(|e| error("put the file in the place of the one that is there", e)),
        }
    }

    fn take_name(&self) -> SystemResult<()> {
        match &self.temporary {
            Some(temporary) => rename_new(&self.parent, temporary, self.key.name()),
            None => link_open(&self.file, &self.parent, self.key.name()),
        }
    }

    /// What is in the old one's place from now on is whole, also after a crash.
    fn take_place(&mut self) -> SystemResult<()> {
        fsync(&self.file)?;
        if self.temporary.is_none() {
            let named = under_temporary_name(&self.target.temporary, |name| link_open(&self.file, &self.parent, name))?;
            self.temporary = Some(named.0);
        }
        renameat(&*self.parent, self.temporary.as_deref().unwrap_or_default(), &*self.parent, self.key.name())
    }

    fn remove(&self) {
        if let Some(temporary) = &self.temporary {
            self.target.remove_temporary(&self.key, &self.parent, temporary);
        }
    }
}

/// A file without a name, or under a temporary one.
fn create(target: &LocalTarget, parent: &OwnedFd) -> SystemResult<(Option<Vec<u8>>, OwnedFd)> {
    let (flags, mode) = (OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    match openat(parent, ".", flags | OFlags::TMPFILE, mode) {
        Ok(file) => Ok((None, file)),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let (name, file) = under_temporary_name(&target.temporary, |name| openat(parent, name, flags, mode))?;
            Ok((Some(name), file))
        }
        Err(errno) => Err(errno),
    }
}

impl WriteFile for LocalWriter<'_> {
    fn write_at(&mut self, mut at: u64, mut bytes: &[u8]) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            match pwrite(&self.file, bytes, at) {
                Ok(0) => return Err(refused("the file system took no bytes")),
                Ok(written) => {
                    at += written as u64;
                    bytes = &bytes[written..];
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(error("write", errno)),
            }
        }
        self.end = self.end.max(at);
        Ok(())
    }

    fn finish(mut self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        let done = self.complete(node);
        if done.is_err() {
            self.remove();
        }
        done
    }

    fn abandon(self: Box<Self>) {
        self.remove();
    }
}
