//! What came of an object before the line was cut: kept until the rest comes. Owns these files; anybody may remove them, which costs sending again and nothing else.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use keepwell_storage::{Hashing, ObjectId};
use keepwell_wire::uploads::{MAX_UPLOADS, Upload as Beginning};
use keepwell_wire::{Class, KeyName};

use crate::house::lock;
use crate::memory::{Buffers, Claim, Claims, MemoryLimits};

/// How long a rest is waited for.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Memory that lies ready for the next objects.
const READY: usize = 128 << 20;

/// An object of a tenant.
pub(crate) type Item = (KeyName, Class, [u8; 32]);

/// What came of an object until now; none once somebody else has taken it up.
type Coming = Arc<Mutex<Option<Growing>>>;

/// A folder of beginnings, and those that are growing.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// Bytes of one tenant at most.
    most: u64,
    coming: Mutex<HashMap<Item, Coming>>,
    claims: Arc<Claims>,
    buffers: Buffers,
    /// Held while a beginning is written: each has to fit in with the others.
    writing: Mutex<()>,
}

/// What came of an object, and the memory that it has.
#[derive(Debug)]
pub(crate) struct Growing {
    pub(crate) object: Hashing,
    /// Bytes that it will need.
    room: usize,
    pub(crate) claim: Claim,
}

/// An object that is coming.
#[derive(Clone, Debug)]
pub(crate) struct Upload(Coming);

/// Why an object can't be taken up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotBegun {
    /// So much of it is here: it goes on from there.
    Here(u64),
    /// There is no memory for it now.
    Busy,
}

impl Upload {
    /// How much of it is here.
    pub(crate) fn len(&self) -> u64 {
        lock(&self.0).as_ref().map_or(0, |growing| growing.object.bytes().len() as u64)
    }
}

fn empty(mut memory: Vec<u8>) -> Hashing {
    memory.clear();
    Hashing::from(memory)
}

