//! A folder of a share as the place a tree is restored to.
//!
//! Must never write outside it: names are single components, and a folder is used only after it was seen to be one and no link or
//! junction, whatever the tree says. A file lies under a temporary name until it is whole.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Placing, Present, ReadFile, Target, WriteError, WriteFile};
use keepwell_format::{Gap, Key, Kind, Node};
use keepwell_smb::{
    BadName, Disposition, NtStatus, Open, OpenFile, OpenKind, SmbError, Stat, Want, WidePath, access, attribute, part, wide,
};

use super::metadata::is_reparse;
use super::session::{Session, SmbOptions};
use super::write::{StreamWriter, begin};
use super::{compare, gap, refusal, source, time};
use crate::{Opening, RestoreTarget, SmbUrl, SourceError, Warnings};

/// Files written at the same time.
const PARALLEL_WRITES: usize = 16;

/// Warnings kept with their keys.
const WARNINGS_KEPT: usize = 100;

/// Folders that are remembered as such.
const FOLDERS_KNOWN: usize = 20_000;

/// Owners that are remembered as refused.
const OWNERS_KNOWN: usize = 1_000;

/// A folder of a share that takes what is restored.
#[derive(Debug)]
pub struct SmbTarget {
    pub(super) session: Arc<Session>,
    /// Whether nothing was in it, or it is not there yet.
    empty: bool,
    /// Parts of descriptors that this account may set, as far as is known.
    pub(super) parts: AtomicU32,
    /// What it may do with the folder itself (MS-SMB2 2.2.13.1.2).
    pub(super) rights: Option<u32>,
    pub(super) temporary: AtomicU64,
    folders: Mutex<HashSet<Key>>,
    refused_owners: Mutex<HashSet<Vec<u8>>>,
    /// Files under a temporary name, where their streams go as well.
    pub(super) placing: Mutex<std::collections::HashMap<Key, WidePath>>,
    told_of_unix: AtomicBool,
    warnings: Mutex<Warnings>,
}

impl SmbTarget {
    /// Signs in and opens the folder; makes it, and all above it, if it is not there.
    ///
    /// # Errors
    /// [`SourceError`]: as of a source, or something is in it that must be empty.
    pub fn connect(url: &SmbUrl, password: &str, opening: Opening) -> Result<Self, SourceError> {
        Self::connect_with(url, password, opening, &SmbOptions::default())
    }

    /// The same, with the client's options.
    ///
    /// # Errors
    /// As [`SmbTarget::connect`].
    pub fn connect_with(url: &SmbUrl, password: &str, opening: Opening, options: &SmbOptions) -> Result<Self, SourceError> {
        let session = Session::connect(url, password, options)?;
        let failed = |error: SmbError| SourceError::Share { location: url.to_string(), source: Box::new(error) };
        if opening.makes() {
            make(&session, url).map_err(failed)?;
        }
        let want = Want { descriptor: true, sacl: true, maximal_access: true, ..Want::default() };
        let seen = match session.share.begin_stat(&session.root, want, None).and_then(|stat| stat.wait()) {
            Ok(stat) if !stat.info.is_directory => return Err(SourceError::NotFolder(url.to_string().into())),
            Err(error) if !opening.makes() && is_none(&error) => None,
            other => Some(other.map_err(failed)?),
        };
        let empty = match &seen {
            Some(_) => is_empty(&session).map_err(failed)?,
            None => true,
        };
        if opening.wants_empty() && !empty {
            return Err(SourceError::NotEmpty(PathBuf::from(url.to_string())));
        }
        Ok(Self::new(session, seen.as_ref(), empty))
    }

