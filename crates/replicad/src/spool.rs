//! What came of an object before the line was cut: kept until the rest comes. Owns these files; anybody may remove them, which costs sending again and nothing else.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use keepwell_storage::ObjectId;
use keepwell_wire::uploads::{MAX_UPLOADS, Upload as Beginning};
use keepwell_wire::{Class, KeyName};

/// How long a rest is waited for.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// An object of a tenant.
pub(crate) type Item = (KeyName, Class, [u8; 32]);

/// What came of an object until now; none once somebody else has taken it up.
type Coming = Arc<Mutex<Option<Vec<u8>>>>;

/// A folder of beginnings, and those that are growing.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// Bytes of one tenant at most.
    most: u64,
    coming: Mutex<HashMap<Item, Coming>>,
}

/// An object that is coming.
#[derive(Debug)]
pub struct Upload(Coming);

impl Upload {
    /// More of it came. False when another line has taken it up: this one is no longer listened to.
    pub fn extend(&self, data: &[u8]) -> bool {
        lock(&self.0).as_mut().map(|bytes| bytes.extend_from_slice(data)).is_some()
    }

    /// How much of it is here.
    pub fn len(&self) -> u64 {
        lock(&self.0).as_ref().map_or(0, |bytes| bytes.len() as u64)
    }
}

impl Spool {
    /// In this folder, which is made.
    pub fn at(folder: impl Into<PathBuf>, most: u64) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, most, coming: Mutex::default() })
    }

    /// An object is taken up from there, or what is here of it instead. Whoever was sending it on another line no longer does.
    pub fn begin(&self, item: Item, from: u64) -> Result<Upload, u64> {
        let here = self.length(item);
        let bytes = if from > 0 { fs::read(self.path(item)).unwrap_or_default() } else { Vec::new() };
        if bytes.len() as u64 != from {
            return Err(here);
        }
        let coming = Arc::new(Mutex::new(Some(bytes)));
        lock(&self.coming).insert(item, Arc::clone(&coming));
        Ok(Upload(coming))
    }

    /// All that came; none when another line has taken it up.
    pub fn end(&self, item: Item, upload: &Upload) -> Option<Vec<u8>> {
        let mut coming = lock(&self.coming);
        if coming.get(&item).is_some_and(|one| Arc::ptr_eq(one, &upload.0)) {
            coming.remove(&item);
        }
        lock(&upload.0).take()
    }

    /// What is here of a tenant's objects, ascending. Asks who wants to go on: a line that they were still coming on is one that nobody has noticed the end of.
    pub fn beginnings(&self, tenant: KeyName) -> io::Result<Vec<Beginning>> {
        let coming: Vec<Item> = lock(&self.coming).keys().filter(|item| item.0 == tenant).copied().collect();
        coming.into_iter().for_each(|item| self.take_over(item));
        let files = match fs::read_dir(self.folder.join(tenant.to_string())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files?,
        };
        let mut here = Vec::new();
        for file in files {
            let file = file?;
            let name = file.file_name();
            let named = name.to_str().and_then(|name| name.strip_suffix(".part")?.split_once('-'));
            if let Some((class, id)) = named.and_then(|(class, id)| Some((Class::of_folder(class)?, id.parse::<ObjectId>().ok()?))) {
                here.push(Beginning { class, id: id.0, here: file.metadata()?.len() });
            }
        }
        here.sort_unstable();
        here.truncate(MAX_UPLOADS);
        Ok(here)
    }

    /// How much is here of it, for somebody who goes on.
    fn length(&self, item: Item) -> u64 {
        self.take_over(item);
        fs::metadata(self.path(item)).map_or(0, |about| about.len())
    }

    /// Ends an upload that is coming, and keeps what came.
    fn take_over(&self, item: Item) {
        let coming = lock(&self.coming).remove(&item);
        if let Some(bytes) = coming.and_then(|coming| lock(&coming).take())
            && let Err(error) = self.keep(item, &bytes)
        {
            tracing::warn!(%error, "the beginning of an object could not be kept");
        }
    }

    /// Keeps a beginning, while there is room for one more.
    pub fn keep(&self, item: Item, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(item);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if self.used(item.0)? + bytes.len() as u64 > self.most {
            return Ok(());
        }
        let part = path.with_extension("new");
        OpenOptions::new().write(true).create(true).truncate(true).open(&part)?.write_all(bytes)?;
        fs::rename(part, path)
    }

    /// It is whole, or was wrong.
    pub fn drop(&self, item: Item) {
        if let Err(error) = fs::remove_file(self.path(item))
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

    fn path(&self, (tenant, class, id): Item) -> PathBuf {
        self.folder.join(tenant.to_string()).join(format!("{}-{}.part", class.folder(), ObjectId(id)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const ITEM: Item = (KeyName([1; 32]), Class::Pack, [2; 32]);

    #[test]
    fn who_goes_on_takes_over_what_an_unnoticed_line_has_brought() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::at(folder.path(), 1000).unwrap();
        let dead = spool.begin(ITEM, 0).unwrap();
        assert!(dead.extend(&[7; 300]));
        assert_eq!(spool.length(ITEM), 300);
        assert!(!dead.extend(&[7; 10]), "nobody listens to the old line");
        let next = spool.begin(ITEM, 300).unwrap();
        assert_eq!(spool.end(ITEM, &dead), None, "and its end ends nothing");
        assert!(next.extend(&[8; 50]));
        assert_eq!(spool.end(ITEM, &next).unwrap().len(), 350);
    }

    #[test]
    fn what_is_here_is_said_and_a_full_spool_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::at(folder.path(), 1000).unwrap();
        spool.keep(ITEM, &[1; 600]).unwrap();
        assert_eq!(spool.begin(ITEM, 200).unwrap_err(), 600);
        assert_eq!(spool.begin(ITEM, 0).unwrap().len(), 0, "from the start is always taken");
        let other = (ITEM.0, Class::Pack, [3; 32]);
        spool.keep(other, &[1; 600]).unwrap();
        assert_eq!(spool.length(other), 0, "there was no room");
        spool.drop(ITEM);
        assert_eq!(spool.length(ITEM), 0);
        spool.tidy(SystemTime::now()).unwrap();
    }

    #[test]
    fn what_is_here_of_a_tenant_is_listed_and_taken_over_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::at(folder.path(), 1000).unwrap();
        assert_eq!(spool.beginnings(ITEM.0).unwrap(), []);
        let manifest = (ITEM.0, Class::Manifest, [1; 32]);
        let other = (KeyName([9; 32]), Class::Pack, [2; 32]);
        let dead = [spool.begin(manifest, 0).unwrap(), spool.begin(ITEM, 0).unwrap()];
        let alive = spool.begin(other, 0).unwrap();
        assert!(dead.iter().all(|upload| upload.extend(&[7; 40])) && alive.extend(&[7; 9]));
        let begun = |item: Item, here| Beginning { class: item.1, id: item.2, here };
        assert_eq!(spool.beginnings(ITEM.0).unwrap(), [begun(ITEM, 40), begun(manifest, 40)]);
        assert!(!dead.iter().any(|upload| upload.extend(&[7; 1])), "nobody listens to the old line");
        assert!(alive.extend(&[7; 1]), "and nobody else is meant");
        assert_eq!(spool.begin(ITEM, 40).unwrap().len(), 40);
    }
}
