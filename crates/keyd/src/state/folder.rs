//! The folder and its files: read checked, replaced whole.
//!
//! Order of a write: temporary file, its sync, rename, sync of the folder. A crash at any point leaves the old file or the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::StateError;
use crate::hex::Digest;

const VERSION: u32 = 1;
/// Longest file. A buffer of this length is never moved while a file with a secret is written into it.
const FILE_MAX: usize = 1 << 20;

/// Kept files of one name: each is there because somebody opened the box with papers while another vault hung on it.
const KEPT_MAX: u32 = 100;

/// Makes the power fail, in tests: after so many steps that change the disk nothing more reaches it.
#[derive(Clone, Debug)]
pub struct Crash(Arc<AtomicU32>);

impl Crash {
    /// After `steps` steps.
    pub fn after(steps: u32) -> Self {
        Self(Arc::new(AtomicU32::new(steps)))
    }

    fn step(&self) -> io::Result<()> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| io::Error::other("the power failed"))
    }
}

/// A predecessor that is ending, or a child of it on its way to another program, lets go of the lock within 2 s.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The state folder, which this process has for itself.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Holds the lock, and is what is synced after a rename.
    directory: File,
    crash: Option<Crash>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    version: u32,
    hash: Option<Digest>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

impl Folder {
    /// The folder at `path`, made if it is not there. Mode 0700, whatever it was.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let io = |verb| move |source| StateError::Io { verb, path: path.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("made"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io("closed to others"))?;
        let directory = File::open(path).map_err(io("opened"))?;
        for _ in 0..LOCK_TRIES {
            match directory.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), directory, crash: None }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(source)) => return Err(io("locked")(source)),
            }
        }
        Err(StateError::InUse(path.to_owned()))
    }

    /// The same, where the power will fail.
    pub fn failing(self, crash: Crash) -> Self {
        Self { crash: Some(crash), ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a file holds; none if it is not there.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let path = self.path.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Unreadable { path, source }),
        };
        let damaged = |source| StateError::Damaged { path: path.clone(), source };
        let envelope: Envelope<'_> = serde_json::from_slice(&bytes).map_err(|error| damaged(Some(error)))?;
        if envelope.version > VERSION {
            return Err(StateError::Newer(path));
        }
        let (hash, content) = envelope.hash.zip(envelope.content).ok_or_else(|| damaged(None))?;
        if Digest::of(&[content.get().as_bytes()]) != hash {
            return Err(damaged(None));
        }
        serde_json::from_str(content.get()).map(Some).map_err(|error| damaged(Some(error)))
    }

    /// Replaces a file, or makes it. When this returns, it is durable.
    pub fn write(&self, name: &str, content: &impl Serialize) -> Result<(), StateError> {
        let path = self.path.join(name);
        let bytes = encode(content).map_err(|error| StateError::Io { verb: "written", path: path.clone(), source: error.into() })?;
        self.replace(&path, &bytes).map_err(|source| StateError::Io { verb: "written", path, source })
    }

    /// Puts a file aside as `NAME.damaged`, for whoever looks into it, so that a new one can take its place; nothing if it is not there.
    pub fn set_aside(&self, name: &str) -> Result<(), StateError> {
        let path = self.path.join(name);
        let aside = self.path.join(format!("{name}.damaged"));
        match self.step().and_then(|()| fs::rename(&path, aside)).and_then(|()| self.directory.sync_all()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            moved => moved.map_err(|source| StateError::Io { verb: "put aside", path, source }),
        }
    }

    /// Keeps what a file holds now as `NAME.before-N`, whatever takes its place; nothing if it is not there.
    pub fn keep(&self, name: &str) -> Result<(), StateError> {
        let path = self.path.join(name);
        let io = |source| StateError::Io { verb: "kept", path: path.clone(), source };
        self.step().map_err(io)?;
        for number in 1..KEPT_MAX {
            match fs::hard_link(&path, self.path.join(format!("{name}.before-{number}"))) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                kept => return kept.and_then(|()| self.directory.sync_all()).map_err(io),
            }
        }
        Err(io(io::Error::other("too many were kept already: look whether they are still needed")))
    }

    /// Removes a file if it is there.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.path.join(name);
        match self.step().and_then(|()| fs::remove_file(&path)).and_then(|()| self.directory.sync_all()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| StateError::Io { verb: "removed", path, source }),
        }
    }

    /// Names of the files that begin and end so, in order.
    pub fn names(&self, begin: &str, end: &str) -> Result<Vec<String>, StateError> {
        let io = |source| StateError::Io { verb: "listed", path: self.path.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            names.extend(name.to_str().filter(|name| name.starts_with(begin) && name.ends_with(end)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        self.step()?;
        // What a crash left of an earlier one.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        self.step()?;
        file.write_all(second)?;
        self.step()?;
        file.sync_all()?;
        self.step()?;
        fs::rename(&temporary, path)?;
        self.step()?;
        self.directory.sync_all()
    }

    fn step(&self) -> io::Result<()> {
        self.crash.as_ref().map_or(Ok(()), Crash::step)
    }
}

fn encode(content: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    // As long as it can be from the start: growing would leave copies of a secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_MAX));
    serde_json::to_writer(&mut *text, content)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 128));
    bytes.extend_from_slice(format!("{{\"version\":{VERSION},\"hash\":\"{}\",\"content\":", Digest::of(&[&text])).as_bytes());
    bytes.extend_from_slice(&text);
    bytes.extend_from_slice(b"}\n");
    Ok(bytes)
}
