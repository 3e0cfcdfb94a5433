//! A folder of this machine as the place a tree is restored to.
//!
//! Must never write outside it: names are single components, opened from the target's own folder, and no link is followed,
//! whatever the tree says. Everything is created closed to others; the right owner and mode come when the content is there.

use std::ffi::CStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Placing, Present, ReadFile, Target, WriteError, WriteFile};
use keepwell_format::{Gap, Key, Kind, Node};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, XattrFlags, fgetxattr, fremovexattr, fsetxattr, linkat, makedev, mkdirat, mknodat, openat,
    symlinkat, syncfs, unlinkat,
};
use rustix::io::Errno;

use super::apply::{apply, is_fatal};
use super::compare;
use super::folders::{Folders, open, split};
use super::metadata::{self, Place};
use super::placing::{rename_new, under_temporary_name};
use super::write::LocalWriter;
use crate::SourceError;

/// Writes side by side that keep a disk busy.
const PARALLEL_WRITES: usize = 4;

pub(super) const ACCESS_LIST: &CStr = c"system.posix_acl_access";
pub(super) const DEFAULT_ACCESS_LIST: &CStr = c"system.posix_acl_default";

/// On a folder that a restore has made and not yet given its metadata, where the file system can keep it.
const UNFINISHED: &CStr = c"user.keepwell.unfinished";

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

/// A folder that takes what is restored. One that was empty counts as not there until something is put into it: all of it is the restore's.
#[derive(Debug)]
pub struct LocalTarget {
    /// None: it is only looked at, and is not there.
    folders: Option<Folders>,
    /// It may have held something before, so its folders pass their default access lists on.
    merging: bool,
    /// Numbers of temporary names.
    pub(super) temporary: AtomicU64,
    warnings: Mutex<Warnings>,
}

impl LocalTarget {
    /// Makes the folder at `path` with all above it, or takes an empty one. The path itself may lead over symbolic links.
    ///
    /// # Errors
    /// [`SourceError`] if something is in it already, or it can't be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let target = Self::new(Some(make(path)?), false)?;
        if !is_empty(path)? {
            return Err(SourceError::NotEmpty(path.into()));
        }
        target.folders().map(|folders| mark(folders.root())).ok();
        // Else all that is made below would inherit it.
        match target.folders().and_then(|folders| fremovexattr(&**folders.root(), DEFAULT_ACCESS_LIST)) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(target),
            Err(errno) => Err(SourceError::io(path, "cleared of its default access list", errno)),
        }
    }

    /// The same, whatever the folder holds.
    ///
    /// # Errors
    /// [`SourceError`] if it can't be made or opened.
    pub fn merge(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        Self::new(Some(make(path.as_ref())?), true)
    }

    /// Only for looking at what is there, if anything: nothing is made. With `empty`, something in it is an error as in [`LocalTarget::create`].
    ///
    /// # Errors
    /// [`SourceError`] if it can't be opened.
    pub fn preview(path: impl AsRef<Path>, empty: bool) -> Result<Self, SourceError> {
        let path = path.as_ref();
        match open_root(path) {
            Err(SourceError::Missing(_)) => Self::new(None, true),
            Ok(_) if empty && !is_empty(path)? => Err(SourceError::NotEmpty(path.into())),
            root => Self::new(Some(root?), !empty),
        }
    }

    fn new(root: Option<OwnedFd>, merging: bool) -> Result<Self, SourceError> {
        if fs::metadata("/proc/self/fd").is_err() {
            return Err(SourceError::NoProc);
        }
        Ok(Self { folders: root.map(Folders::new), merging, temporary: AtomicU64::new(0), warnings: Mutex::default() })
    }

    /// What could not be restored as it was, so far.
    pub fn warnings(&self) -> Warnings {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn warn(&self, key: &Key, text: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.count += 1;
        if warnings.first.len() < WARNINGS_KEPT {
            warnings.first.push((key.clone(), text));
        }
    }

    pub(super) fn folders(&self) -> Result<&Folders, Errno> {
        self.folders.as_ref().ok_or(Errno::NOENT)
    }

    /// The open folder that `key` goes into, and its name there.
    pub(super) fn place<'k>(&self, key: &'k Key) -> Result<(Arc<OwnedFd>, &'k [u8]), WriteError> {
        if key.is_root() {
            return Err(refused("the top of the tree can only be a folder"));
        }
        self.find(key).map_err(|e| error("open the folder", e))
    }

    pub(super) fn find<'k>(&self, key: &'k Key) -> Result<(Arc<OwnedFd>, &'k [u8]), Errno> {
        let (folder, name) = split(key.as_bytes());
        Ok((self.folders()?.get(folder)?, name))
    }

    pub(super) fn apply(&self, key: &Key, fd: &OwnedFd, only_path: bool, node: &Node) -> Result<(), WriteError> {
        apply(fd, only_path, node, &mut |text| self.warn(key, text)).map_err(|e| error("set owner, mode, attributes or times", e))
    }

    /// Takes the access lists away that something new got from the folder it is in.
    pub(super) fn disinherit(&self, key: &Key, made: &OwnedFd, lists: &[&CStr]) {
        for list in lists.iter().filter(|_| self.merging) {
            self.remove_list(key, made, list);
        }
    }

    fn remove_list(&self, key: &Key, fd: &OwnedFd, list: &CStr) {
        match fremovexattr(fd, list) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => self.warn(key, format!("access list: {}", std::io::Error::from(errno))),
        }
    }

    pub(super) fn remove_temporary(&self, key: &Key, parent: &OwnedFd, name: &[u8]) {
        if let Err(errno) = unlinkat(parent, name, AtFlags::empty()) {
            self.warn(key, error("remove what is not whole", errno).text);
        }
    }
}

