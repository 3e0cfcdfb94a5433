//! A disk that answers in time or not at all: each operation runs on a thread of the disk, and one that takes too long is given up by whoever waits.
//!
//! While an operation is overdue, every further one fails at once; when it ends after all, the disk is back. What waits in the queue when it is given up is
//! never run. So at most what was running may take effect late, and that is safe: a late write ends up under a temporary name that nobody counts on, a late
//! rename shows a shard that was durable before, and a late removal takes what was superseded.

use std::fmt;
use std::sync::atomic::{AtomicIsize, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::disk::{Disk, DiskError, DiskErrorKind, DiskLock, FileInfo, Space};

/// Threads of a disk: one that is fast is read by several at a time.
const THREADS: usize = 4;
/// Operations that may wait: more than there are callers.
const QUEUE: usize = 256;
/// Bytes that come from a thread at a time, and that go to it: those are copied, and stay in the processor's cache until they are written.
const PIECE: usize = 1 << 20;
const CHUNK: usize = 256 << 10;
/// Chunks of a write that may be under way.
const AHEAD: usize = 2;

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const DONE: u8 = 2;
const GIVEN_UP: u8 = 3;

type Job = Box<dyn FnOnce(&dyn Disk) + Send>;

/// A disk with a deadline on every operation.
pub struct DeadlineDisk {
    name: String,
    limit: Duration,
    jobs: SyncSender<Job>,
    progress: Arc<Progress>,
}

/// What the threads tell those who wait.
#[derive(Default)]
struct Progress {
    /// Operations that have ended.
    ended: AtomicU64,
    /// Operations that run although nobody waits for them any more.
    overdue: AtomicIsize,
}

/// An operation on its way.
struct Ticket<T> {
    result: Receiver<Result<T, DiskError>>,
    state: Arc<AtomicU8>,
    ended: u64,
    seen_running: bool,
}

impl DeadlineDisk {
    /// Gives each operation of `disk` between `limit` and twice that, from when it begins. A large read or write counts piece by piece.
    pub fn new(disk: Arc<dyn Disk>, limit: Duration) -> Self {
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let name = disk.name().to_owned();
        for _ in 0..THREADS {
            let (queue, disk) = (Arc::clone(&queue), Arc::clone(&disk));
            // They end when this disk is dropped and what they do is done.
            thread::spawn(move || {
                while let Some(job) = next(&queue) {
                    job(disk.as_ref());
                }
            });
        }
        Self { name, limit, jobs, progress: Arc::default() }
    }

    fn call<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&dyn Disk, &str) -> Result<T, DiskError> + Send + 'static,
    ) -> Result<T, DiskError> {
        let mut ticket = self.submit(path, work)?;
        self.result(path, &mut ticket)
    }

    fn submit<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&dyn Disk, &str) -> Result<T, DiskError> + Send + 'static,
    ) -> Result<Ticket<T>, DiskError> {
        if self.progress.overdue.load(Ordering::Acquire) > 0 {
            return Err(self.stalled(path));
        }
        let (answer, result) = mpsc::sync_channel(1);
        let state = Arc::new(AtomicU8::new(WAITING));
        let ended = self.progress.ended.load(Ordering::Acquire);
        let (progress, shared, owned) = (Arc::clone(&self.progress), Arc::clone(&state), path.to_owned());
        let job = Box::new(move |disk: &dyn Disk| {
            if turn(&shared, WAITING, RUNNING) {
                // Nobody may be there to hear it.
                let _ = answer.send(work(disk, &owned));
                if !turn(&shared, RUNNING, DONE) {
                    progress.overdue.fetch_sub(1, Ordering::AcqRel);
                }
                progress.ended.fetch_add(1, Ordering::AcqRel);
            }
        });
        self.jobs.try_send(job).map_err(|_| self.stalled(path))?;
        Ok(Ticket { result, state, ended, seen_running: false })
    }

    fn result<T>(&self, path: &str, ticket: &mut Ticket<T>) -> Result<T, DiskError> {
        loop {
            match ticket.result.recv_timeout(self.limit) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(DiskError::new(DiskErrorKind::Io, &self.name, path)),
                Err(RecvTimeoutError::Timeout) => self.be_patient(path, ticket)?,
            }
        }
    }

    /// After one limit without an answer: whether to wait for another. Only while others were served first, or it has just begun.
    fn be_patient<T>(&self, path: &str, ticket: &mut Ticket<T>) -> Result<(), DiskError> {
        let ended = self.progress.ended.load(Ordering::Acquire);
        let served = std::mem::replace(&mut ticket.ended, ended) != ended;
        let running = ticket.state.load(Ordering::Acquire) != WAITING;
        let begun = running && !std::mem::replace(&mut ticket.seen_running, running);
        if served && (!running || begun) {
            return Ok(());
        }
        if turn(&ticket.state, WAITING, GIVEN_UP) {
            return Err(self.stalled(path));
        }
        if turn(&ticket.state, RUNNING, GIVEN_UP) {
            self.progress.overdue.fetch_add(1, Ordering::AcqRel);
            return Err(self.stalled(path));
        }
        Ok(())
    }

    fn stalled(&self, path: &str) -> DiskError {
        DiskError::new(DiskErrorKind::Stalled, &self.name, path)
    }
}

