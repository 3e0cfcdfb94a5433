//! A new folder of this machine as the place a tree is restored to.
//!
//! Must never write outside it: names are single components, opened from the target's own folder, and no link is followed,
//! whatever the tree says. Everything is created closed to others; the right owner and mode come when the content is there.

use std::ffi::CStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Target, WriteError, WriteFile};
use keepwell_format::{Key, Kind, Node};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fremovexattr, ftruncate, linkat, makedev, mkdirat, mknodat, openat, symlinkat, syncfs, unlinkat,
};
use rustix::io::{Errno, pwrite};

use super::apply::{apply, is_fatal};
use super::folders::{Folders, open, split};
use crate::SourceError;

/// Writes side by side that keep a disk busy.
const PARALLEL_WRITES: usize = 4;

const ACCESS_LIST: &CStr = c"system.posix_acl_access";
const DEFAULT_ACCESS_LIST: &CStr = c"system.posix_acl_default";

/// Warnings kept with their keys.
const WARNINGS_KEPT: usize = 100;

/// What could not be restored as it was, without the restore failing.
#[derive(Clone, Debug, Default)]
pub struct Warnings {
    /// How many there were.
    pub count: u64,
    /// The first 100: where, and what in a person's words.
    pub first: Vec<(Key, String)>,
}

/// A folder that was empty when it was opened.
#[derive(Debug)]
pub struct LocalTarget {
    folders: Folders,
    warnings: Mutex<Warnings>,
}

impl LocalTarget {
    /// Makes the folder at `path` with all above it, or takes an empty one. The path itself may lead over symbolic links.
    ///
    /// # Errors
    /// [`SourceError`] if something is in it already, or it can't be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let path = path.as_ref();
        fs::create_dir_all(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => SourceError::NotFolder(path.into()),
            _ => SourceError::io(path, "made", e),
        })?;
        if fs::read_dir(path).map_err(|e| SourceError::io(path, "opened", e))?.next().is_some() {
            return Err(SourceError::NotEmpty(path.into()));
        }
        if fs::metadata("/proc/self/fd").is_err() {
            return Err(SourceError::NoProc);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty()).map_err(|e| SourceError::io(path, "opened", e))?;
        // Else all that is made below would inherit it.
        match fremovexattr(&root, DEFAULT_ACCESS_LIST) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(SourceError::io(path, "cleared of its default access list", errno)),
        }
        Ok(Self { folders: Folders::new(root), warnings: Mutex::default() })
    }

    /// What could not be restored as it was, so far.
    pub fn warnings(&self) -> Warnings {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn warn(&self, key: &Key, text: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.count += 1;
        if warnings.first.len() < WARNINGS_KEPT {
            warnings.first.push((key.clone(), text));
        }
    }

    /// The open folder that `key` goes into, and its name there.
    fn place<'k>(&self, key: &'k Key) -> Result<(Arc<OwnedFd>, &'k [u8]), WriteError> {
        let (folder, name) = split(key.as_bytes());
        if name.is_empty() {
            return Err(WriteError { fatal: false, text: "the top of the tree can only be a folder".into() });
        }
        Ok((self.folders.get(folder).map_err(|e| error("open the folder", e))?, name))
    }

    fn apply(&self, key: &Key, fd: &OwnedFd, only_path: bool, node: &Node) -> Result<(), WriteError> {
        apply(fd, only_path, node, &mut |text| self.warn(key, text)).map_err(|e| error("set owner, mode, attributes or times", e))
    }

    /// Makes the thing itself; false if this user may not, which is warned of.
    fn make_special(&self, key: &Key, parent: &OwnedFd, name: &[u8], node: &Node) -> Result<bool, WriteError> {
        let node_type = match node.kind {
            Kind::Symlink => {
                let target = node.target.as_deref().ok_or_else(|| refused("a symbolic link without a target"))?;
                return symlinkat(target, parent, name).map(|()| true).map_err(|e| error("make a symbolic link", e));
            }
            Kind::Fifo => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            Kind::Reparse => return Err(refused("a reparse point can't be kept by this file system")),
            Kind::File | Kind::Folder | Kind::Unknown => return Err(refused("it was not read when the backup ran")),
        };
        let (major, minor) = node.device.unwrap_or_default();
        match mknodat(parent, name, node_type, Mode::RUSR | Mode::WUSR, makedev(major, minor)) {
            Ok(()) => Ok(true),
            Err(errno @ (Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP)) => {
                self.warn(key, format!("not made: {}", std::io::Error::from(errno)));
                Ok(false)
            }
            Err(errno) => Err(error("make a device, pipe or socket", errno)),
        }
    }
}