/// What is to be made of a node that is neither file nor folder.
fn file_type(node: &Node) -> Result<FileType, WriteError> {
    match node.kind {
        Kind::Symlink if node.target.is_none() => Err(refused("a symbolic link without a target")),
        Kind::Symlink => Ok(FileType::Symlink),
        Kind::Fifo => Ok(FileType::Fifo),
        Kind::Socket => Ok(FileType::Socket),
        Kind::CharDevice => Ok(FileType::CharacterDevice),
        Kind::BlockDevice => Ok(FileType::BlockDevice),
        _ => Err(refused("this kind of thing can't be made on this file system")),
    }
}

fn make_special(parent: &OwnedFd, name: &[u8], made: FileType, node: &Node) -> Result<(), Errno> {
    match (made, &node.target) {
        (FileType::Symlink, Some(to)) => symlinkat(to, parent, name),
        _ => {
            let device = node.device.map_or(0, |(major, minor)| makedev(major, minor));
            mknodat(parent, name, made, Mode::RUSR | Mode::WUSR, device)
        }
    }
}

fn mark(folder: &OwnedFd) {
    let _ = fsetxattr(folder, UNFINISHED, b"", XattrFlags::empty());
}

/// Makes a folder with all above it, or takes it.
fn make(path: &Path) -> Result<OwnedFd, SourceError> {
    fs::create_dir_all(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => SourceError::NotFolder(path.into()),
        _ => SourceError::io(path, "made", e),
    })?;
    open_root(path)
}

fn open_root(path: &Path) -> Result<OwnedFd, SourceError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(|e| SourceError::io(path, "opened", e))
}

fn is_empty(path: &Path) -> Result<bool, SourceError> {
    Ok(fs::read_dir(path).map_err(|e| SourceError::io(path, "opened", e))?.next().is_none())
}

pub(super) fn error(doing: &str, errno: Errno) -> WriteError {
    WriteError { fatal: is_fatal(errno), text: format!("could not {doing}: {}", std::io::Error::from(errno)) }
}

pub(super) fn refused(why: &str) -> WriteError {
    WriteError { fatal: false, text: why.into() }
}

