//! The caller's end: begins a job, and takes what comes back for what it is, a stranger's word.

mod desk;
mod line;
mod read;
mod source;
mod target;
mod walk;
mod write;

pub(crate) use walk::strip;

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

pub use source::RemoteSource;
pub use target::RemoteTarget;

use crate::frame::{End, Frames, Head, Kind};
use crate::message;
use crate::{CheckOrder, Checked, IngestError, PATIENCE, SourceOrder, TargetOrder};
use line::Line;

/// One job, before it is known what it is to be.
pub struct Call {
    line: Arc<Line>,
    frames: Frames<UnixStream>,
}

/// Ends a job from anywhere.
#[derive(Clone)]
pub struct Canceller(Arc<Line>);

impl Canceller {
    /// All that waits for the other end gets an error at once. `why` is shown to people.
    pub fn cancel(&self, why: &str) {
        self.0.fail(IngestError::Cancelled(why.to_owned()));
    }
}

impl Call {
    /// Greets the other end.
    ///
    /// # Errors
    /// [`IngestError`] if it is no answering end of this version, or says nothing.
    pub fn begin(stream: UnixStream) -> Result<Self, IngestError> {
        set_up(&stream).map_err(IngestError::io)?;
        let frames = Frames::new(stream.try_clone().map_err(IngestError::io)?, End::Caller);
        let mut call = Self { line: Arc::new(Line::new(stream)), frames };
        call.line.send(Kind::Hello, 0, &message::hello())?;
        let head = call.next()?;
        if head.kind != Kind::Welcome {
            return Err(IngestError::Protocol("it did not greet"));
        }
        message::read_hello(call.frames.payload(head)?)?;
        Ok(call)
    }

    /// Has a tree opened for reading. Takes as long as its server does.
    ///
    /// # Errors
    /// [`IngestError::Refused`] if it can't be opened, and others of [`IngestError`].
    pub fn source(mut self, order: SourceOrder) -> Result<RemoteSource, IngestError> {
        let opened = self.order(Kind::Source, &order.encode(), Kind::Opened)?;
        let info = message::read_info(self.frames.payload(opened)?)?;
        Ok(RemoteSource::new(Served::start(self.line, self.frames)?, info))
    }

    /// Has a place opened for writing. Takes as long as its server does.
    ///
    /// # Errors
    /// As [`Call::source`].
    pub fn target(mut self, order: TargetOrder) -> Result<RemoteTarget, IngestError> {
        let opened = self.order(Kind::Target, &order.encode(), Kind::Opened)?;
        let (parallel_writes, lacking) = message::read_opened_target(self.frames.payload(opened)?)?;
        Ok(RemoteTarget::new(Served::start(self.line, self.frames)?, parallel_writes, lacking))
    }

    /// Asks what an account may do at its server, and ends the job. Takes as long as the server does.
    ///
    /// # Errors
    /// As [`Call::source`].
    pub fn check(mut self, order: &CheckOrder) -> Result<Checked, IngestError> {
        let checked = self.order(Kind::Check, &order.encode(), Kind::Checked)?;
        Ok(Checked::decode(self.frames.payload(checked)?)?)
    }

    /// Ends the job, also while it is being opened.
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.line))
    }

    fn order(&mut self, kind: Kind, order: &[u8], met: Kind) -> Result<Head, IngestError> {
        self.line.lend(kind, 0, &[], order)?;
        let head = self.next()?;
        match head.kind {
            kind if kind == met => Ok(head),
            Kind::Refused => Err(IngestError::Refused(message::read_refusal(self.frames.payload(head)?)?)),
            _ => Err(IngestError::Protocol("an answer that nobody asked for")),
        }
    }

    /// The next frame but signs of life.
    fn next(&mut self) -> Result<Head, IngestError> {
        loop {
            let head = self.frames.head().and_then(|head| head.ok_or(IngestError::Gone(None)));
            let head = head.map_err(|error| self.line.failure().unwrap_or(error))?;
            if head.kind != Kind::Heartbeat {
                return Ok(head);
            }
            self.frames.payload(head)?;
        }
    }
}

/// A job whose frames are being read by a thread of its own.
pub(crate) struct Served {
    line: Arc<Line>,
    reader: Option<JoinHandle<()>>,
}

impl Served {
    fn start(line: Arc<Line>, mut frames: Frames<UnixStream>) -> Result<Self, IngestError> {
        let reading = Arc::clone(&line);
        let reader = std::thread::Builder::new().name("ingest".to_owned()).spawn(move || {
            let ended = reading.serve(&mut frames);
            reading.fail(ended);
        });
        let reader = reader.map_err(|error| IngestError::Threads(Arc::new(error)))?;
        Ok(Self { line, reader: Some(reader) })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.line.fail(IngestError::Cancelled("it is over".to_owned()));
        if let Some(reader) = self.reader.take() {
            // It can't panic, and if it did there is nothing left to tell.
            let _ = reader.join();
        }
    }
}

/// Takes frames that come from nowhere, for a walk, a read, a request and a write; checks what was taken.
pub(crate) fn replay(stream: UnixStream, frames: &mut Frames<impl io::Read>) -> bool {
    let line = Arc::new(Line::new(stream));
    let batches = Arc::new(walk::Batches::new(0));
    let inbox = Arc::new(desk::Inbox::new(crate::READ_WINDOW));
    let channels = [
        desk::Channel::Walk(Arc::clone(&batches)),
        desk::Channel::Read(Arc::clone(&inbox)),
        desk::Channel::Request(Arc::default()),
        desk::Channel::Write(Arc::new(desk::Gate::new(0))),
    ];
    let opened = channels.into_iter().all(|channel| line.register(channel).is_ok());
    let end = line.serve(frames);
    assert!(opened && !matches!(end, IngestError::Refused(_) | IngestError::Cancelled(_)));
    let mut keys = Vec::new();
    while let Some(batch) = batches.ready() {
        keys.extend(batch.entries.into_iter().map(|walked| walked.key));
    }
    assert!(keys.is_sorted_by(|a, b| a < b) && keys.len() <= crate::WALK_ENTRIES);
    assert!(inbox.held() <= crate::READ_WINDOW);
    matches!(end, IngestError::Gone(None))
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}

/// Gives every wait on the stream its deadline, and room in the kernel for a piece.
pub(crate) fn set_up(stream: &UnixStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A smaller one only means more switching between the two.
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(stream, 1 << 20);
    Ok(())
}