    fn new(session: Session, seen: Option<&Stat>, empty: bool) -> Self {
        let reads_audit_lists = seen.is_some_and(|stat| stat.has_sacl) && !session.share.sacl_refused();
        let granted = session.facts.maximal_access;
        let mut parts = 0;
        for (right, of) in [(access::WRITE_OWNER, part::OWNER | part::GROUP), (access::WRITE_DAC, part::DACL)] {
            parts |= if granted & right != 0 { of } else { 0 };
        }
        parts |= if reads_audit_lists { part::SACL } else { 0 };
        Self {
            session: Arc::new(session),
            empty,
            parts: AtomicU32::new(parts),
            rights: seen.and_then(|stat| stat.maximal_access),
            // Where an earlier run was cut, its files may still be there.
            temporary: AtomicU64::new(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64)),
            folders: Mutex::default(),
            refused_owners: Mutex::default(),
            placing: Mutex::default(),
            told_of_unix: AtomicBool::new(false),
            warnings: Mutex::default(),
        }
    }

    pub(super) fn warn(&self, key: &Key, text: String) {
        let mut warnings = lock(&self.warnings);
        warnings.count += 1;
        if warnings.first.len() < WARNINGS_KEPT {
            warnings.first.push((key.clone(), text));
        }
    }

    pub(super) fn warn_of_unix(&self, key: &Key) {
        if !self.told_of_unix.swap(true, Ordering::Relaxed) {
            self.warn(key, "owners and modes of Unix: a share has descriptors instead (this is told once)".into());
        }
    }

    pub(super) fn is_refused_owner(&self, sid: &[u8]) -> bool {
        lock(&self.refused_owners).contains(sid)
    }

    pub(super) fn refuse_owner(&self, sid: &[u8]) {
        let mut refused = lock(&self.refused_owners);
        if refused.len() < OWNERS_KNOWN {
            refused.insert(sid.to_vec());
        }
    }

    /// The path of a key below the root, whether or not anything is there.
    pub(super) fn path(&self, key: &Key) -> Result<WidePath, WriteError> {
        source::path(&self.session.root, key).map_err(unspellable)
    }

    /// The path that an entry gets in a folder that was seen to be one.
    pub(super) fn place(&self, key: &Key) -> Result<WidePath, WriteError> {
        let parent = key.parent().ok_or_else(|| refused("the top of the tree can only be a folder"))?;
        self.approve(&parent)?;
        self.path(key)
    }

    /// Makes sure that all of a path are folders, so that nothing is written through a link.
    fn approve(&self, folder: &Key) -> Result<(), WriteError> {
        if folder.is_root() || lock(&self.folders).contains(folder) {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.approve(&parent)?;
        }
        let stat = self.stat(&self.path(folder)?).map_err(|e| error("open the folder", &e))?;
        if stat.info.attributes & attribute::DIRECTORY == 0 || is_reparse(stat.info.attributes, tag(&stat)) {
            return Err(refused("something that is no folder, or a link to one, is in the place of the folder"));
        }
        self.know(folder);
        Ok(())
    }

    fn know(&self, folder: &Key) {
        let mut folders = lock(&self.folders);
        if folders.len() >= FOLDERS_KNOWN {
            folders.clear();
        }
        folders.insert(folder.clone());
    }

    /// Looks at what is there itself, not at what it leads to.
    pub(super) fn stat(&self, path: &WidePath) -> Result<Stat, SmbError> {
        let want = Want { reparse: true, ..Want::default() };
        self.session.share.begin_stat(path, want, None)?.wait()
    }

    /// Opens with the rights to set what may be set of a descriptor, or with fewer. Answers with the parts that can be set.
    pub(super) fn open(&self, path: &WidePath, how: &Open) -> Result<(OpenFile, u32), SmbError> {
        let mut parts = self.parts.load(Ordering::Relaxed);
        loop {
            let how = how.clone().with_descriptor(parts);
            match self.session.share.begin_open(path, &how).and_then(|file| file.wait()) {
                Err(error) if parts != 0 && is_denied(&error) => parts = fewer(parts),
                opened => return opened.map(|file| (file, parts)),
            }
        }
    }

    fn make_folder(&self, key: &Key) -> Result<(), WriteError> {
        let path = self.place(key)?;
        let how = Open { disposition: Disposition::Create, kind: OpenKind::Folder, ..Open::looking(Want::default(), None) };
        match self.session.share.begin_open(&path, &how).and_then(|file| file.wait()) {
            Ok(_) => self.know(key),
            Err(failed) if failed.status() == Some(NtStatus::OBJECT_NAME_COLLISION) => return self.approve(key),
            Err(failed) => return Err(error("make a folder", &failed)),
        }
        Ok(())
    }

    fn dress_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.approve(key)?;
        let path = self.path(key)?;
        let how = Open { share: keepwell_smb::sharing::ALL, ..Open::writing(OpenKind::Folder, Disposition::Open) };
        let (file, parts) = self.open(&path, &how).map_err(|e| error("open a folder", &e))?;
        if parts != self.parts.load(Ordering::Relaxed) && node.descriptor.is_some() {
            self.warn(key, "security descriptor: this account may not set all of it here".into());
        }
        self.apply(key, &file, node, parts)
    }

    /// Makes a reparse point of a new file or folder; removes that again if the server does not take the data.
    fn make_special(&self, key: &Key, path: &WidePath, node: &Node, data: &[u8]) -> Result<(), WriteError> {
        let is_folder = node.dos.is_some_and(|dos| dos & attribute::DIRECTORY != 0);
        let mut how = Open::writing(if is_folder { OpenKind::Folder } else { OpenKind::File }, Disposition::Create);
        how.access |= access::DELETE | access::WRITE_DATA;
        let (file, parts) = self.open(path, &how).map_err(|e| error("make a reparse point", &e))?;
        if let Err(failed) = file.set_reparse(data) {
            if let Err(left) = file.delete_on_close().and_then(|()| file.close().map(drop)) {
                self.warn(key, error("remove what is no reparse point", &left).text);
            }
            return Err(error("make a reparse point", &failed));
        }
        self.apply(key, &file, node, parts)
    }
}