impl Target for LocalTarget {
    fn look(&self, key: &Key) -> Result<Option<Present>, WriteError> {
        if key.is_root() && !self.merging {
            return Ok(None);
        }
        let looked = self.folders().and_then(|folders| {
            if key.is_root() {
                return metadata::look(Place::Open(folders.root()));
            }
            let (parent, name) = self.find(key)?;
            metadata::look(Place::In(&parent, name))
        });
        match looked {
            Ok(seen) => {
                let node = metadata::node(&seen, 0);
                Ok(Some(Present { kind: node.kind, size: seen.stx_size, mtime: node.mtime }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(error("look at what is there", errno)),
        }
    }

    fn is_unfinished(&self, folder: &Key) -> bool {
        let folder = self.folders().and_then(|folders| folders.get(folder.as_bytes()));
        folder.and_then(|folder| fgetxattr(&*folder, UNFINISHED, &mut [0_u8; 0][..])).is_ok()
    }

    fn lacking(&self) -> Vec<String> {
        compare::lacking()
    }

    fn folder(&self, key: &Key, _node: &Node) -> Result<(), WriteError> {
        if key.is_root() {
            return Ok(());
        }
        let (parent, name) = self.place(key)?;
        let made = match mkdirat(&*parent, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(error("make a folder", errno)),
        };
        let folder = open(&parent, name).map_err(|e| error("open a folder", e))?;
        if made {
            mark(&folder);
            self.disinherit(key, &folder, &[ACCESS_LIST, DEFAULT_ACCESS_LIST]);
        }
        self.folders().map_err(|e| error("open a folder", e))?.keep(key.as_bytes(), folder);
        Ok(())
    }

    fn file(&self, key: &Key, _node: &Node, content: &Content, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        Ok(Box::new(LocalWriter::begin(self, key, content.size, placing)?))
    }

    fn stream(&self, _key: &Key, _stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        Err(refused("this file system has no alternate streams"))
    }

    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        let (parent, name) = self.place(key)?;
        let kind = file_type(node)?;
        let temporary = match under_temporary_name(&self.temporary, |temporary| make_special(&parent, temporary, kind, node)) {
            Ok((temporary, ())) => temporary,
            Err(errno @ (Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP)) if kind != FileType::Symlink => {
                self.warn(key, format!("not made: {}", std::io::Error::from(errno)));
                return Ok(());
            }
            Err(errno) => return Err(error("make a link, device, pipe or socket", errno)),
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&*parent, temporary.as_slice(), flags, Mode::empty()).map_err(|e| error("open what was made", e));
        let applied = made.and_then(|made| self.apply(key, &made, true, node));
        let done = applied.and_then(|()| rename_new(&parent, &temporary, name).map_err(|e| error("give it its name", e)));
        if done.is_err() {
            self.remove_temporary(key, &parent, &temporary);
        }
        done
    }

    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError> {
        let (parent, name) = self.place(key)?;
        let (first_parent, first_name) = self.place(to)?;
        linkat(&*first_parent, first_name, &*parent, name, AtFlags::empty()).map_err(|e| error("make a hard link", e))
    }

    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        let folder = self.folders().and_then(|folders| folders.get(key.as_bytes())).map_err(|e| error("open a folder", e))?;
        let _ = fremovexattr(&*folder, UNFINISHED);
        if key.is_root() && !node.attributes.iter().any(|attribute| attribute.name == ACCESS_LIST.to_bytes()) {
            // Its own, from before the restore or inherited from above.
            self.remove_list(key, &folder, ACCESS_LIST);
        }
        self.apply(key, &folder, false, node)
    }

    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        Ok(Box::new(compare::read(self, key, stream)?))
    }

    fn differences(&self, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
        compare::differences(self, key, node)
    }

    fn sync(&self) -> Result<(), WriteError> {
        let synced = self.folders().and_then(|folders| syncfs(&**folders.root()));
        synced.map_err(|e| WriteError { fatal: true, ..error("make everything durable", e) })
    }

    fn parallel_writes(&self) -> usize {
        PARALLEL_WRITES
    }
}