impl Spool {
    /// In this folder, which is made.
    pub fn at(folder: impl Into<PathBuf>, most: u64, memory: MemoryLimits) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            most,
            coming: Mutex::default(),
            claims: Claims::new(memory),
            buffers: Buffers::new(READY),
            writing: Mutex::default(),
        })
    }

    /// An object is where it belongs: others may have its memory.
    pub(crate) fn give_back(&self, memory: Vec<u8>) {
        self.buffers.give_back(memory);
    }

    /// Lets go memory that nobody needs.
    pub(crate) fn rest(&self) {
        self.buffers.tidy();
    }

    /// An object that needs so many bytes of memory is taken up from there, or what is here of it instead. Whoever was sending it on another line no longer does.
    pub(crate) fn begin(&self, item: Item, from: u64, room: u64) -> Result<Upload, NotBegun> {
        let here = self.length(item);
        if from > 0 && from != here {
            return Err(NotBegun::Here(here));
        }
        let claim = self.claims.claim(item.0, room).ok_or(NotBegun::Busy)?;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let object = if from > 0 { Hashing::from(self.read(item, room)) } else { Hashing::from(Vec::new()) };
        let came = object.bytes().len() as u64;
        if came != from {
            return Err(NotBegun::Here(self.length(item)));
        }
        let coming = Arc::new(Mutex::new(Some(Growing { object, room, claim })));
        lock(&self.coming).insert(item, Arc::clone(&coming));
        Ok(Upload(coming))
    }

    /// The beginning of an object; nothing where it can't be read.
    fn read(&self, item: Item, room: usize) -> Vec<u8> {
        let mut bytes = self.buffers.lend(room);
        bytes.clear();
        let read = File::open(self.path(item)).and_then(|mut file| file.read_to_end(&mut bytes));
        if read.is_err() {
            bytes.clear();
        }
        bytes
    }

    /// More of it came. False when another line has taken it up: this one is no longer listened to.
    pub(crate) fn extend(&self, upload: &Upload, data: &[u8]) -> bool {
        let mut coming = lock(&upload.0);
        let Some(growing) = coming.as_mut() else { return false };
        // Who has announced much and sent nothing has cost nothing.
        if growing.object.bytes().is_empty() && !data.is_empty() {
            growing.object = empty(self.buffers.lend(growing.room));
        }
        growing.object.extend(data);
        true
    }

    /// All that came; none when another line has taken it up.
    pub(crate) fn end(&self, item: Item, upload: &Upload) -> Option<Growing> {
        let mut coming = lock(&self.coming);
        if coming.get(&item).is_some_and(|one| Arc::ptr_eq(one, &upload.0)) {
            coming.remove(&item);
        }
        lock(&upload.0).take()
    }

    /// What is here of a tenant's objects, ascending. Asks who wants to go on: a line that they were still coming on is one that nobody has noticed the end of.
    pub(crate) fn beginnings(&self, tenant: KeyName) -> io::Result<Vec<Beginning>> {
        let coming: Vec<Item> = lock(&self.coming).keys().filter(|item| item.0 == tenant).copied().collect();
        coming.into_iter().for_each(|item| self.take_over(item));
        let _nobody_writes = lock(&self.writing);
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
        let held = lock(&self.writing);
        let coming = lock(&self.coming).remove(&item);
        if let Some(growing) = coming.and_then(|coming| lock(&coming).take()) {
            self.keep(item, growing, &held);
        }
    }

    /// Keeps what came of an object that nobody sends any more. Until it is kept, it is coming: nobody finds it gone in between.
    pub(crate) fn put_aside(&self, item: Item, upload: &Upload) {
        let held = lock(&self.writing);
        if let Some(growing) = self.end(item, upload) {
            self.keep(item, growing, &held);
        }
    }

    fn keep(&self, item: Item, growing: Growing, held: &MutexGuard<'_, ()>) {
        if let Err(error) = self.write(item, growing.object.bytes(), held) {
            tracing::warn!(%error, "the beginning of an object could not be kept");
        }
        self.buffers.give_back(growing.object.into_bytes());
    }

    /// While there is room for one more beginning.
    fn write(&self, item: Item, bytes: &[u8], _: &MutexGuard<'_, ()>) -> io::Result<()> {
        let path = self.path(item);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // What is here of this object gives way.
        let (mut files, mut used) = (0, 0);
        for file in fs::read_dir(self.folder.join(item.0.to_string()))? {
            let file = file?;
            if file.path() != path {
                (files, used) = (files + 1, used + file.metadata()?.len());
            }
        }
        if bytes.is_empty() || files >= MAX_UPLOADS || used + bytes.len() as u64 > self.most {
            return Ok(());
        }
        let part = path.with_extension("new");
        OpenOptions::new().write(true).create(true).truncate(true).open(&part)?.write_all(bytes)?;
        fs::rename(part, path)
    }

    /// It is whole, or was wrong.
    pub(crate) fn drop(&self, item: Item) {
        if let Err(error) = fs::remove_file(self.path(item))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the beginning of an object stays");
        }
    }

    /// Removes what nobody came back for.
    pub(crate) fn tidy(&self, now: SystemTime) -> io::Result<()> {
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

    fn path(&self, (tenant, class, id): Item) -> PathBuf {
        self.folder.join(tenant.to_string()).join(format!("{}-{}.part", class.folder(), ObjectId(id)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const ITEM: Item = (KeyName([1; 32]), Class::Pack, [2; 32]);
    const OTHER: Item = (KeyName([1; 32]), Class::Pack, [3; 32]);
    const LIMITS: MemoryLimits = MemoryLimits { all: 4000, tenant: 2000 };

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::at(folder.path(), 1000, LIMITS).unwrap();
        (folder, spool)
    }

    impl Spool {
        /// An object of which so much comes on a line that is cut then.
        fn cut(&self, item: Item, came: usize) {
            let upload = self.begin(item, 0, 1000).unwrap();
            assert!(self.extend(&upload, &vec![1; came]));
            self.put_aside(item, &upload);
        }
    }

    #[test]
    fn who_goes_on_takes_over_what_an_unnoticed_line_has_brought() {
        let (_folder, spool) = spool();
        let dead = spool.begin(ITEM, 0, 1000).unwrap();
        assert!(spool.extend(&dead, &[7; 300]));
        assert_eq!(spool.length(ITEM), 300);
        assert!(!spool.extend(&dead, &[7; 10]), "nobody listens to the old line");
        let next = spool.begin(ITEM, 300, 1000).unwrap();
        assert!(spool.end(ITEM, &dead).is_none(), "and its end ends nothing");
        assert!(spool.extend(&next, &[8; 50]));
        let came = spool.end(ITEM, &next).unwrap().object.end();
        assert_eq!(came.bytes(), [[7; 300].as_slice(), &[8; 50]].concat());
        assert_eq!(came.id(), ObjectId::of(came.bytes()), "its hash is that of both lines' bytes");
    }

    #[test]
    fn what_is_here_is_said_and_a_full_spool_begins_anew() {
        let (_folder, spool) = spool();
        spool.cut(ITEM, 600);
        assert_eq!(spool.begin(ITEM, 200, 1000).unwrap_err(), NotBegun::Here(600));
        spool.cut(OTHER, 600);
        assert_eq!(spool.length(OTHER), 0, "there was no room");
        spool.cut(ITEM, 900);
        assert_eq!(spool.length(ITEM), 900, "what was here of the same object gives way");
        assert_eq!(spool.begin(ITEM, 0, 1000).unwrap().len(), 0, "from the start is always taken");
        spool.drop(ITEM);
        assert_eq!(spool.length(ITEM), 0);
        spool.tidy(SystemTime::now()).unwrap();
    }

    #[test]
    fn no_more_beginnings_are_kept_than_can_be_told() {
        let (_folder, spool) = spool();
        let item = |n: usize| (ITEM.0, Class::Pack, std::array::from_fn(|at| if at < 2 { n.to_le_bytes()[at] } else { 0 }));
        let roomy = Spool { most: 1 << 20, ..spool };
        roomy.cut(item(0), 0);
        assert_eq!(roomy.beginnings(ITEM.0).unwrap(), [], "of nothing there is no beginning");
        (0..MAX_UPLOADS + 5).for_each(|n| roomy.cut(item(n), 1));
        assert_eq!(roomy.beginnings(ITEM.0).unwrap().len(), MAX_UPLOADS);
        roomy.cut((KeyName([9; 32]), Class::Pack, [0; 32]), 1);
        assert_eq!(roomy.beginnings(KeyName([9; 32])).unwrap().len(), 1, "another tenant has its own");
    }

    #[test]
    fn who_is_too_much_waits_and_what_is_only_announced_takes_no_memory() {
        let (_folder, spool) = spool();
        let first = spool.begin(ITEM, 0, 2000).unwrap();
        assert_eq!(lock(&first.0).as_ref().unwrap().object.capacity(), 0);
        assert_eq!(spool.begin(OTHER, 0, 1).unwrap_err(), NotBegun::Busy);
        let stranger = spool.begin((KeyName([9; 32]), Class::Pack, [0; 32]), 0, 2000).unwrap();
        assert!(spool.extend(&first, &[1; 10]));
        assert_eq!(lock(&first.0).as_ref().unwrap().object.capacity(), 2000, "it grows without being moved");
        // Its line is cut, and what came of it is no longer in memory.
        spool.put_aside(ITEM, &first);
        assert!(spool.begin(OTHER, 0, 1).is_ok());
        assert_eq!(spool.beginnings(ITEM.0).unwrap().len(), 1);
        drop(stranger);
    }

    #[test]
    fn what_is_here_of_a_tenant_is_listed_and_taken_over_all_at_once() {
        let (_folder, spool) = spool();
        assert_eq!(spool.beginnings(ITEM.0).unwrap(), []);
        let manifest = (ITEM.0, Class::Manifest, [1; 32]);
        let other = (KeyName([9; 32]), Class::Pack, [2; 32]);
        let dead = [spool.begin(manifest, 0, 100).unwrap(), spool.begin(ITEM, 0, 100).unwrap()];
        let alive = spool.begin(other, 0, 100).unwrap();
        assert!(dead.iter().all(|upload| spool.extend(upload, &[7; 40])) && spool.extend(&alive, &[7; 9]));
        let begun = |item: Item, here| Beginning { class: item.1, id: item.2, here };
        assert_eq!(spool.beginnings(ITEM.0).unwrap(), [begun(ITEM, 40), begun(manifest, 40)]);
        assert!(!dead.iter().any(|upload| spool.extend(upload, &[7; 1])), "nobody listens to the old line");
        assert!(spool.extend(&alive, &[7; 1]), "and nobody else is meant");
        assert_eq!(spool.begin(ITEM, 40, 100).unwrap().len(), 40);
    }
}