fn error(doing: &str, errno: Errno) -> WriteError {
    WriteError { fatal: is_fatal(errno), text: format!("could not {doing}: {}", std::io::Error::from(errno)) }
}

fn refused(why: &str) -> WriteError {
    WriteError { fatal: false, text: why.into() }
}

impl Target for LocalTarget {
    fn folder(&self, key: &Key, _node: &Node) -> Result<(), WriteError> {
        if key.is_root() {
            return Ok(());
        }
        let (parent, name) = self.place(key)?;
        mkdirat(&*parent, name, Mode::RWXU).map_err(|e| error("make a folder", e))?;
        let folder = open(&parent, name).map_err(|e| error("open a folder", e))?;
        self.folders.keep(key.as_bytes(), folder);
        Ok(())
    }

    fn file(&self, key: &Key, _node: &Node, content: &Content) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        let (parent, name) = self.place(key)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&*parent, name, flags, Mode::RUSR | Mode::WUSR).map_err(|e| error("make a file", e))?;
        Ok(Box::new(LocalWriter { target: self, key: key.clone(), file, size: content.size, end: 0 }))
    }

    fn stream(&self, _key: &Key, _stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        Err(refused("this file system has no alternate streams"))
    }

    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        let (parent, name) = self.place(key)?;
        if !self.make_special(key, &parent, name, node)? {
            return Ok(());
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&*parent, name, flags, Mode::empty()).map_err(|e| error("open what was made", e))?;
        self.apply(key, &made, true, node)
    }

    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError> {
        let (parent, name) = self.place(key)?;
        let (first_parent, first_name) = self.place(to)?;
        linkat(&*first_parent, first_name, &*parent, name, AtFlags::empty()).map_err(|e| error("make a hard link", e))
    }

    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        let folder = self.folders.get(key.as_bytes()).map_err(|e| error("open a folder", e))?;
        if key.is_root() && !node.attributes.iter().any(|attribute| attribute.name == ACCESS_LIST.to_bytes()) {
            // Its own, from before the restore or inherited from above.
            match fremovexattr(&*folder, ACCESS_LIST) {
                Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(errno) => self.warn(key, format!("access list: {}", std::io::Error::from(errno))),
            }
        }
        self.apply(key, &folder, false, node)
    }

    fn sync(&self) -> Result<(), WriteError> {
        syncfs(&**self.folders.root()).map_err(|e| WriteError { fatal: true, ..error("make everything durable", e) })
    }

    fn parallel_writes(&self) -> usize {
        PARALLEL_WRITES
    }
}

/// A file that is being written.
struct LocalWriter<'a> {
    target: &'a LocalTarget,
    key: Key,
    file: OwnedFd,
    size: u64,
    /// End of what was written furthest back.
    end: u64,
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
        if self.end != self.size {
            ftruncate(&self.file, self.size).map_err(|e| error("set the size", e))?;
        }
        self.target.apply(&self.key, &self.file, false, node)
    }

    fn abandon(self: Box<Self>) {
        let removed = self.target.place(&self.key).and_then(|(parent, name)| {
            let flags = AtFlags::empty();
            unlinkat(&*parent, name, flags).map_err(|e| error("remove a file that is not whole", e))
        });
        if let Err(error) = removed {
            self.target.warn(&self.key, error.text);
        }
    }
}
