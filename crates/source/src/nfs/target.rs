//! A folder of an NFS export as the place a tree is restored to.
//!
//! Must never write outside it: names are single components, looked up in handles from the target's own root, and a symbolic link has no entries.
//! Everything is created closed to others; the right owner and mode come when the content is there. What a call made is durable when it returns.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Placing, Present, ReadFile, Target, WriteError, WriteFile};
use keepwell_format::{Gap, Key, Kind, Node};
use keepwell_nfs::{Attributes, Device, FileType, Handle, Made, NfsError, Options, SetAttributes, Status, Verifier};

use super::apply::{Apply, is_fatal};
use super::gaps::{refusal, words};
use super::handles::split;
use super::node::{kind, time};
use super::tree::{Absent, Tree};
use super::write::NfsWriter;
use super::{TIMEOUT, compare};
use crate::{NfsUrl, NfsVersion, Opening, SourceError, Warnings};

/// Files written side by side.
const PARALLEL_WRITES: usize = 16;
/// Warnings kept with their keys.
const WARNINGS_KEPT: usize = 100;

/// A folder of an export. One that was empty counts as not there until something is put into it.
#[derive(Debug)]
pub struct NfsTarget {
    pub(super) tree: Tree,
    empty: bool,
    /// New entries may inherit access lists here.
    inherits: bool,
    temporary: AtomicU64,
    warnings: Mutex<Warnings>,
}

impl NfsTarget {
    /// Mounts the export of the URL, as the user that it names or that this process has. Makes the folder below it, and all above that, if it is not
    /// there.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`], [`SourceError::Share`], [`SourceError::NotEmpty`], and [`SourceError::NotYet`] for version 4.1.
    pub fn connect(url: &NfsUrl, opening: Opening) -> Result<Self, SourceError> {
        Self::connect_with(url, opening, TIMEOUT)
    }

    /// Likewise, with another limit for the time that one call may take.
    ///
    /// # Errors
    /// Likewise.
    pub fn connect_with(url: &NfsUrl, opening: Opening, timeout: Duration) -> Result<Self, SourceError> {
        let location = url.to_string();
        if url.version != NfsVersion::V3 {
            return Err(SourceError::NotYet { location });
        }
        let absent = if opening.makes() { Absent::Make } else { Absent::Stop };
        let tree = Tree::connect(url, Options { timeout, ..Options::default() }, absent)?;
        let refuse = |error| refusal(error, &url.address(), &location);
        let root = tree.handles.root();
        let first = tree.link.call(|export| export.begin_names(root, 0, Verifier::default())).map_err(refuse)?;
        let empty = tree.absent || first.entries.is_empty() && first.end;
        if opening.wants_empty() && !empty {
            return Err(SourceError::NotEmpty(location.into()));
        }
        let passes_on = || tree.link.call(|export| export.begin_access_lists(root)).is_ok_and(|lists| !lists.default.is_empty());
        let inherits = tree.has_access_lists() && (!empty || passes_on());
        Ok(Self { tree, empty, inherits, temporary: AtomicU64::new(0), warnings: Mutex::default() })
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

    /// The folder that `key` goes into, and its name there.
    pub(super) fn place<'k>(&self, key: &'k Key) -> Result<(Handle, &'k [u8]), WriteError> {
        if key.is_root() {
            return Err(refused("the top of the tree can only be a folder"));
        }
        let (folder, name) = split(key.as_bytes());
        Ok((self.tree.handles.folder(&self.tree.link, folder).map_err(|e| error("open the folder", &e))?, name))
    }