/// The next operation; none when the disk is dropped.
fn next(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn turn(state: &AtomicU8, from: u8, to: u8) -> bool {
    state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

impl Disk for DeadlineDisk {
    fn name(&self) -> &str {
        &self.name
    }

    fn list(&self, folder: &str) -> Result<Vec<FileInfo>, DiskError> {
        self.call(folder, |disk, folder| disk.list(folder))
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let mut at = offset;
        // An empty read has an answer too.
        let empty = buffer.is_empty();
        for part in buffer.chunks_mut(PIECE).chain(empty.then_some(&mut [][..])) {
            let (from, len) = (at, part.len());
            let bytes = self.call(path, move |disk, path| {
                let mut bytes = vec![0; len];
                disk.read_at(path, from, &mut bytes).map(|()| bytes)
            })?;
            part.copy_from_slice(&bytes);
            at += len as u64;
        }
        Ok(())
    }

    fn len(&self, path: &str) -> Result<u64, DiskError> {
        self.call(path, |disk, path| disk.len(path))
    }

    fn write(&self, path: &str, parts: &[&[u8]]) -> Result<(), DiskError> {
        let (chunks, feed) = mpsc::channel::<Vec<u8>>();
        let (took, taken) = mpsc::channel::<Vec<u8>>();
        let mut ticket = self.submit(path, move |disk, path| {
            disk.write_chunks(path, &mut |spent| {
                // Who has given up takes no notice.
                let _ = took.send(spent);
                feed.recv().ok()
            })
        })?;
        let (mut under_way, mut spent) = (0, Vec::new());
        for chunk in parts.iter().flat_map(|part| part.chunks(CHUNK)) {
            while under_way >= AHEAD {
                match taken.recv_timeout(self.limit) {
                    // Its memory is used again: fresh memory costs more than the copy.
                    Ok(memory) => (under_way, ticket.seen_running, spent) = (under_way - 1, false, memory),
                    Err(RecvTimeoutError::Timeout) => self.be_patient(path, &mut ticket)?,
                    // It has ended early, with an error.
                    Err(RecvTimeoutError::Disconnected) => return self.result(path, &mut ticket),
                }
            }
            let mut memory = std::mem::take(&mut spent);
            memory.clear();
            memory.extend_from_slice(chunk);
            if chunks.send(memory).is_err() {
                break;
            }
            under_way += 1;
        }
        drop(chunks);
        self.result(path, &mut ticket)
    }

    fn sync_file(&self, path: &str) -> Result<(), DiskError> {
        self.call(path, |disk, path| disk.sync_file(path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let to = to.to_owned();
        self.call(from, move |disk, from| disk.rename(from, &to))
    }

    fn sync_folder(&self, folder: &str) -> Result<(), DiskError> {
        self.call(folder, |disk, folder| disk.sync_folder(folder))
    }

    fn make_folder(&self, folder: &str) -> Result<(), DiskError> {
        self.call(folder, |disk, folder| disk.make_folder(folder))
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.call(path, |disk, path| disk.remove(path))
    }

    fn space(&self) -> Result<Space, DiskError> {
        self.call("", |disk, _| disk.space())
    }

    /// A lock that comes late is let go at once.
    fn lock(&self) -> Result<DiskLock, DiskError> {
        self.call("", |disk, _| disk.lock())
    }
}

impl fmt::Debug for DeadlineDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineDisk").field("name", &self.name).field("limit", &self.limit).finish_non_exhaustive()
    }
}
