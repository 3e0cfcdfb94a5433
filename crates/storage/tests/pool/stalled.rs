//! A disk that does not answer: it is left out, everything goes on, and the next open takes it back.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use keepwell_storage::{
    Class, DeadlineDisk, Disk, DiskError, DiskErrorKind, DiskLock, DiskState, FileInfo, Io, MemoryDisk, Pool, RepairOutcome, Space, Spread,
};

use super::disks::{bytes, ids, layout, name};

/// Long for a disk in memory, and short to wait for.
const LIMIT: Duration = Duration::from_secs(1);

/// A disk that can be made to hang, and counts what was begun meanwhile.
struct HangingDisk {
    disk: MemoryDisk,
    hangs: Mutex<bool>,
    released: Condvar,
    begun: Mutex<Vec<String>>,
}

impl HangingDisk {
    fn new(name: &str) -> Arc<Self> {
        let (hangs, released, begun) = (Mutex::new(false), Condvar::new(), Mutex::default());
        Arc::new(Self { disk: MemoryDisk::new(name), hangs, released, begun })
    }

    fn hang(&self, hangs: bool) {
        *self.hangs.lock().unwrap() = hangs;
        self.released.notify_all();
    }

    fn pass(&self, what: &str) -> &MemoryDisk {
        let hangs = self.hangs.lock().unwrap();
        if *hangs {
            self.begun.lock().unwrap().push(what.into());
        }
        drop(self.released.wait_while(hangs, |hangs| *hangs).unwrap());
        &self.disk
    }
}

impl Disk for HangingDisk {
    fn name(&self) -> &str {
        self.disk.name()
    }
    fn list(&self, folder: &str) -> Result<Vec<FileInfo>, DiskError> {
        self.pass("list").list(folder)
    }
    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.pass("read").read_at(path, offset, buffer)
    }
    fn len(&self, path: &str) -> Result<u64, DiskError> {
        self.pass("len").len(path)
    }
    fn write(&self, path: &str, parts: &[&[u8]]) -> Result<(), DiskError> {
        self.pass("write").write(path, parts)
    }
    fn sync_file(&self, path: &str) -> Result<(), DiskError> {
        self.pass("sync").sync_file(path)
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.pass("rename").rename(from, to)
    }
    fn sync_folder(&self, folder: &str) -> Result<(), DiskError> {
        self.pass("sync folder").sync_folder(folder)
    }
    fn make_folder(&self, folder: &str) -> Result<(), DiskError> {
        self.pass("folder").make_folder(folder)
    }
    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.pass("remove").remove(path)
    }
    fn space(&self) -> Result<Space, DiskError> {
        self.pass("space").space()
    }
    fn lock(&self) -> Result<DiskLock, DiskError> {
        self.pass("lock").lock()
    }
}

fn in_time(disks: &[Arc<HangingDisk>]) -> Vec<Arc<dyn Disk>> {
    disks.iter().map(|disk| Arc::new(DeadlineDisk::new(Arc::clone(disk) as _, LIMIT)) as Arc<dyn Disk>).collect()
}

/// Waits until what was overdue has ended, so that the disk answers again.
fn until_back(disk: &dyn Disk) {
    while disk.space().is_err_and(|error| error.kind == DiskErrorKind::Stalled) {
        std::thread::yield_now();
    }
}

#[test]
fn a_stalled_disk_is_left_out_and_taken_back() {
    for when in ["before", "between"] {
        let disks = [1, 2, 3].map(|n| HangingDisk::new(&format!("disk-{n}")));
        let given = in_time(&disks);
        let mut pool = Pool::create(given.clone(), ids(3), layout("2+1")).unwrap().with_io(Io::Parallel);
        pool.set_reserve(keepwell_storage::Reserve::Bytes(0));
        let object = bytes(3_000_000, 1);
        if when == "between" {
            pool.put(Class::Pack, Spread::Layout, &bytes(300_000, 9)).unwrap();
        }
        disks[1].hang(true);
        pool.put(Class::Pack, Spread::Layout, &object).unwrap();
        assert_eq!(pool.health().disks[1].failed.as_deref(), Some("the disk does not answer"));
        assert_eq!(pool.read_object(name(Class::Pack, &object)).unwrap().0, object);
        let begun = disks[1].begun.lock().unwrap().len();
        assert_eq!(begun, 1, "while one is overdue, no other is begun");
        disks[1].hang(false);
        until_back(given[1].as_ref());
        drop(pool);
        let pool = Pool::open(given, keepwell_storage::Access::Write).unwrap();
        assert_eq!(pool.health().disks[1].state, DiskState::Present);
        assert!(disks.iter().all(|disk| disk.disk.paths().iter().all(|path| !path.contains(".tmp-"))), "nobody counts on what came late");
        for object in [bytes(3_000_000, 1), bytes(300_000, 9)] {
            if pool.contains(name(Class::Pack, &object)) {
                assert_ne!(pool.repair_object(name(Class::Pack, &object)).unwrap().outcome, RepairOutcome::Degraded);
            }
        }
        assert!(pool.health().is_whole());
    }
}

#[test]
fn a_write_that_ends_late_is_a_temporary_file_and_what_waited_is_never_run() {
    let disk = HangingDisk::new("disk-1");
    disk.disk.make_folder("packs").unwrap();
    let patient = DeadlineDisk::new(Arc::clone(&disk) as _, LIMIT);
    disk.hang(true);
    let errors: Vec<DiskErrorKind> = std::thread::scope(|scope| {
        let write = |n: u32| patient.write(&format!("packs/.tmp-{n}"), &[&bytes(3_000_000, 1)]).unwrap_err().kind;
        let running: Vec<_> = (0..12).map(|n| scope.spawn(move || write(n))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(errors, [DiskErrorKind::Stalled; 12]);
    assert!(disk.begun.lock().unwrap().len() <= 4, "no more than there are threads");
    disk.hang(false);
    until_back(&patient);
    assert!(disk.disk.paths().len() <= 4 && disk.disk.paths().iter().all(|path| path.starts_with("packs/.tmp-")));
    patient.write("packs/.tmp-0", &[b"new"]).unwrap();
    assert_eq!(patient.len("packs/.tmp-0").unwrap(), 3);
}

#[test]
fn a_disk_that_hangs_while_a_pool_is_opened_is_missing() {
    let disks = [1, 2, 3].map(|n| HangingDisk::new(&format!("disk-{n}")));
    drop(Pool::create(in_time(&disks), ids(3), layout("2+1")).unwrap());
    disks[2].hang(true);
    let pool = Pool::open(in_time(&disks), keepwell_storage::Access::Write).unwrap();
    let state = pool.health().disks[2].clone();
    assert_eq!((state.state, state.note.as_str()), (DiskState::Missing, "the disk does not answer"));
    disks[2].hang(false);
}
