//! A place on the box's own disk that single files are restored to, to be looked at and then removed: for test restores, and for what the box keeps in the vault of itself.
//!
//! Files lie there under numbers, never under their names. What a plain file can carry (content, size, mode, last change) is set and read back; all else is compared as it
//! came from the catalog.

use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Piece, Placing, Present, ReadFile, Steady, Target, WriteError, WriteFile};
use keepwell_format::{Gap, GapReason, Key, Node};

/// What lies there: where, and as what.
type Lying = HashMap<(Key, Option<Vec<u8>>), PathBuf>;

/// The place. Everything in it is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    lying: Arc<Mutex<Lying>>,
}

impl Scratch {
    /// Makes it anew; what an earlier program left there is removed.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned(), lying: Arc::default() })
    }

    /// Where a file lies.
    pub(crate) fn path(&self, key: &Key) -> Option<PathBuf> {
        self.lying().get(&(key.clone(), None)).cloned()
    }

    /// Removes what lies there; the place stays.
    pub(crate) fn empty(&self) {
        for (_, path) in self.lying().drain() {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(%error, "what was restored to be looked at could not be removed");
            }
        }
    }

    fn lying(&self) -> MutexGuard<'_, Lying> {
        self.lying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        let mut lying = self.lying();
        let path = self.folder.join(lying.len().to_string());
        let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(fatal)?;
        lying.insert((key.clone(), stream.map(<[u8]>::to_vec)), path);
        Ok(Box::new(Writing { file, size: 0 }))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "what was restored to be looked at could not be removed");
        }
    }
}

fn fatal(error: io::Error) -> WriteError {
    WriteError { fatal: true, text: format!("the box's own disk does not take it: {error}") }
}

struct Writing {
    file: File,
    size: u64,
}

impl WriteFile for Writing {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WriteError> {
        self.file.write_all_at(bytes, at).map_err(fatal)?;
        self.size = self.size.max(at + bytes.len() as u64);
        Ok(())
    }

    fn finish(self: Box<Self>, node: &Node) -> Result<(), WriteError> {
        self.file.set_len(node.content.as_ref().map_or(self.size, |content| content.size)).map_err(fatal)?;
        if let Some(owner) = node.owner {
            self.file.set_permissions(Permissions::from_mode(u32::from(owner.mode & 0o777))).map_err(fatal)?;
        }
        if let Some(time) = node.mtime.filter(|time| time.seconds >= 0) {
            let since = Duration::new(time.seconds.unsigned_abs(), time.nanos);
            self.file.set_modified(UNIX_EPOCH + since).map_err(fatal)?;
        }
        Ok(())
    }

    fn abandon(self: Box<Self>) {}
}

struct Reading {
    file: File,
    at: u64,
}

impl ReadFile for Reading {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let read = self.file.read_at(buffer, self.at).map_err(unreadable)?;
        self.at += read as u64;
        Ok(if read == 0 { Piece::End } else { Piece::Data(read) })
    }

    fn finish(&mut self, _node: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

fn unreadable(error: io::Error) -> Gap {
    Gap { reason: GapReason::Read, text: format!("the box's own disk can't give it back: {error}") }
}

impl Target for Scratch {
    fn look(&self, _key: &Key) -> Result<Option<Present>, WriteError> {
        Ok(None)
    }

    fn folder(&self, _key: &Key, _node: &Node) -> Result<(), WriteError> {
        Ok(())
    }

    fn file(&self, key: &Key, _node: &Node, _content: &Content, _placing: Placing) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        self.begin(key, None)
    }

    fn stream(&self, key: &Key, stream: &Stream) -> Result<Box<dyn WriteFile + '_>, WriteError> {
        self.begin(key, Some(&stream.name))
    }

    fn special(&self, _key: &Key, _node: &Node) -> Result<(), WriteError> {
        Ok(())
    }

    fn link(&self, _key: &Key, _to: &Key) -> Result<(), WriteError> {
        Ok(())
    }

    fn finish_folder(&self, _key: &Key, _node: &Node) -> Result<(), WriteError> {
        Ok(())
    }

    fn read(&self, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let path = self.lying().get(&(key.clone(), stream.map(<[u8]>::to_vec))).cloned();
        let path = path.ok_or_else(|| unreadable(io::ErrorKind::NotFound.into()))?;
        Ok(Box::new(Reading { file: File::open(path).map_err(unreadable)?, at: 0 }))
    }

    fn differences(&self, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
        let Some(path) = self.path(key) else { return Ok(Vec::new()) };
        let found = fs::metadata(path).map_err(unreadable)?;
        let mut differences = Vec::new();
        if node.content.as_ref().is_some_and(|content| content.size != found.len()) {
            differences.push("size");
        }
        if node.owner.is_some_and(|owner| u32::from(owner.mode & 0o777) != found.mode() & 0o777) {
            differences.push("mode");
        }
        let times = |time: keepwell_format::Time| time.seconds != found.mtime() || i64::from(time.nanos) != found.mtime_nsec();
        if node.mtime.filter(|time| time.seconds >= 0).is_some_and(times) {
            differences.push("times");
        }
        Ok(differences)
    }

    fn sync(&self) -> Result<(), WriteError> {
        Ok(())
    }

    fn parallel_writes(&self) -> usize {
        1
    }
}
