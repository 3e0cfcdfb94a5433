//! What came of an object before the line was cut: kept until the rest comes. Owns these files; anybody may remove them, which costs sending again and nothing else.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use keepwell_storage::ObjectId;
use keepwell_wire::{Class, KeyName};

/// How long a rest is waited for.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// A folder of beginnings.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// Bytes of one tenant at most.
    most: u64,
}

impl Spool {
    /// In this folder, which is made.
    pub fn at(folder: impl Into<PathBuf>, most: u64) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, most })
    }

    /// What is there of an object. A beginning that can't be read is none.
    pub fn take(&self, tenant: KeyName, class: Class, id: &[u8; 32]) -> Vec<u8> {
        fs::read(self.path(tenant, class, id)).unwrap_or_default()
    }

    /// How much is there of it.
    pub fn length(&self, tenant: KeyName, class: Class, id: &[u8; 32]) -> u64 {
        fs::metadata(self.path(tenant, class, id)).map_or(0, |about| about.len())
    }

    /// Keeps a beginning, while there is room for one more.
    pub fn keep(&self, tenant: KeyName, class: Class, id: &[u8; 32], bytes: &[u8]) -> io::Result<()> {
        let path = self.path(tenant, class, id);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if self.used(tenant)? + bytes.len() as u64 > self.most {
            return Ok(());
        }
        let part = path.with_extension("new");
        OpenOptions::new().write(true).create(true).truncate(true).open(&part)?.write_all(bytes)?;
        fs::rename(part, path)
    }

    /// It is whole, or was wrong.
    pub fn drop(&self, tenant: KeyName, class: Class, id: &[u8; 32]) {
        if let Err(error) = fs::remove_file(self.path(tenant, class, id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the beginning of an object stays");
        }
    }

    /// Removes what nobody came back for.
    pub fn tidy(&self, now: SystemTime) -> io::Result<()> {
        for tenant in fs::read_dir(&self.folder)? {
            for file in fs::read_dir(tenant?.path())? {
                let file = file?;
                let age = now.duration_since(file.metadata()?.modified()?).unwrap_or_default();
                if age > KEPT {
                    fs::remove_file(file.path())?;
                }
            }
        }
        Ok(())
    }

    fn used(&self, tenant: KeyName) -> io::Result<u64> {
        let mut used = 0;
        for file in fs::read_dir(self.folder.join(tenant.to_string()))? {
            used += file?.metadata()?.len();
        }
        Ok(used)
    }

    fn path(&self, tenant: KeyName, class: Class, id: &[u8; 32]) -> PathBuf {
        self.folder.join(tenant.to_string()).join(format!("{}-{}.part", class.folder(), ObjectId(*id)))
    }
}
