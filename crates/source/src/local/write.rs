//! Writes one local file. One that takes another's place lies under a temporary name until it is whole and durable.
//! Must never leave a file under its name that was abandoned.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keepwell_format::port::{Placing, WriteError, WriteFile};
use keepwell_format::{Key, Node};
use rustix::fs::{AtFlags, Mode, OFlags, fsync, ftruncate, openat, renameat, unlinkat};
use rustix::io::{Errno, pwrite};

use super::target::{ACCESS_LIST, LocalTarget, error, refused};

/// Temporary names that are tried before giving up.
const ATTEMPTS: u32 = 100;

/// A file that is being written.
pub(super) struct LocalWriter<'a> {
    target: &'a LocalTarget,
    key: Key,
    parent: Arc<OwnedFd>,
    /// The name it has until it is whole.
    name: Vec<u8>,
    placing: Placing,
    file: OwnedFd,
    size: u64,
    /// End of what was written furthest back.
    end: u64,
}

impl<'a> LocalWriter<'a> {
    pub(super) fn begin(target: &'a LocalTarget, key: &Key, size: u64, placing: Placing) -> Result<Self, WriteError> {
        let (parent, name) = target.place(key)?;
        let (name, file) = match placing {
            Placing::New => (name.to_vec(), create(&parent, name)),
            Placing::Replace => begin_temporary(target, &parent),
        };
        let file = file.map_err(|e| error("make a file", e))?;
        target.disinherit(key, &file, &[ACCESS_LIST]);
        Ok(Self { target, key: key.clone(), parent, name, placing, file, size, end: 0 })
    }

    /// Gives the file the name it is to have. What is in the old one's place from now on is whole, also after a crash.
    fn place(&self) -> Result<(), Errno> {
        fsync(&self.file)?;
        renameat(&*self.parent, self.name.as_slice(), &*self.parent, self.key.name())
    }

    fn remove(&self) {
        if let Err(errno) = unlinkat(&*self.parent, self.name.as_slice(), AtFlags::empty()) {
            self.target.warn(&self.key, error("remove a file that is not whole", errno).text);
        }
    }
}

fn create(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::RUSR | Mode::WUSR)
}

fn begin_temporary(target: &LocalTarget, parent: &OwnedFd) -> (Vec<u8>, Result<OwnedFd, Errno>) {
    let (mut name, mut file) = (Vec::new(), Err(Errno::EXIST));
    for _ in 0..ATTEMPTS {
        let number = target.temporary.fetch_add(1, Ordering::Relaxed);
        name = format!(".keepwell-{}-{number}.part", std::process::id()).into_bytes();
        file = create(parent, &name);
        if !matches!(file, Err(Errno::EXIST)) {
            break;
        }
    }
    (name, file)
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

    fn finish(self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        let mut done = Ok(());
        if self.end != self.size {
            done = ftruncate(&self.file, self.size).map_err(|e| error("set the size", e));
        }
        done = done.and_then(|()| self.target.apply(&self.key, &self.file, false, node));
        if self.placing == Placing::Replace {
            done = done.and_then(|()| self.place().map_err(|e| error("put the file in the place of the one that is there", e)));
            if done.is_err() {
                self.remove();
            }
        }
        done
    }

    fn abandon(self: Box<Self>) {
        self.remove();
    }
}
