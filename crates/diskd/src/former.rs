//! Boxes that are no more, whose disks a person gave to this one. Their labels' keys count as keys that this box had before: in memory at once, in a file of the state when they are to
//! last. Has public keys only.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::DiskError;
use crate::identity::PublicKey;

/// Nobody's disks are those of more boxes.
const KEYS_MAX: usize = 16;

/// Their keys.
#[derive(Debug)]
pub struct Former {
    file: PathBuf,
    keys: Mutex<Vec<PublicKey>>,
}

impl Former {
    /// Those of before.
    pub fn load(file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        let kept = fs::read_to_string(&file).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::error!(%error, path = %file.display(), "whose disks this box took over can't be read: they have to be taken over again");
            }
            String::new()
        });
        let keys = PublicKey::from_lines(&kept).take(KEYS_MAX).collect();
        Self { file, keys: Mutex::new(keys) }
    }

    /// All of them.
    pub fn keys(&self) -> Vec<PublicKey> {
        self.lock().clone()
    }

    /// One more, until the program ends. Whether it was not one of them.
    pub fn add(&self, key: PublicKey) -> Result<bool, DiskError> {
        let mut keys = self.lock();
        if keys.contains(&key) {
            return Ok(false);
        }
        if keys.len() >= KEYS_MAX {
            return Err(DiskError::refused("too-many-boxes", "this box has taken over the disks of too many others. Nothing was changed"));
        }
        keys.push(key);
        Ok(true)
    }

    /// It was none of them after all.
    pub fn forget(&self, key: &PublicKey) {
        self.lock().retain(|known| known != key);
    }

    /// As they are now, for good: durable when this returns.
    pub fn keep(&self) -> Result<(), DiskError> {
        replace(&self.file, PublicKey::to_lines(&self.keys()).as_bytes()).map_err(DiskError::io("write", &self.file))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PublicKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: u8) -> PublicKey {
        let mut bytes = [fill; 65];
        bytes[0] = 4;
        PublicKey(bytes)
    }

    #[test]
    fn what_is_kept_outlives_the_program_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("taken-over.pub");
        let former = Former::load(&file);
        assert!(former.add(key(1)).unwrap() && !former.add(key(1)).unwrap() && former.add(key(2)).unwrap());
        former.forget(&key(2));
        assert_eq!(Former::load(&file).keys(), []);
        former.keep().unwrap();
        former.add(key(3)).unwrap();
        assert_eq!((former.keys(), Former::load(&file).keys()), (vec![key(1), key(3)], vec![key(1)]));
        fs::write(&file, format!("nonsense\n{}\n", key(5).to_hex())).unwrap();
        let former = Former::load(&file);
        assert_eq!(former.keys(), [key(5)]);
        assert!((0..KEYS_MAX as u8).filter(|n| former.add(key(100 + n)).is_ok()).count() == KEYS_MAX - 1);
    }
}
