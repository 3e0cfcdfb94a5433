//! Files that are being written for the caller. Each has a queue that one thread at a time works off, so writes happen in order and several files
//! side by side. What went wrong is told at once, and again at the end.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use keepwell_format::codec::Writer;
use keepwell_format::node::{Content, Stream};
use keepwell_format::port::{Placing, Target, WriteError, WriteFile};
use keepwell_format::{Key, Node};

use crate::frame::{Chunk, Kind};
use crate::outlet::Outlet;
use crate::{IngestError, MOST_CHANNELS, WRITE_WINDOW, cost, lock, message};

/// Leave to write on is given in portions of this.
const PORTION: u64 = WRITE_WINDOW / 4;

/// What is written.
pub(super) enum Begin {
    File { key: Key, node: Box<Node>, content: Content, placing: Placing },
    Stream { key: Key, stream: Stream },
}

/// What is done with a file.
pub(super) enum Step<'s> {
    Begin(Begin),
    /// Begins an alternate stream of it.
    Then(Arc<Writing<'s>>),
    Write(u64, Chunk),
    Finish(Box<Node>),
    Abandon,
}

/// One file.
pub(super) struct Writing<'s> {
    channel: u32,
    state: Mutex<State<'s>>,
}

#[derive(Default)]
struct State<'s> {
    steps: VecDeque<Step<'s>>,
    /// A thread works on it, or will.
    busy: bool,
    /// Its last step is known.
    closed: bool,
    /// What waits or was not told to be written yet, in costs.
    held: u64,
    /// What of it is written.
    owed: u64,
    file: File<'s>,
}

/// A file as far as it has come.
#[derive(Default)]
enum File<'s> {
    #[default]
    None,
    Open(Box<dyn WriteFile + 's>),
    Failed(WriteError),
}

/// All files that are being written.
pub(super) struct Writings<'s> {
    target: &'s dyn Target,
    outlet: &'s Outlet,
    open: Mutex<Open<'s>>,
}

#[derive(Default)]
struct Open<'s> {
    channels: HashMap<u32, Arc<Writing<'s>>>,
    /// Files by name: their streams are begun after them.
    files: HashMap<Key, Arc<Writing<'s>>>,
}

impl<'s> Writings<'s> {
    pub(super) fn new(target: &'s dyn Target, outlet: &'s Outlet) -> Self {
        Self { target, outlet, open: Mutex::default() }
    }

