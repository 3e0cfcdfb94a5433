//! What is kept of a recovery under way, in a folder of its own: the new box's key, beginnings of packs, and that it is not done. Anybody may remove the beginnings, which costs fetching again and nothing else.
//! When all is there the key lies sealed in the vault: it is gone from here then, and what stays says that it is finished.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keepwell_format::VaultId;
use keepwell_link::Identity;
use keepwell_storage::ObjectId;
use zeroize::Zeroizing;

use crate::RecoverError;

const KEY: &str = "key.pem";
const UNFINISHED: &str = "unfinished";
/// Holds the vault's id. A further run with a new key would take the place from the box that has it by now.
const FINISHED: &str = "finished";

/// Whether a recovery with notes in this folder is not done: the vault must take nothing new until it is, or numbers of packs would be given twice.
pub fn is_unfinished(folder: &Path) -> bool {
    folder.join(UNFINISHED).exists()
}

/// The folder.
pub(crate) struct Notes {
    folder: PathBuf,
}

impl Notes {
    /// Begins, or goes on.
    pub(crate) fn at(folder: &Path) -> Result<Self, RecoverError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// From now on the vault is not whole.
    pub(crate) fn begin(&self) -> Result<(), RecoverError> {
        self.write(UNFINISHED, b"This vault is still being fetched from another box.\n")
    }

    /// The new box's key, as PEM: made once, and the same for every later run.
    pub(crate) fn key(&self) -> Result<Zeroizing<String>, RecoverError> {
        let path = self.folder.join(KEY);
        let pem = match fs::read_to_string(&path) {
            Ok(pem) => Zeroizing::new(pem),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pem = Zeroizing::new(Identity::make()?);
                self.write(KEY, pem.as_bytes())?;
                pem
            }
            Err(error) => return Err(failed(&path)(error)),
        };
        Ok(pem)
    }

    /// What came of a pack before.
    pub(crate) fn part(&self, id: &[u8; 32]) -> Result<Part, RecoverError> {
        let path = self.folder.join(format!("{}.part", ObjectId(*id)));
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(failed(&path))?;
        let length = file.metadata().map_err(failed(&path))?.len();
        Ok(Part { path, file, length })
    }

    /// A small object that came before, if it is what it should be.
    pub(crate) fn object(&self, id: &[u8; 32]) -> Option<Vec<u8>> {
        fs::read(self.folder.join(format!("{}.object", ObjectId(*id)))).ok().filter(|bytes| ObjectId::of(bytes).0 == *id)
    }

    /// Keeps a small object until it goes into the pool. Not synced: its hash is looked at.
    pub(crate) fn keep(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), RecoverError> {
        let path = self.folder.join(format!("{}.object", ObjectId(*id)));
        fs::write(&path, bytes).map_err(failed(&path))
    }

    /// The vault all of which is there.
    pub(crate) fn finished(&self) -> Result<Option<VaultId>, RecoverError> {
        let path = self.folder.join(FINISHED);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(Some).map_err(|_| failed(&path)(io::ErrorKind::InvalidData.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// All is there, the place too. What was cut in the middle of it is done again.
    pub(crate) fn finish(&self, vault: VaultId) -> Result<(), RecoverError> {
        self.write(FINISHED, format!("{vault}\n").as_bytes())?;
        for entry in fs::read_dir(&self.folder).map_err(failed(&self.folder))? {
            let path = entry.map_err(failed(&self.folder))?.path();
            if path.extension().is_some_and(|extension| extension == "part" || extension == "object") {
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        for name in [KEY.to_owned(), format!("{KEY}.new"), UNFINISHED.to_owned()] {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path)(error)),
                _ => File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed(&self.folder))?,
            }
        }
        Ok(())
    }

    /// Whole or not at all, and durable.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RecoverError> {
        let (path, new) = (self.folder.join(name), self.folder.join(format!("{name}.new")));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(failed(&path))
    }
}

/// The beginning of a pack. Not synced: what a power failure makes of it shows in the hash of the whole.
pub(crate) struct Part {
    path: PathBuf,
    file: File,
    pub(crate) length: u64,
}

impl Part {
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), RecoverError> {
        self.file.write_all(bytes).map_err(failed(&self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what came.
    pub(crate) fn begin_anew(&mut self) -> Result<(), RecoverError> {
        self.file.set_len(0).map_err(failed(&self.path))?;
        self.length = 0;
        Ok(())
    }

    pub(crate) fn read(&self) -> Result<Vec<u8>, RecoverError> {
        fs::read(&self.path).map_err(failed(&self.path))
    }

    pub(crate) fn remove(self) -> Result<(), RecoverError> {
        fs::remove_file(&self.path).map_err(failed(&self.path))
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> RecoverError {
    let path = path.to_owned();
    move |source| RecoverError::Notes { path: path.clone(), source }
}