/// Fewer rights: first none to the audit list, then none to the owner, then none at all.
fn fewer(parts: u32) -> u32 {
    match parts {
        parts if parts & part::SACL != 0 => parts & !part::SACL,
        parts if parts & part::OWNER != 0 => parts & !(part::OWNER | part::GROUP),
        _ => 0,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the root and what is above it, below the share.
fn make(session: &Session, url: &SmbUrl) -> Result<(), SmbError> {
    let mut path = WidePath::root();
    for name in &url.path {
        path = path.join(&wide(name.as_bytes()).unwrap_or_default()).map_err(|_| SmbError::Config { what: "no such path" })?;
        let how = Open { disposition: Disposition::Create, kind: OpenKind::Folder, ..Open::looking(Want::default(), None) };
        match session.share.begin_open(&path, &how).and_then(|file| file.wait()) {
            Err(error) if error.status() != Some(NtStatus::OBJECT_NAME_COLLISION) => {
                // Whoever may not make a folder may still use the one that is there.
                session.share.begin_stat(&path, Want::default(), None)?.wait().map_err(|_| error)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_empty(session: &Session) -> Result<bool, SmbError> {
    Ok(session.share.list(&session.root, None)?.next_batch()?.is_none())
}

pub(super) fn is_none(error: &SmbError) -> bool {
    matches!(
        error.status(),
        Some(NtStatus::OBJECT_NAME_NOT_FOUND | NtStatus::OBJECT_PATH_NOT_FOUND | NtStatus::NO_SUCH_FILE | NtStatus::NOT_FOUND)
    )
}

pub(super) fn is_denied(error: &SmbError) -> bool {
    matches!(error.status(), Some(NtStatus::ACCESS_DENIED | NtStatus::PRIVILEGE_NOT_HELD))
}

fn present(stat: &Stat) -> Present {
    let kind = match stat.info.attributes {
        attributes if is_reparse(attributes, tag(stat)) => Kind::Reparse,
        attributes if attributes & attribute::DIRECTORY != 0 => Kind::Folder,
        _ => Kind::File,
    };
    Present { kind, size: stat.info.size, mtime: time(stat.info.written) }
}

/// The tag that begins reparse data (MS-FSCC 2.1.2).
fn tag(stat: &Stat) -> u32 {
    let data = stat.reparse.as_ref().and_then(|data| data.as_ref().ok());
    data.and_then(|data| data.first_chunk()).map_or(0, |tag| u32::from_le_bytes(*tag))
}

pub(super) fn error(doing: &str, error: &SmbError) -> WriteError {
    let (fatal, why) = match error.status() {
        Some(NtStatus::DISK_FULL) => (true, "the server's disk is full".into()),
        Some(NtStatus::QUOTA_EXCEEDED) => (true, "the account's quota on the server is used up".into()),
        Some(NtStatus::MEDIA_WRITE_PROTECTED) => (true, "the share can't be written".into()),
        Some(NtStatus::OBJECT_NAME_COLLISION) => (false, "something of this name is there (names that differ in case only are one)".into()),
        Some(status) => (false, refusal(status).text),
        None => (error.is_gone(), gap(error).text),
    };
    WriteError { fatal, text: format!("could not {doing}: {why}") }
}

pub(super) fn refused(why: &str) -> WriteError {
    WriteError { fatal: false, text: why.into() }
}

fn unspellable(bad: BadName) -> WriteError {
    let why = match bad {
        BadName::NotWtf8 => "its name is no Unicode, which a share can't spell".into(),
        bad => format!("its name can't be used on a share: {bad}"),
    };
    WriteError { fatal: false, text: why }
}

impl RestoreTarget for SmbTarget {
    fn warnings(&self) -> Warnings {
        lock(&self.warnings).clone()
    }
}

impl Target for SmbTarget {
    fn look(&self, key: &Key) -> Result<Option<Present>, WriteError> {
        if key.is_root() && self.empty {
            return Ok(None);
        }
        let path = self.path(key)?;
        self.again(|_| match self.stat(&path) {
            Err(error) if is_none(&error) => Ok(None),
            Err(failed) => Err(error("look at what is there", &failed)),
            Ok(stat) => Ok(Some(present(&stat))),
        })
    }

    fn lacking(&self) -> Vec<String> {
        compare::lacking(self)
    }

    fn folder(&self, key: &Key, _node: &Node) -> Result<(), WriteError> {
        if key.is_root() {
            return Ok(());
        }
        self.again(|_| self.make_folder(key))
    }

    fn file(&self, key: &Key, node: &Node, content: &Content, placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        begin(self, key, node, content, placing)
    }

    fn stream(&self, key: &Key, stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        let parent = key.parent().unwrap_or_default();
        let temporary = lock(&self.placing).get(key).cloned();
        let path = temporary.map_or_else(|| self.path(key), Ok)?;
        let name = wide(&stream.name).ok_or(BadName::NotWtf8).and_then(|name| path.stream(&name)).map_err(unspellable)?;
        let begin = |_| self.approve(&parent).and_then(|()| StreamWriter::begin(self, key, &name, stream.content.size));
        Ok(Box::new(self.again(begin)?))
    }

    fn special(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        match (&node.target, node.kind) {
            (Some(data), Kind::Reparse) => self.once(|| self.make_special(key, &self.place(key)?, node, data)),
            (None, Kind::Reparse) => Err(refused("its reparse data was not read when the backup ran")),
            (_, Kind::Symlink) => Err(refused("a symbolic link of Unix can't be kept on a share")),
            (_, Kind::Unknown | Kind::File | Kind::Folder) => Err(refused("it was not read when the backup ran")),
            _ => Err(refused("devices, pipes and sockets of Unix can't be kept on a share")),
        }
    }

    fn link(&self, key: &Key, to: &Key) -> Result<(), WriteError> {
        let mut how = Open::looking(Want { reparse: true, ..Want::default() }, None);
        how.access |= access::WRITE_ATTRIBUTES;
        self.once(|| {
            let (path, first) = (self.place(key)?, self.place(to)?);
            let linked = self.session.share.begin_open(&first, &how).and_then(|file| file.wait()).and_then(|file| file.link(&path, false));
            linked.map_err(|e| error("make a hard link", &e))
        })
    }

    fn finish_folder(&self, key: &Key, node: &Node) -> Result<(), WriteError> {
        self.again(|_| self.dress_folder(key, node))
    }

    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        compare::read(self, key, stream)
    }

    fn differences(&self, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
        compare::differences(self, key, node)
    }

    /// SMB can only flush file by file: large files, and such that took another's place, are flushed when they are finished; what else
    /// the server has taken is its affair.
    fn sync(&self) -> Result<(), WriteError> {
        Ok(())
    }

    fn parallel_writes(&self) -> usize {
        PARALLEL_WRITES
    }
}