    /// Takes up a file or stream. Answers what is to be worked on now.
    pub(super) fn begin(&self, channel: u32, begin: Begin) -> Result<Option<Arc<Writing<'s>>>, IngestError> {
        let mut open = lock(&self.open);
        if open.channels.len() >= MOST_CHANNELS || open.channels.contains_key(&channel) {
            return Err(IngestError::Protocol("too much is written at once"));
        }
        let file = match &begin {
            Begin::Stream { key, .. } => open.files.get(key).cloned(),
            Begin::File { .. } => None,
        };
        let named = if let Begin::File { key, .. } = &begin { Some(key.clone()) } else { None };
        let state = State { steps: [Step::Begin(begin)].into(), busy: true, ..State::default() };
        let writing = Arc::new(Writing { channel, state: Mutex::new(state) });
        open.channels.insert(channel, Arc::clone(&writing));
        if let Some(key) = named {
            open.files.insert(key, Arc::clone(&writing));
        }
        drop(open);
        match file {
            Some(file) => Ok(file.add(Step::Then(writing), 0)?.then_some(file)),
            None => Ok(Some(writing)),
        }
    }

    /// The next step of a file. Answers the file if nobody works on it.
    pub(super) fn step(&self, channel: u32, step: Step<'s>) -> Result<Option<Arc<Writing<'s>>>, IngestError> {
        let writing = lock(&self.open).channels.get(&channel).cloned();
        let writing = writing.ok_or(IngestError::Protocol("a step of a file that is not written"))?;
        let takes = if let Step::Write(_, chunk) = &step { cost(chunk.used) } else { 0 };
        Ok(writing.add(step, takes)?.then_some(writing))
    }

    /// Does all that is to be done with a file now. Answers streams that can be begun.
    pub(super) fn run(&self, writing: &Writing<'s>, start: impl Fn(Arc<Writing<'s>>)) {
        let mut file = std::mem::take(&mut lock(&writing.state).file);
        loop {
            let step = {
                let mut state = lock(&writing.state);
                match state.steps.pop_front() {
                    Some(step) => step,
                    None => {
                        state.busy = false;
                        state.file = file;
                        return;
                    }
                }
            };
            match step {
                Step::Begin(begin) => file = self.open(writing.channel, &begin),
                Step::Then(stream) => start(stream),
                Step::Write(at, chunk) => {
                    file = self.write(writing.channel, file, at, chunk.filled());
                    self.credit(writing, cost(chunk.used));
                    self.outlet.pool.give(chunk);
                }
                Step::Finish(node) => return self.end(writing, finish(file, &node)),
                Step::Abandon => {
                    abandon(file);
                    return self.end(writing, Ok(()));
                }
            }
        }
    }

    /// Removes all that was begun and will not be finished. Nobody works any more.
    pub(super) fn abandon_all(&self) {
        let open = std::mem::take(&mut *lock(&self.open));
        for writing in open.channels.into_values() {
            let mut state = lock(&writing.state);
            state.steps.clear();
            abandon(std::mem::take(&mut state.file));
        }
    }

    fn open(&self, channel: u32, begin: &Begin) -> File<'s> {
        let opened = match begin {
            Begin::File { key, node, content, placing } => self.target.file(key, node, content, *placing),
            Begin::Stream { key, stream } => self.target.stream(key, stream),
        };
        opened.map_or_else(|error| self.failed(channel, error), File::Open)
    }

    fn write(&self, channel: u32, file: File<'s>, at: u64, bytes: &[u8]) -> File<'s> {
        let File::Open(mut file) = file else { return file };
        match file.write_at(at, bytes) {
            Ok(()) => File::Open(file),
            Err(error) => {
                file.abandon();
                self.failed(channel, error)
            }
        }
    }

    fn failed(&self, channel: u32, error: WriteError) -> File<'s> {
        let mut out = Writer::new();
        message::write_failure(&mut out, &error);
        self.tell(Kind::WriteFailed, channel, out.as_bytes());
        File::Failed(error)
    }

    /// So much was written; told in portions.
    fn credit(&self, writing: &Writing<'s>, more: u64) {
        let mut state = lock(&writing.state);
        state.owed += more;
        if state.owed >= PORTION {
            let owed = std::mem::take(&mut state.owed);
            state.held -= owed;
            drop(state);
            let mut out = Writer::new();
            out.varint(owed);
            self.tell(Kind::WriteCredit, writing.channel, out.as_bytes());
        }
    }

    fn end(&self, writing: &Writing<'s>, done: Result<(), WriteError>) {
        let mut open = lock(&self.open);
        open.channels.remove(&writing.channel);
        open.files.retain(|_, file| file.channel != writing.channel);
        drop(open);
        self.tell(Kind::Answer, writing.channel, &message::done(done, |_, ()| ()));
    }

    fn tell(&self, kind: Kind, channel: u32, payload: &[u8]) {
        // If nobody reads any more, the end of the connection is seen by who reads it.
        let _ = self.outlet.frame(kind, channel, payload);
    }
}

impl<'s> Writing<'s> {
    /// Adds a step. Answers whether somebody has to start working on it.
    fn add(&self, step: Step<'s>, takes: u64) -> Result<bool, IngestError> {
        let mut state = lock(&self.state);
        state.held += takes;
        if state.held > WRITE_WINDOW || state.closed {
            return Err(IngestError::Protocol("more is written than may be"));
        }
        state.closed = matches!(step, Step::Finish(_) | Step::Abandon);
        state.steps.push_back(step);
        Ok(!std::mem::replace(&mut state.busy, true))
    }
}

fn finish(file: File<'_>, node: &Node) -> Result<(), WriteError> {
    match file {
        File::Open(file) => file.finish(node),
        File::Failed(error) => Err(error),
        File::None => Ok(()),
    }
}

fn abandon(file: File<'_>) {
    if let File::Open(file) = file {
        file.abandon();
    }
}
