//! The one writer of a connection. Whoever finds nobody writing writes for all: what others add meanwhile goes out with the next call of the system,
//! so short frames travel together and long ones are never copied.

use std::io::{self, IoSlice, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::IngestError;
use crate::frame::{Chunk, HEAD, Head, Kind, Pool};
use crate::lock;

/// Bytes that may wait while somebody writes.
const WAITING: usize = 1 << 20;
/// Frames up to here are copied together.
const SHORT: usize = 4 << 10;
/// Buffers of one call of the system.
const SLICES: usize = 64;

pub(crate) struct Outlet {
    stream: UnixStream,
    queue: Mutex<Queue>,
    turn: Condvar,
    /// Buffers of long frames, sent or received.
    pub(crate) pool: Pool,
}

#[derive(Default)]
struct Queue {
    chunks: Vec<Chunk>,
    bytes: usize,
    writing: bool,
    broken: bool,
}

impl Outlet {
    /// The stream has its timeout already.
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, queue: Mutex::default(), turn: Condvar::new(), pool: Pool::default() }
    }

    /// One frame.
    pub(crate) fn frame(&self, kind: Kind, channel: u32, payload: &[u8]) -> Result<(), IngestError> {
        self.send(Chunk::from((kind, channel, payload)))
    }

    /// Whole frames. Returns when they are written, or when somebody else has taken it upon himself to write them.
    pub(crate) fn send(&self, chunk: Chunk) -> Result<(), IngestError> {
        let mut queue = lock(&self.queue);
        while queue.writing && queue.bytes > WAITING && !queue.broken {
            queue = self.wait(queue);
        }
        if queue.broken {
            return Err(IngestError::Gone(None));
        }
        self.add(&mut queue, chunk);
        if queue.writing { Ok(()) } else { self.write(queue, None) }
    }

    /// Keeps a frame that nobody is in need of for the next one, or for [`Outlet::flush`].
    pub(crate) fn hold(&self, kind: Kind, channel: u32, payload: &[u8]) -> Result<(), IngestError> {
        let mut queue = lock(&self.queue);
        if queue.broken {
            return Err(IngestError::Gone(None));
        }
        self.add(&mut queue, Chunk::from((kind, channel, payload)));
        Ok(())
    }

    /// Writes what is kept.
    pub(crate) fn flush(&self) -> Result<(), IngestError> {
        let queue = lock(&self.queue);
        if queue.broken {
            return Err(IngestError::Gone(None));
        }
        if queue.writing || queue.chunks.is_empty() { Ok(()) } else { self.write(queue, None) }
    }

    fn add(&self, queue: &mut Queue, chunk: Chunk) {
        queue.bytes += chunk.used;
        match queue.chunks.last_mut() {
            Some(last) if chunk.used <= SHORT && last.used <= SHORT => {
                last.append(chunk.filled());
                self.pool.give(chunk);
            }
            _ => queue.chunks.push(chunk),
        }
    }

    /// A frame with `payload` after `prefix`, which is not copied. Returns when it is written.
    pub(crate) fn lend(&self, kind: Kind, channel: u32, prefix: &[u8], payload: &[u8]) -> Result<(), IngestError> {
        let head = Head::encode(kind, channel, prefix.len() + payload.len());
        let mut queue = lock(&self.queue);
        while queue.writing && !queue.broken {
            queue = self.wait(queue);
        }
        if queue.broken {
            return Err(IngestError::Gone(None));
        }
        self.write(queue, Some((head, prefix, payload)))
    }

    /// Nobody can write any more, nor has to wait.
    pub(crate) fn close(&self) {
        lock(&self.queue).broken = true;
        self.turn.notify_all();
        // It may be closed already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        // Whoever writes has the stream's deadline.
        self.turn.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes what is queued, then what is lent, then what was queued meanwhile.
    fn write<'q>(&'q self, mut queue: MutexGuard<'q, Queue>, mut lent: Option<([u8; HEAD], &[u8], &[u8])>) -> Result<(), IngestError> {
        queue.writing = true;
        loop {
            let chunks = std::mem::take(&mut queue.chunks);
            queue.bytes = 0;
            self.turn.notify_all();
            drop(queue);
            let lent = lent.take();
            let also = lent.as_ref().map_or([&[][..]; 3], |(head, prefix, payload)| [head, prefix, payload]);
            let written = self.write_all(chunks.iter().map(Chunk::filled).chain(also));
            chunks.into_iter().for_each(|chunk| self.pool.give(chunk));
            queue = lock(&self.queue);
            if written.is_err() || queue.broken {
                (queue.broken, queue.writing) = (true, false);
                self.turn.notify_all();
                return written.map_err(IngestError::io);
            }
            if queue.chunks.is_empty() {
                queue.writing = false;
                self.turn.notify_all();
                return Ok(());
            }
        }
    }

    fn write_all<'b>(&self, parts: impl Iterator<Item = &'b [u8]>) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = parts.filter(|part| !part.is_empty()).map(IoSlice::new).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let now = rest.len().min(SLICES);
            match (&self.stream).write_vectored(&rest[..now]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
