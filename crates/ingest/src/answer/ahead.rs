//! The walk, run ahead of the caller as far as it gave leave, in batches. A batch is sent when it is full, or at once if the caller has nothing else: so
//! slow walks are told entry by entry, and fast ones in large frames.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use keepwell_format::codec::Writer;
use keepwell_format::page::FULL_ENCODED;
use keepwell_format::port::Walked;
use keepwell_format::{FormatError, Gap, GapReason, LeafBuilder, Node};

use crate::call::strip;
use crate::frame::{Kind, NODE_MAX};
use crate::outlet::Outlet;
use crate::{BATCH, IngestError, OPENABLE, WALK_BYTES, WALK_ENTRIES, lock, message};

/// The entries that may still be opened.
#[derive(Default)]
pub(super) struct Entries {
    first: u64,
    rows: VecDeque<Arc<Walked>>,
}

impl Entries {
    fn restart(&mut self, first: u64) {
        *self = Self { first, rows: VecDeque::new() };
    }

    fn add(&mut self, walked: Arc<Walked>) {
        self.rows.push_back(walked);
        if self.rows.len() > OPENABLE + WALK_ENTRIES + 2 * BATCH {
            self.forget(self.first + 1);
        }
    }

    /// Entries below this number are not opened any more.
    pub(super) fn forget(&mut self, below: u64) {
        while self.first < below && self.rows.pop_front().is_some() {
            self.first += 1;
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<Arc<Walked>> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.rows.get(at).cloned()
    }
}

/// One walk.
pub(super) struct Ahead<'a> {
    channel: u32,
    outlet: &'a Outlet,
    entries: &'a Mutex<Entries>,
    state: Mutex<State>,
    room: Condvar,
}

struct State {
    page: LeafBuilder,
    /// Sizes and streams of the page's entries.
    rest: Writer,
    /// Number of the page's first entry.
    first: u64,
    sent_entries: usize,
    sent_bytes: usize,
    stopped: bool,
}

impl State {
    fn is_full(&self) -> bool {
        self.page.is_full() || self.page.count() >= BATCH || self.rest.len() >= FULL_ENCODED
    }
}

impl<'a> Ahead<'a> {
    pub(super) fn new(channel: u32, first: u64, outlet: &'a Outlet, entries: &'a Mutex<Entries>) -> Self {
        lock(entries).restart(first);
        let (page, rest) = (LeafBuilder::new(), Writer::new());
        let state = State { page, rest, first, sent_entries: 0, sent_bytes: 0, stopped: false };
        Self { channel, outlet, entries, state: Mutex::new(state), room: Condvar::new() }
    }

    /// Walks to the end.
    pub(super) fn run(&self, walk: impl Iterator<Item = Result<Walked, Gap>>) {
        let mut end = Vec::new();
        for walked in walk {
            let pushed = walked.and_then(|walked| self.push(walked));
            match pushed {
                Ok(true) => {}
                Ok(false) => break,
                Err(gap) => {
                    end = message::gap_frame(&gap);
                    break;
                }
            }
        }
        self.finish(&end);
    }

    /// It could not even be begun.
    pub(super) fn finish(&self, end: &[u8]) {
        let mut state = lock(&self.state);
        while !state.page.is_empty() && !state.stopped && !self.flush(&mut state) {
            state = self.wait(state);
        }
        state.stopped = true;
        // If nobody reads any more, the end of the connection is seen by who reads it.
        let _ = self.outlet.frame(Kind::WalkEnd, self.channel, end);
    }

    /// Adds an entry. False when no more are wanted.
    fn push(&self, mut walked: Walked) -> Result<bool, Gap> {
        let mut state = lock(&self.state);
        while state.is_full() && !state.stopped && !self.flush(&mut state) {
            state = self.wait(state);
        }
        if state.stopped {
            return Ok(false);
        }
        fit(&mut walked);
        if state.page.push(&walked.key, &walked.node).is_err() {
            // As the engine does with what does not fit into its catalog.
            strip(&mut walked.node);
            state.page.push(&walked.key, &walked.node).map_err(|error| disorder(&error))?;
        }
        state.rest.varint(walked.size);
        message::write_names(&mut state.rest, &walked.streams);
        lock(self.entries).add(Arc::new(walked));
        if state.sent_entries == 0 || state.is_full() {
            self.flush(&mut state);
        }
        Ok(true)
    }

    /// The caller took entries.
    pub(super) fn credit(&self, entries: usize, bytes: usize) -> Result<(), IngestError> {
        let mut state = lock(&self.state);
        let (Some(sent_entries), Some(sent_bytes)) = (state.sent_entries.checked_sub(entries), state.sent_bytes.checked_sub(bytes)) else {
            return Err(IngestError::Protocol("more entries were taken than sent"));
        };
        (state.sent_entries, state.sent_bytes) = (sent_entries, sent_bytes);
        if !state.page.is_empty() && (sent_entries == 0 || state.is_full()) {
            self.flush(&mut state);
        }
        drop(state);
        self.room.notify_all();
        Ok(())
    }

    pub(super) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.room.notify_all();
    }

    pub(super) fn is_over(&self) -> bool {
        lock(&self.state).stopped
    }

    /// Sends the batch if there is leave for it.
    fn flush(&self, state: &mut State) -> bool {
        let bytes = state.page.encoded_len() + state.rest.len() + 20;
        let count = state.page.count();
        let fits = state.sent_entries + count <= WALK_ENTRIES && (state.sent_bytes == 0 || state.sent_bytes + bytes <= WALK_BYTES);
        if !fits {
            return false;
        }
        let frame = message::entries(state.first, &state.page.finish(), state.rest.as_bytes());
        state.rest.truncate(0);
        state.first += count as u64;
        state.sent_entries += count;
        state.sent_bytes += frame.len();
        if self.outlet.frame(Kind::Entries, self.channel, &frame).is_err() {
            state.stopped = true;
        }
        true
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        // The caller gives leave, or the connection ends.
        self.room.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves out what would not fit into a frame.
fn fit(walked: &mut Walked) {
    let node = &mut walked.node;
    (node.content, node.link_to, node.inconsistent) = (None, None, false);
    node.streams.clear();
    if let Some(gap) = &mut node.gap {
        gap.text.truncate(gap.text.floor_char_boundary(message::TEXT_MAX));
    }
    if message::weight(&walked.key, node, &[]) > NODE_MAX / 4 {
        strip(node);
    }
    fit_streams(node, &mut walked.streams);
}

/// Leaves all streams out where there are too many.
pub(super) fn fit_streams(node: &mut Node, streams: &mut Vec<Vec<u8>>) {
    if !message::names_fit(streams) {
        streams.clear();
        let text = "it has too many alternate streams to be listed".to_owned();
        node.gap.get_or_insert(Gap { reason: GapReason::Metadata, text });
    }
}

fn disorder(error: &FormatError) -> Gap {
    Gap { reason: GapReason::Read, text: format!("its entries can't be handed over: {error}") }
}