    pub(super) fn temporary_name(&self) -> Vec<u8> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        format!(".keepwell-{}-{number}.part", std::process::id()).into_bytes()
    }

    pub(super) fn look_up(&self, folder: &Handle, name: &[u8]) -> Result<(Handle, Attributes), NfsError> {
        let (handle, seen) = self.tree.link.call(|export| export.begin_lookup(folder, name))?;
        self.with_attributes(handle, seen)
    }

    /// Gives a file a further path, which must be free.
    pub(super) fn link_to(&self, file: (&Handle, &Attributes), folder: &Handle, name: &[u8]) -> Result<(), NfsError> {
        match self.tree.link.call_told(|export| export.begin_link(file.0, folder, name)) {
            // The first attempt may have made it.
            Err((error, true)) if error.status() == Some(Status::EXIST) => {
                let (_, there) = self.look_up(folder, name)?;
                if there.is_same_file(file.1) { Ok(()) } else { Err(error) }
            }
            other => other.map_err(|(error, _)| error),
        }
    }

    /// What was just made, asked for where the server did not say.
    pub(super) fn seen(&self, folder: &Handle, name: &[u8], made: Made) -> Result<(Handle, Attributes), NfsError> {
        match made.handle {
            Some(handle) => self.with_attributes(handle, made.attributes),
            None => self.look_up(folder, name),
        }
    }

    fn with_attributes(&self, handle: Handle, seen: Option<Attributes>) -> Result<(Handle, Attributes), NfsError> {
        let seen = match seen {
            Some(seen) => seen,
            None => self.tree.link.call(|export| export.begin_attributes(&handle))?,
        };
        Ok((handle, seen))
    }

    pub(super) fn apply(&self, key: &Key, handle: &Handle, seen: Option<Attributes>, node: &Node) -> Result<(), WriteError> {
        let warn = &mut |text| self.warn(key, text);
        let apply = Apply { tree: &self.tree, handle, seen, inherits: self.inherits, warn };
        apply.apply(node).map_err(|e| error("set owner, mode, access list or times", &e))
    }

    /// Makes a link or a special file; none if this user may not, which is warned of.
    fn make_special(&self, key: &Key, node: &Node) -> Result<Option<(Handle, Attributes)>, WriteError> {
        let (folder, name) = self.place(key)?;
        let set = SetAttributes { mode: Some(0o600), ..SetAttributes::default() };
        let device = node.device.map_or(Device { major: 0, minor: 0 }, |(major, minor)| Device { major, minor });
        let target = node.target.as_deref().unwrap_or_default();
        let special = match node.kind {
            Kind::Symlink if target.is_empty() => return Err(refused("a symbolic link without a target")),
            Kind::Symlink => FileType::Symlink,
            Kind::Fifo => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::CharDevice => FileType::Character,
            Kind::BlockDevice => FileType::Block,
            _ => return Err(refused("this kind of thing can't be made over NFS")),
        };
        let made = self.tree.link.call_told(|export| match special {
            FileType::Symlink => export.begin_symlink(&folder, name, target, &SetAttributes::default()),
            _ => export.begin_special(&folder, name, special, device, &set),
        });
        let made = match made {
            Ok(made) => self.seen(&folder, name, made),
            // The first attempt may have made it.
            Err((failed, true)) if failed.status() == Some(Status::EXIST) => self.look_up(&folder, name),
            Err((failed, _)) if matches!(failed.status(), Some(Status::PERM | Status::ACCES | Status::NOTSUPP | Status::BADTYPE)) => {
                self.warn(key, format!("not made: {}", words(&failed)));
                return Ok(None);
            }
            Err((failed, _)) => Err(failed),
        };
        let made = made.map_err(|e| error("make a link, device, pipe or socket", &e))?;
        if made.1.kind == special { Ok(Some(made)) } else { Err(refused("something else has its name")) }
    }
}

pub(super) fn error(doing: &str, error: &NfsError) -> WriteError {
    WriteError { fatal: is_fatal(error), text: format!("could not {doing}: {}", words(error)) }
}

pub(super) fn refused(why: &str) -> WriteError {
    WriteError { fatal: false, text: why.into() }
}

impl Target for NfsTarget {
    fn look(&self, key: &Key) -> Result<Option<Present>, WriteError> {
        if self.tree.absent || key.is_root() && self.empty {
            return Ok(None);
        }
        match self.tree.handles.entry(&self.tree.link, key) {
            Ok((_, seen)) => Ok(Some(Present { kind: kind(seen.kind), size: seen.size, mtime: Some(time(seen.mtime)) })),
            Err(failed) if failed.status() == Some(Status::NOENT) => Ok(None),
            Err(failed) => Err(error("look at what is there", &failed)),
        }
    }

    fn lacking(&self) -> Vec<String> {
        compare::lacking(&self.tree)
    }

    fn folder(&self, key: &Key, _node: &Node) -> Result<(), WriteError> {
        if key.is_root() {
            return Ok(());
        }
        let (parent, name) = self.place(key)?;
        let set = SetAttributes { mode: Some(0o700), ..SetAttributes::default() };
        let made = match self.tree.link.call(|export| export.begin_folder(&parent, name, &set)) {
            Ok(made) => self.seen(&parent, name, made),
            Err(failed) if failed.status() == Some(Status::EXIST) => self.look_up(&parent, name),
            Err(failed) => Err(failed),
        };
        let (handle, seen) = made.map_err(|e| error("make a folder", &e))?;
        if seen.kind != FileType::Folder {
            return Err(refused("something that is no folder has its name"));
        }
        self.tree.handles.keep_folder(key.as_bytes(), handle);
        Ok(())
    }

    fn file(&self, key: &Key, _node: &Node, content: &Content, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        Ok(Box::new(NfsWriter::begin(self, key, content.size, placing)?))
    }

    fn stream(&self, _key: &Key, _stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        Err(refused("NFS has no alternate streams"))
    }

    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        match self.make_special(key, node)? {
            Some((handle, seen)) => self.apply(key, &handle, Some(seen), node),
            None => Ok(()),
        }
    }

    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError> {
        let failed = |e| error("make a hard link", &e);
        let (folder, name) = self.place(key)?;
        let (file, first) = self.tree.handles.entry(&self.tree.link, to).map_err(failed)?;
        self.link_to((&file, &first), &folder, name).map_err(failed)
    }

    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        let found = self.tree.handles.entry(&self.tree.link, key);
        let (handle, seen) = found.map_err(|e| error("open a folder", &e))?;
        if seen.kind != FileType::Folder {
            return Err(refused("something that is no folder has taken its place"));
        }
        self.apply(key, &handle, Some(seen), node)
    }

    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        Ok(Box::new(compare::read(&self.tree, key, stream)?))
    }

    fn differences(&self, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
        compare::differences(&self.tree, key, node)
    }

    /// All is durable already: servers answer a change when it is on disk, and files are committed.
    fn sync(&self) -> Result<(), WriteError> {
        Ok(())
    }

    fn parallel_writes(&self) -> usize {
        PARALLEL_WRITES
    }
}
