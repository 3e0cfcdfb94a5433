//! A tree of another process, as a source.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use keepwell_format::codec::Writer;
use keepwell_format::port::{ReadFile, Source, SourceInfo, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key};

use super::desk::{Channel, Inbox};
use super::read::{RemoteFile, window};
use super::walk::{Batches, Next, Window};
use super::{Canceller, Served};
use crate::frame::Kind;
use crate::{IngestError, READ_WINDOW, lock};

/// Files that are being sent before anybody opened them.
const EXPECTED: usize = 512;

/// Of which the other end is told together, unless one is opened before.
const TOGETHER: usize = 16;

/// A source that another process reads.
pub struct RemoteSource {
    served: Served,
    info: SourceInfo,
    walking: AtomicBool,
    window: Mutex<Window>,
    expected: Mutex<Expected>,
    /// Where the next walk may begin to count.
    next: Mutex<u64>,
}

/// Files that will be opened.
#[derive(Default)]
struct Expected {
    files: HashMap<u64, RemoteFile>,
    /// The first of them that the other end may not have been told of, and how many they are.
    unsent: Option<(u64, usize)>,
}

impl RemoteSource {
    pub(super) fn new(served: Served, info: SourceInfo) -> Self {
        Self { served, info, walking: AtomicBool::new(false), window: Mutex::default(), expected: Mutex::default(), next: Mutex::default() }
    }

    /// Why nothing comes any more, once that is so.
    pub fn failure(&self) -> Option<IngestError> {
        self.served.line.failure()
    }

    /// Ends the job from another thread.
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.served.line))
    }

    fn number(&self, key: &Key) -> Result<u64, Gap> {
        let forgotten = || Gap { reason: GapReason::Read, text: "it was opened long after it was listed".to_owned() };
        lock(&self.window).number(key).ok_or_else(forgotten)
    }

    /// Has a file or stream read.
    fn begin(&self, kind: Kind, number: u64, name: Option<&[u8]>, window: u64) -> Result<RemoteFile, IngestError> {
        let line = &self.served.line;
        let inbox = Arc::new(Inbox::new(window));
        let channel = line.register(Channel::Read(Arc::clone(&inbox)))?;
        let mut out = Writer::new();
        out.varint(number).varint(window);
        if let Some(name) = name {
            out.bytes(name);
        }
        if kind == Kind::Expect {
            line.hold(kind, channel, out.as_bytes())?;
        } else {
            line.send(kind, channel, out.as_bytes())?;
        }
        Ok(RemoteFile::new(Arc::clone(line), channel, inbox, window))
    }
}

impl Source for RemoteSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        if self.walking.swap(true, Ordering::AcqRel) {
            return Err(Gap { reason: GapReason::Read, text: "another walk of this source is under way".to_owned() });
        }
        match RemoteWalk::begin(self) {
            Ok(walk) => Ok(Box::new(walk)),
            Err(error) => {
                self.walking.store(false, Ordering::Release);
                Err(error.gap())
            }
        }
    }

    fn expect(&self, entry: &Walked) {
        let Ok(number) = self.number(&entry.key) else { return };
        let mut expected = lock(&self.expected);
        if expected.files.len() >= EXPECTED || expected.files.contains_key(&number) {
            return;
        }
        // Who opens it hears of what went wrong.
        let Ok(file) = self.begin(Kind::Expect, number, None, window(entry.size)) else { return };
        expected.files.insert(number, file);
        let (first, count) = expected.unsent.unwrap_or((number, 0));
        expected.unsent = (count + 1 < TOGETHER).then_some((first.min(number), count + 1));
        if expected.unsent.is_none() {
            let _ = self.served.line.flush();
        }
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let number = self.number(&entry.key)?;
        let known = {
            let mut expected = lock(&self.expected);
            if expected.unsent.is_some_and(|(first, _)| first <= number) {
                expected.unsent = None;
                self.served.line.flush().map_err(|error| error.gap())?;
            }
            expected.files.remove(&number)
        };
        let file = known.map_or_else(|| self.begin(Kind::Open, number, None, READ_WINDOW), Ok);
        file.map(|file| Box::new(file) as Box<dyn ReadFile>).map_err(|error| error.gap())
    }

    fn stream(&self, entry: &Walked, name: &[u8]) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let file = self.begin(Kind::OpenStream, self.number(&entry.key)?, Some(name), READ_WINDOW);
        file.map(|file| Box::new(file) as Box<dyn ReadFile>).map_err(|error| error.gap())
    }

    fn gone(&self) -> Option<Gap> {
        let line = &self.served.line;
        line.failure().map(|why| why.gap()).or_else(|| line.server_gone())
    }
}

/// The walk that is under way.
struct RemoteWalk<'a> {
    source: &'a RemoteSource,
    batches: Arc<Batches>,
    channel: u32,
    current: std::vec::IntoIter<Walked>,
    over: bool,
}

impl<'a> RemoteWalk<'a> {
    fn begin(source: &'a RemoteSource) -> Result<Self, IngestError> {
        let first = *lock(&source.next);
        let batches = Arc::new(Batches::new(first));
        let line = &source.served.line;
        let channel = line.register(Channel::Walk(Arc::clone(&batches)))?;
        lock(&source.expected).files.clear();
        lock(&source.window).restart(first);
        let mut out = Writer::new();
        out.varint(first);
        line.send(Kind::Walk, channel, out.as_bytes())?;
        Ok(Self { source, batches, channel, current: Vec::new().into_iter(), over: false })
    }

    fn hand_out(&self, mut walked: Walked) -> Result<Walked, IngestError> {
        let done = {
            let mut window = lock(&self.source.window);
            window.add(&mut walked)?;
            window.done()
        };
        if let Some(below) = done {
            lock(&self.source.expected).files.retain(|number, _| *number >= below);
            let mut out = Writer::new();
            out.varint(below);
            self.source.served.line.send(Kind::Done, self.channel, out.as_bytes())?;
        }
        Ok(walked)
    }

    fn try_next(&mut self) -> Result<Option<Walked>, Gap> {
        let line = &self.source.served.line;
        loop {
            if let Some(walked) = self.current.next() {
                return self.hand_out(walked).map(Some).map_err(|error| {
                    line.fail(error.clone());
                    error.gap()
                });
            }
            match self.batches.take() {
                Next::Batch(batch) => {
                    line.send(Kind::WalkCredit, self.channel, &batch.credit()).map_err(|error| error.gap())?;
                    self.current = batch.entries.into_iter();
                }
                Next::End(None) => return Ok(None),
                Next::End(Some(gap)) => return Err(gap),
                Next::Broken => return Err(line.ended().gap()),
            }
        }
    }
}

impl Iterator for RemoteWalk<'_> {
    type Item = Result<Walked, Gap>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.try_next().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for RemoteWalk<'_> {
    fn drop(&mut self) {
        *lock(&self.source.next) = self.batches.beyond();
        if self.batches.stop() {
            // If the line is broken, nothing comes any more.
            let _ = self.source.served.line.send(Kind::WalkStop, self.channel, &[]);
        }
        self.source.walking.store(false, Ordering::Release);
    }
}

impl fmt::Debug for RemoteSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSource").field("info", &self.info).finish_non_exhaustive()
    }
}
